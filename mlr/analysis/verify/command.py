"""The command verify: find runs and sweeps, check their files, print what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from mlr.analysis.verify.findings import (
    DAMAGED,
    FORMAT,
    GOOD,
    UNREADABLE,
    FileFinding,
    FolderFindings,
    examine_run,
    examine_sweep,
)
from mlr.core import console
from mlr.core.checks import DataError, InputError
from mlr.core.commandline import command
from mlr.core.durable import WriteError
from mlr.core.text import printable
from mlr.records.discovery import folders_below
from mlr.records.run_folder import STATUS

STYLES = {GOOD: "green", **dict.fromkeys((DAMAGED, UNREADABLE, FORMAT), "red")}


def main(places: Sequence[str]) -> int:
    """Check every file of the runs in folders; returns the exit code.

    Args:
        places: folders of runs or of sweeps, or above them.

    Returns:
        0 where all is good, 3 where something is damaged or of another format, 74 where a file
        cannot be read.

    Raises:
        InputError: there is no run.
    """
    examined = [found for place in places for found in examine(Path(place))]
    out = console.console()
    for one in examined:
        _print_folder(out, one, brief=len(examined) > 1)
    counts = Counter(file.kind for one in examined for file in one.found)
    parts = [f"{counts[kind]:,} {kind}" for kind in STYLES if counts[kind]]
    where = f" in {len(examined):,} folders" if len(examined) > 1 else ""
    out.print(Text(f"{counts.total():,} files{where}: {', '.join(parts)}"), soft_wrap=True)
    if counts[UNREADABLE]:
        return WriteError.exit_code
    return DataError.exit_code if counts[DAMAGED] + counts[FORMAT] else 0


def examine(place: Path) -> Iterator[FolderFindings]:
    """Check the runs and sweeps in a folder and below it.

    Raises:
        InputError: there is none.
    """
    if not place.is_dir():
        raise InputError(f"{place} is not a folder; give a folder of runs, for example runs.")
    first, *others = folders_below(place)
    found = sorted(one for one in (first, *others) if one.is_run or one.is_sweep)
    if STATUS in first.names:
        found = [first]
    if not found:
        raise InputError(f"{place} holds no run; train one with `{command('train')}`.")
    for one in found:
        if one.problem:
            finding = FileFinding(UNREADABLE, ".", one.problem.rstrip("."))
            yield FolderFindings(one.path, "unknown", "", "", [finding])
            continue
        if one.is_sweep:
            yield examine_sweep(one.path)
        if one.is_run:
            yield examine_run(one.path)


def _print_folder(out: Console, one: FolderFindings, brief: bool) -> None:
    """Print a folder and its files; if `brief`, only what is not good."""
    found = [file for file in one.found if not brief or file.kind != GOOD]
    if brief and not found and not one.go_on:
        return
    parts = [one.state, f"continue with: {one.go_on}" if one.go_on else ""]
    if any(file.kind == DAMAGED for file in found):
        parts.append(f"what is damaged: {one.remedy}")
    state = "; ".join(filter(None, parts))
    place = printable(console.shown(one.place))
    out.print(Text.assemble((place, "bold"), printable(f"  {state}")), soft_wrap=True)
    width = max((len(file.name) for file in found), default=0)
    for file in found:
        text = printable(f"  {file.name:{width}}  {file.text}".rstrip())
        line = Text.assemble((f"  {file.kind:10}", STYLES[file.kind]), text)
        out.print(line, soft_wrap=True)
