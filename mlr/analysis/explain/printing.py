"""Diagnoses as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from mlr.analysis.explain.diagnosis import Diagnosis, kind, sentence
from mlr.analysis.explain.health import reassurance
from mlr.analysis.explain.judge import by_cell, explain
from mlr.analysis.formatting import OUTPUTS, output_texts
from mlr.core import commandline
from mlr.core.console import shown
from mlr.records.reading import Recorded

if TYPE_CHECKING:
    from rich.console import Console

MOST = 5
"""Lines at the end of a training."""
SCREENFUL = 12
"""Diagnoses in full."""
EARLY = 6
"""Outputs are also given after a sixth of the updates: 50 of the 300 of experiment=neuron."""
MOST_READ = 20
"""Runs of a cell whose outputs on the way are read."""


def print_diagnosis(out: Console, runs: Sequence[Recorded], place: Path) -> None:
    """Print a few lines at the end of a training, none for runs that are well.

    Args:
        out: where to.
        runs: of the training.
        place: their folder, where all of it can be asked for.
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
        told = f"explain      {commandline.command('explain', shown(place))}{more}"
        out.print(Text(told), soft_wrap=True)


def _of_pairs(found: Sequence[Diagnosis]) -> list[str]:
    """The first diagnosis of each cell; cells of one pair of which one sentence is true share it.

    A remedy that is not the same in all of them is that of the first, which is named.
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
        said = sentence([each for one in same for each in one.findings])
        given = [one for one in same if one.remedy]
        what = advice(given[0]) if given else ""
        if len({one.remedy for one in same}) > 1:
            what = f"{what.removesuffix('.')} for {given[0].cell}."
        count = f" ({runs} of {total} runs)" if total > 1 else ""
        lines.append(f"{which}{count}: {said}{what}")
    return lines


def _of_outputs(runs: Sequence[Recorded]) -> list[str]:
    """A line for each cell that has recorded its outputs: where they were, means over its runs."""
    recorded = [run for run in runs if output_texts(run.metrics)]
    lines = []
    for name, members in by_cell(recorded):
        outputs = "; ".join(
            f"{OUTPUTS[tag]}{_on_the_way(members, tag)} {fmean(ends):.4g} at the end".strip()
            for tag in OUTPUTS
            if (ends := [run.metrics[tag] for run in members if tag in run.metrics])
        )
        lines.append(f"{name}: mean output y in training data {outputs}")
    return lines


def _on_the_way(runs: Sequence[Recorded], tag: str) -> str:
    """The same output before the first update and early in the training, where all runs have it."""
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
    """Values by step; empty for a run without a series."""
    if run.series is None:
        return {}
    rows, values = run.series.of(tag)
    return dict(zip(run.series.steps[rows].tolist(), values.tolist(), strict=True))


def print_in_full(out: Console, runs: Sequence[Recorded], found: Sequence[Diagnosis]) -> None:
    """Sentence, evidence and remedy of each, or what shows that all is well."""
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


def advice(one: Diagnosis) -> str:
    """The remedy as a sentence, if there is one."""
    return f" Try {one.remedy}." if one.remedy else ""


def command(run: Recorded, one: Diagnosis) -> str | None:
    """The command that trains the run again with the first choice of the remedy."""
    if not one.overrides:
        return None
    new = dict(word.split("=", 1) for word in one.overrides.split())
    chosen = tuple(f"{key}." for key in new)  # its options are other ones now
    old = [
        word
        for word in run.overrides
        if (key := word.lstrip("+").partition("=")[0]) not in new and not key.startswith(chosen)
    ]
    return commandline.command("train", *old, *one.overrides.split())
