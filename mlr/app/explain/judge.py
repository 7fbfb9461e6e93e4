"""From runs to diagnoses: every rule in its order, and the findings of a sweep by cell."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from mlr.app.cells import cells
from mlr.app.explain.diagnosis import Diagnosis, Finding
from mlr.app.explain.facts import Facts
from mlr.app.explain.rules_data import Rule, label_noise, overfitting, unscaled
from mlr.app.explain.rules_network import starved
from mlr.app.explain.rules_output import clipped_dead, confident_right, dead_class, saturated
from mlr.app.explain.rules_steps import initial_loss, lr_too_high, lr_too_low
from mlr.app.outcome import FINISHED, Outcome
from mlr.records.reading import Recorded

SYMPTOMS = (lr_too_high, clipped_dead, dead_class, saturated, starved, initial_loss, lr_too_low)
"""What features of a wrong scale can look like."""
RULES: dict[str, Rule] = {
    "unscaled": partial(unscaled, symptoms=SYMPTOMS),
    "lr_too_high": lr_too_high,
    "clipped_dead": clipped_dead,
    "dead_class": dead_class,
    "saturated": saturated,
    "starved": starved,
    "confident_right": confident_right,
    "initial_loss": initial_loss,
    "lr_too_low": lr_too_low,
    "label_noise": label_noise,
    "overfitting": overfitting,
}
"""Causes stand before what they bring about: unscaled features make a learning rate too high,
that one saturates outputs, and these keep a class from being learned."""
OF_DATA = ("label_noise", "overfitting")
"""Rules of which both may be told."""


def findings(run: Recorded, like: Recorded | None = None) -> dict[str, Finding]:
    """What is wrong with a run, by rule, the most important first.

    Of faults in the training only the first: the others may be what it has brought about, and
    labels and memory are not to be judged before it is mended.

    Args:
        run: as it lies on disk.
        like: a run of the same configuration but for the seed, whose files may have been read.
    """
    facts, found = Facts(run, like), {}
    for name, rule in RULES.items():
        one = rule(facts)
        if one is not None:
            found[name] = one
            if name not in OF_DATA:
                break
    return found


def explain(runs: Sequence[Recorded]) -> list[Diagnosis]:
    """What is wrong with runs, most important first.

    Args:
        runs: one, of which everything is told; or several, of which each cell's runs are
            counted by what is most important in them.

    Returns:
        Nothing for runs that are well, and for those that have left nothing to judge.
    """
    if len(runs) == 1:
        (run,) = runs
        return [
            Diagnosis(rule, one.sentence, one.evidence, one.remedy, (run.name,))
            for rule, one in findings(run).items()
        ]
    order = list(RULES)
    by_folder = {run.folder: run for run in runs}
    found = []
    for cell in cells([_outcome(run) for run in runs if run.status in FINISHED]):
        members = [by_folder[one.folder] for one in cell.runs if one.folder is not None]
        found += _of_cell(cell.name, members)
    return sorted(found, key=lambda one: (-len(one.runs) / one.total, order.index(one.rule)))


def _of_cell(name: str, runs: Sequence[Recorded]) -> list[Diagnosis]:
    """Runs that differ by their seed, counted by the first finding of each."""
    firsts: dict[str, list[tuple[str, Finding]]] = {}
    for run in runs:
        for rule, one in list(findings(run, runs[0]).items())[:1]:
            firsts.setdefault(rule, []).append((run.name, one))
    return [
        Diagnosis(
            rule,
            *(one.sentence, one.evidence, one.remedy),
            runs=[name for name, _ in having],
            cell=name,
            total=len(runs),
        )
        for rule, having in firsts.items()
        for _, one in having[:1]
    ]


def _outcome(run: Recorded) -> Outcome:
    return Outcome(
        run.name, run.overrides, run.status, None, run.folder, run.metrics, pair=run.pair
    )
