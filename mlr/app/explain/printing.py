"""Diagnoses as a person reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlr import commandline
from mlr.app.console import shown
from mlr.app.explain.diagnosis import Diagnosis
from mlr.app.explain.health import reassurance
from mlr.app.explain.judge import explain
from mlr.records.reading import Recorded

if TYPE_CHECKING:
    from rich.console import Console

OF_A_RUN, OF_A_SWEEP = 2, 5
"""Lines at the end of a training."""
SCREENFUL = 12
"""Diagnoses in full."""


def print_diagnosis(out: Console, runs: Sequence[Recorded], place: Path) -> None:
    """What is said at the end of a training: a few lines, none for runs that are well.

    Args:
        out: where to.
        runs: of the training.
        place: their folder, where all of it can be asked for.
    """
    from rich.text import Text

    found = explain(runs)
    lines = [("diagnosis   ", one) for one in found] if len(runs) == 1 else _of_pairs(found)
    most = OF_A_RUN if len(runs) == 1 else OF_A_SWEEP
    if lines and len(runs) > 1:
        out.print()
    for title, one in lines[:most]:
        out.print(Text(f"{title} {one.sentence}{advice(one)}", style="yellow"), soft_wrap=True)
    if lines:
        more = f" ({len(lines) - most} more)" if len(lines) > most else ""
        told = f"explain      {commandline.command('explain', shown(place))}{more}"
        out.print(Text(told), soft_wrap=True)


def _of_pairs(found: Sequence[Diagnosis]) -> list[tuple[str, Diagnosis]]:
    """The first diagnosis of each cell; cells of one pair that have the same in one line."""
    first = {one.cell: one for one in reversed(found)}.values()
    alike: dict[tuple[str, str], list[Diagnosis]] = {}
    for one in reversed(first):
        alike.setdefault((one.cell.partition(" ")[0], one.rule), []).append(one)
    lines = []
    for (pair, _), same in alike.items():
        runs, total = sum(len(one.runs) for one in same), sum(one.total for one in same)
        which = same[0].cell if len(same) == 1 else f"{pair} in {len(same)} cells"
        lines.append((f"{which} ({runs} of {total} runs):", same[0]))
    return lines


def print_in_full(out: Console, runs: Sequence[Recorded], found: Sequence[Diagnosis]) -> None:
    """Sentence, evidence and remedy of each, or what shows that all is well."""
    from rich.text import Text

    if not found:
        out.print(Text(reassurance(runs)), soft_wrap=True)
        return
    for one in found[:SCREENFUL]:
        title = Text(one.rule, style="bold yellow")
        if one.cell:
            title.append(f"  {one.cell}", style="bold").append(f"  in {one.count}", style="dim")
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
    """The command that trains the run anew with the first choice of the remedy."""
    if not one.overrides:
        return None
    new = dict(word.split("=", 1) for word in one.overrides.split())
    old = [word for word in run.overrides if word.lstrip("+").partition("=")[0] not in new]
    return commandline.command("train", *old, *one.overrides.split())
