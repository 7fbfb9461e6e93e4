"""Diagnose runs: apply the rules in their order, and join the findings of each seed group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.findings import Diagnosis, Finding, kind, sentence
from mlr.analysis.explain.remedies import TriedRemedies
from mlr.analysis.explain.rules_data import Rule, label_noise, overfitting, unscaled
from mlr.analysis.explain.rules_network import initial_loss, not_finite, starved, underfitting
from mlr.analysis.explain.rules_output import (
    clipped_dead,
    confident_right,
    dead_class,
    no_likelihood,
    saturated,
)
from mlr.analysis.explain.rules_rate import lr_too_high, lr_too_low
from mlr.analysis.grouping import SeedGroup, seed_groups
from mlr.records.reading import Recorded

SYMPTOMS = (lr_too_high, clipped_dead, dead_class, saturated, starved, initial_loss, lr_too_low)
"""Symptoms that features of a wrong scale can cause."""
RULES: dict[str, Rule] = {
    "not_finite": not_finite,
    "unscaled": partial(unscaled, symptoms=SYMPTOMS),
    "clipped_dead": clipped_dead,
    "no_likelihood": no_likelihood,
    "lr_too_high": lr_too_high,
    "dead_class": dead_class,
    "saturated": saturated,
    "starved": starved,
    "confident_right": confident_right,
    "initial_loss": initial_loss,
    "lr_too_low": lr_too_low,
    "underfitting": underfitting,
    "label_noise": label_noise,
    "overfitting": overfitting,
}
"""Causes are listed before their effects: unscaled features make a learning rate too high, which
saturates outputs, which keep a class from being learned. A clipped unit without gradient stays
without it at any rate."""
OF_DATA = ("label_noise", "overfitting")
"""Rules that may both be reported."""
Named = tuple[str, Finding]


def findings(run: Recorded) -> dict[str, Finding]:
    """Find the faults of a run, by rule, the most important first.

    Of faults in the training only the first is given: the others may be its effects, and labels
    and overfitting cannot be judged before it is repaired.
    """
    found = {}
    for name, one in _every(Facts(run)):
        found[name] = one
        if name not in OF_DATA:
            break
    return found


def _every(facts: Facts) -> Iterator[Named]:
    """Apply all rules in their order."""
    for name, rule in RULES.items():
        one = rule(facts)
        if one is not None:
            yield name, one


def explain(runs: Sequence[Recorded]) -> list[Diagnosis]:
    """Diagnose runs, the most important fault first.

    A remedy that some of the runs have tried in vain is not given again.

    Args:
        runs: one, of which everything is reported; or several, of which each seed group's runs
            are counted by their most important fault.

    Returns:
        Nothing for runs without a fault, or without anything to judge.
    """
    if len(runs) == 1:
        (run,) = runs
        return [
            Diagnosis(rule, one.sentence, one.evidence, one.remedy, (run.name,), findings=[one])
            for rule, one in findings(run).items()
        ]
    order = list(RULES)
    found = [one for group in seed_groups(runs) for one in _of_group(group, runs)]
    return sorted(found, key=lambda one: (-len(one.runs) / one.total, order.index(one.rule)))


def _first(run: Recorded, like: Recorded, remedies: TriedRemedies) -> Named | None:
    """Return the first finding that leaves something to try; else the first, without a remedy."""
    first = None
    for rule, one in _every(Facts(run, like)):
        remedy = remedies.left(one) if one.remedy else ""
        if remedy or not one.remedy:
            return rule, replace(one, remedy=remedy)
        first = first or (rule, replace(one, remedy=""))
    return first


def _of_group(group: SeedGroup, every: Sequence[Recorded]) -> list[Diagnosis]:
    """Diagnose the runs of a seed group; runs that share a sentence are counted together."""
    runs, remedies = group.runs, TriedRemedies(every, group.runs)
    alike: dict[tuple[str, str, str], list[tuple[str, Finding]]] = {}
    for run in runs:
        found = _first(run, runs[0], remedies)
        if found is not None:
            rule, one = found
            alike.setdefault((rule, kind(one), one.remedy), []).append((run.name, one))
    diagnoses = []
    for (rule, _, remedy), having in alike.items():
        names, found_in = [own for own, _ in having], [one for _, one in having]
        evidence = found_in[0].evidence
        if len(having) > 1:
            evidence = f"{names[0]}: {evidence}"
        text = sentence(found_in)
        diagnoses.append(
            Diagnosis(rule, text, evidence, remedy, names, group.name, len(runs), found_in)
        )
    return diagnoses
