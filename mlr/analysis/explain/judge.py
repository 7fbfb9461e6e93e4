"""From runs to diagnoses: every rule in its order, and the findings of a sweep by cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from mlr.analysis.explain import refuted
from mlr.analysis.explain.diagnosis import OR, Diagnosis, Finding, kind, sentence
from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.rules_data import Rule, label_noise, overfitting, unscaled
from mlr.analysis.explain.rules_network import starved, underfitting
from mlr.analysis.explain.rules_output import (
    clipped_dead,
    confident_right,
    dead_class,
    no_likelihood,
    saturated,
)
from mlr.analysis.explain.rules_rate import lr_too_high, lr_too_low
from mlr.analysis.explain.rules_start import initial_loss, not_finite
from mlr.analysis.seed_groups import cells
from mlr.records.outcome import Outcome
from mlr.records.reading import Recorded

SYMPTOMS = (lr_too_high, clipped_dead, dead_class, saturated, starved, initial_loss, lr_too_low)
"""Symptoms that features of a wrong scale can bring about."""
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
"""Causes stand before what they bring about: unscaled features make a learning rate too high,
that one saturates outputs, and these keep a class from being learned. A clipped unit without
gradient stays there at any rate."""
OF_DATA = ("label_noise", "overfitting")
"""Rules of which both may be reported."""
Named = tuple[str, Finding]


def findings(run: Recorded, like: Recorded | None = None) -> dict[str, Finding]:
    """Find the faults of a run, by rule, the most important first.

    Of faults in the training only the first: the others may be what it has brought about, and
    labels and memory are not to be judged before it is mended.

    Args:
        run: as it lies on disk.
        like: a run of the same configuration but for the seed, whose files may have been read.
    """
    found = {}
    for name, one in _every(Facts(run, like)):
        found[name] = one
        if name not in OF_DATA:
            break
    return found


def _every(facts: Facts) -> Iterator[Named]:
    """The findings of all rules, in their order."""
    for name, rule in RULES.items():
        one = rule(facts)
        if one is not None:
            yield name, one


def explain(runs: Sequence[Recorded]) -> list[Diagnosis]:
    """Diagnose runs, the most important fault first.

    A remedy that some of the runs have tried in vain is not given again.

    Args:
        runs: one, of which everything is reported; or several, of which each cell's runs are
            counted by what is most important in them.

    Returns:
        Nothing for runs that are well, and for those that have left nothing to judge.
    """
    if len(runs) == 1:
        (run,) = runs
        return [
            Diagnosis(rule, one.sentence, one.evidence, one.remedy, (run.name,), findings=[one])
            for rule, one in findings(run).items()
        ]
    order = list(RULES)
    found = []
    for name, members in by_cell(runs):
        found += _of_cell(name, members, _Sweep(runs, members))
    return sorted(found, key=lambda one: (-len(one.runs) / one.total, order.index(one.rule)))


def by_cell(runs: Sequence[Recorded]) -> Iterator[tuple[str, list[Recorded]]]:
    """Names of cells, and their finished runs."""
    by_folder = {run.folder: run for run in runs}
    for cell in cells([_outcome(run) for run in runs]):
        yield cell.name, [by_folder[one.folder] for one in cell.runs if one.folder is not None]


class _Sweep:
    """The runs next to one cell, which may have tried its remedies in vain."""

    def __init__(self, runs: Sequence[Recorded], members: Sequence[Recorded]) -> None:
        self.runs, self.members = runs, members
        self._refuted: dict[str, bool] = {}

    def refutes(self, remedy: str) -> bool:
        """True if runs of that configuration are there, and none the better for it."""
        if remedy not in self._refuted:
            others = refuted.tried(self.runs, self.members, remedy)
            self._refuted[remedy] = bool(others) and not refuted.helped(self.members, others)
        return self._refuted[remedy]

    def left(self, one: Finding) -> str:
        """The alternatives of a remedy that were not tried in vain, or the first such spare one."""
        given = [remedy for remedy in one.remedy.split(OR) if not self.refutes(remedy)]
        spare = (remedy for remedy in one.spare if not self.refutes(remedy))
        return OR.join(given) or next(spare, "")


def _first(run: Recorded, like: Recorded, sweep: _Sweep) -> Named | None:
    """The first finding of a run that leaves something to try; else the first, without a remedy."""
    first = None
    for rule, one in _every(Facts(run, like)):
        remedy = sweep.left(one) if one.remedy else ""
        if remedy or not one.remedy:
            return rule, replace(one, remedy=remedy)
        first = first or (rule, replace(one, remedy=""))
    return first


def _of_cell(name: str, runs: Sequence[Recorded], sweep: _Sweep) -> list[Diagnosis]:
    """Runs that differ by their seed, those of which one sentence is true counted together."""
    alike: dict[tuple[str, str, str], list[tuple[str, Finding]]] = {}
    for run in runs:
        found = _first(run, runs[0], sweep)
        if found is not None:
            rule, one = found
            alike.setdefault((rule, kind(one), one.remedy), []).append((run.name, one))
    diagnoses = []
    for (rule, _, remedy), having in alike.items():
        names, found_in = [own for own, _ in having], [one for _, one in having]
        evidence = found_in[0].evidence
        if len(having) > 1:
            evidence = f"{names[0]}: {evidence}"
        said = sentence(found_in)
        diagnoses.append(Diagnosis(rule, said, evidence, remedy, names, name, len(runs), found_in))
    return diagnoses


def _outcome(run: Recorded) -> Outcome:
    return Outcome(
        run.name, run.overrides, run.status, None, run.folder, run.metrics, pair=run.pair
    )
