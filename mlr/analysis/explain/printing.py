"""Print diagnoses, or a reassurance for runs without a fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from mlr.analysis.explain.diagnose import explain
from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.findings import Diagnosis, kind, sentence
from mlr.analysis.explain.remedies import advice, command
from mlr.analysis.formatting import OUTPUTS, approx, approx_percent, output_texts
from mlr.analysis.grouping import seed_groups
from mlr.core import commandline
from mlr.core.console import shown
from mlr.records.reading import Recorded
from mlr.records.status import FINISHED

if TYPE_CHECKING:
    from rich.console import Console

MOST = 5
"""Most lines at the end of a training."""
SCREENFUL = 12
"""Most diagnoses that are printed in full."""
EARLY = 6
"""Fraction of the updates after which outputs are given: 50 of 300 in experiment=neuron."""
MOST_READ = 20
"""Most runs of a group whose outputs during training are read."""


def print_diagnosis(out: Console, runs: Sequence[Recorded], place: Path) -> None:
    """Print a few lines at the end of a training; none for runs without a fault.

    Args:
        out: terminal.
        runs: of the training.
        place: their folder, for the command that prints everything.
    """
    from rich.text import Text

    found = explain(runs)
    alone = len(runs) == 1
    if alone:
        lines = [f"diagnosis    {one.sentence}{advice(one)}" for one in found]
    else:
        lines = _of_pairs(found)
    outputs = [] if alone else _of_outputs(runs)
    if lines + outputs and not alone:
        out.print()
    for line in outputs[:MOST]:
        out.print(Text(line), soft_wrap=True)
    for line in lines[:MOST]:
        out.print(Text(line, style="yellow"), soft_wrap=True)
    if lines:
        more = f" ({len(lines) - MOST} more)" if len(lines) > MOST else ""
        hint = f"explain      {commandline.command('explain', shown(place))}{more}"
        out.print(Text(hint), soft_wrap=True)


def _of_pairs(found: Sequence[Diagnosis]) -> list[str]:
    """Write the first diagnosis of each group; groups of one pair may share a sentence.

    If their remedies differ, the first group's is given with its name.
    """
    first = {one.cell: one for one in reversed(found)}.values()
    alike: dict[tuple[str, str, str], list[Diagnosis]] = {}
    for one in reversed(first):
        key = (one.cell.partition(" ")[0], one.rule, kind(one.findings[0]))
        alike.setdefault(key, []).append(one)
    lines = []
    for (pair, _, _), same in alike.items():
        runs, total = sum(len(one.runs) for one in same), sum(one.total for one in same)
        which = same[0].cell if len(same) == 1 else f"{pair} in {len(same)} cells"
        text = sentence([each for one in same for each in one.findings])
        given = [one for one in same if one.remedy]
        what = advice(given[0]) if given else ""
        if len({one.remedy for one in same}) > 1:
            what = f"{what.removesuffix('.')} for {given[0].cell}."
        count = f" ({runs} of {total} runs)" if total > 1 else ""
        lines.append(f"{which}{count}: {text}{what}")
    return lines


def _of_outputs(runs: Sequence[Recorded]) -> list[str]:
    """Write a line for each group with recorded outputs: their means over its runs."""
    recorded = [run for run in runs if output_texts(run.metrics)]
    lines = []
    for group in seed_groups(recorded):
        outputs = "; ".join(
            f"{OUTPUTS[tag]}{_on_the_way(group.runs, tag)} {fmean(ends):.4g} at the end".strip()
            for tag in OUTPUTS
            if (ends := [run.metrics[tag] for run in group.runs if tag in run.metrics])
        )
        lines.append(f"{group.name}: mean output y in training data {outputs}")
    return lines


def _on_the_way(runs: Sequence[Recorded], tag: str) -> str:
    """Write an output before the first update and early in training, if all runs have it."""
    if len(runs) > MOST_READ:
        return ""
    points = [_points(run, tag) for run in runs]
    common = sorted(set.intersection(*map(set, points)))
    if len(common) < 3:
        return ""
    early = min(common, key=lambda step: abs(step - common[-1] / EARLY))
    start, then = (fmean(one[step] for one in points) for step in (common[0], early))
    return f" {start:.4g} at the start, {then:.4g} after {early} updates,"


def _points(run: Recorded, tag: str) -> dict[int, float]:
    """Return values by step; empty for a run without a series."""
    if run.series is None:
        return {}
    rows, values = run.series.of(tag)
    return dict(zip(run.series.steps[rows].tolist(), values.tolist(), strict=True))


def print_in_full(out: Console, runs: Sequence[Recorded], found: Sequence[Diagnosis]) -> None:
    """Print sentence, evidence and remedy of each diagnosis, or a reassurance."""
    from rich.text import Text

    if not found:
        out.print(Text(reassurance(runs)), soft_wrap=True)
        return
    for one in found[:SCREENFUL]:
        title = Text(one.rule, style="bold yellow")
        if one.cell:
            title.append(f"  {one.cell}", style="bold")
        if one.total > 1:
            title.append(f"  in {one.count}", style="dim")
        out.print(title, soft_wrap=True)
        out.print(Text(f"  {one.sentence}"), soft_wrap=True)
        out.print(Text(f"  evidence  {one.evidence}", style="dim"), soft_wrap=True)
        if one.remedy:
            out.print(Text(f"  try       {one.remedy}"), soft_wrap=True)
        line = command(runs[0], one) if len(runs) == 1 else None
        if line:
            out.print(Text(f"  paste     {line}"), soft_wrap=True)
    if len(found) > SCREENFUL:
        out.print(f"… and {len(found) - SCREENFUL} more; all of them by --json")


def reassurance(runs: Sequence[Recorded]) -> str:
    """Write one sentence on runs without a fault, or without final numbers."""
    judged = [Facts(run) for run in runs if run.status in FINISHED and run.metrics]
    if not judged:
        states = ", ".join(sorted({run.status for run in runs}))
        return f"There are no final numbers to judge ({states}); train to an end first."
    useless = sum(facts.unlearned for facts in judged)
    if useless:
        does = "does" if useless == 1 else "do"
        which = "the model" if len(judged) == 1 else f"{useless} of {len(judged)} runs"
        return (
            f"No rule explains it, but {which} {does} hardly better than a constant prediction; "
            "try another optimizer.lr or model, or look at the data."
        )
    if len(judged) == 1:
        return _of_one(judged[0])
    right = [facts.metric("accuracy/test") for facts in judged]
    known = sorted(value for value in right if value == value)
    between = (
        f"; accuracy/test from {approx_percent(known[0])} to {approx_percent(known[-1])}"
        if known
        else ""
    )
    return f"No fault found in {len(judged)} runs{between}."


def _of_one(facts: Facts) -> str:
    start, end = facts.anatomy("start", "loss"), facts.metric("loss/train")
    fell = f"the training loss went from {approx(start)} to " if start == start else "loss/train "
    parts = [f"{fell}{approx(end)}"]
    if facts.metric("accuracy/train") == facts.metric("accuracy/train"):
        known = approx_percent(facts.metric("accuracy/train"))
        parts.append(f"{known} of the training examples are right")
        if facts.held_out == facts.held_out:
            parts[-1] += (
                f" and {approx_percent(facts.held_out)} of the validation and test examples"
            )
    wrong = facts.metric("logit_grad/wrong")
    if wrong == wrong:
        parts.append(f"the wrong ones have a mean ‖dL/dz‖ of {approx(wrong)}")
    stuck = facts.anatomy("stuck")
    if stuck == stuck:
        share = "none" if stuck == 0 else f"{approx_percent(stuck)} of all"
        parts.append(f"{share} are wrong without gradient")
    text = ", ".join(parts[:-1]) + (", and " if len(parts) > 1 else "") + parts[-1]
    return f"No fault found: {text}."
