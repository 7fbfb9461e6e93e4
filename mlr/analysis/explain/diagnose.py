"""Diagnose runs: apply the rules in their order, and join the findings of each seed group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.findings import OR, Diagnosis, Finding, sentence
from mlr.analysis.explain.remedies import Refutes, refuted_by
from mlr.analysis.explain.rules_data import label_noise, overfitting, unscaled
from mlr.analysis.explain.rules_network import initial_loss, not_finite, starved, underfitting
from mlr.analysis.explain.rules_output import (
    clipped_dead,
    confident_right,
    dead_class,
    no_likelihood,
    saturated,
)
from mlr.analysis.explain.rules_rate import lr_too_high, lr_too_low
from mlr.analysis.grouping import SeedGroup, collected, seed_groups
from mlr.records.reading import Recorded

RULES = {
    rule.__name__: rule
    for rule in (
        *(not_finite, unscaled, clipped_dead, no_likelihood, lr_too_high, dead_class, saturated),
        *(starved, confident_right, initial_loss, lr_too_low, underfitting),
        *(label_noise, overfitting),
    )
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
    for name, rule in RULES.items():
        one = rule(facts)
        if one is not None:
            yield name, one


def explain(runs: Sequence[Recorded]) -> list[Diagnosis]:
    """Diagnose runs, the most important fault first; nothing for runs without a fault.

    Of one run everything is reported; of several, each seed group's runs are counted by their
    most important fault, and a remedy that some of them have tried in vain is not given again.
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


def _of_group(group: SeedGroup, every: Sequence[Recorded]) -> list[Diagnosis]:
    """Diagnose the runs of a seed group; runs that share a sentence are counted together."""
    runs, refutes = group.runs, refuted_by(every, group.runs)
    firsts = [(run.name, *one) for run in runs if (one := _first(Facts(run, runs[0]), refutes))]
    diagnoses = []
    for having in collected(firsts, lambda one: (one[1], one[2].kind, one[2].remedy)).values():
        names, (rule, *_), found = zip(*having, strict=True)
        evidence = f"{names[0]}: {found[0].evidence}" if len(names) > 1 else found[0].evidence
        about = (sentence(found), evidence, found[0].remedy, list(names))
        diagnoses.append(Diagnosis(rule, *about, group.name, len(runs), found))
    return diagnoses


def _first(facts: Facts, refutes: Refutes) -> Named | None:
    """Return the first finding that leaves something to try; else the first, without a remedy."""
    first = None
    for rule, one in _every(facts):
        left = [remedy for remedy in one.remedy.split(OR) if not refutes(remedy)]
        spare = (remedy for remedy in one.spare if not refutes(remedy))
        remedy = OR.join(left) or next(spare, "")
        if remedy or not one.remedy:
            return rule, replace(one, remedy=remedy)
        first = first or (rule, replace(one, remedy=""))
    return first
