"""The command verify: find runs and sweeps, check their files, print what was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
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
from mlr.core.console import shown
from mlr.core.durable import WriteError
from mlr.core.text import printable
from mlr.records.discovery import folders_below
from mlr.records.run_folder import STATUS

Examine = Callable[[Path], FolderFindings]
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
    kinds: list[str] = []
    out = console.console()
    found = {folder: examine for place in places for folder, examine in folders(Path(place))}
    for folder, examine in found.items():
        examined = examine(folder)
        _print_folder(out, examined, brief=len(found) > 1)
        kinds += [one.kind for one in examined.found]
    _print_sum(out, kinds, len(found))
    if UNREADABLE in kinds:
        return WriteError.exit_code
    return DataError.exit_code if DAMAGED in kinds or FORMAT in kinds else 0


def folders(place: Path) -> Iterator[tuple[Path, Examine]]:
    """Yield the runs and sweeps in a folder and below it, each with the function that checks it.

    Raises:
        InputError: there is none.
    """
    if not place.is_dir():
        raise InputError(f"{place} is not a folder; give a folder of runs, for example runs.")
    first, *others = folders_below(place)
    if STATUS in first.names:
        yield place, examine_run
        return
    found = sorted(one for one in (first, *others) if one.is_run or one.is_sweep)
    if not found:
        raise InputError(f"{place} holds no run; train one with `{command('train')}`.")
    for one in found:
        if one.problem:
            yield one.path, partial(_not_searched, one.problem)
            continue
        if one.is_sweep:
            yield one.path, examine_sweep
        if one.is_run:
            yield one.path, examine_run


def _not_searched(problem: str, folder: Path) -> FolderFindings:
    finding = FileFinding(UNREADABLE, ".", problem.rstrip("."))
    return FolderFindings(folder, "unknown", "", [finding])


def _print_folder(out: Console, one: FolderFindings, brief: bool) -> None:
    """Print a folder and its files; if `brief`, only what is not good."""
    found = [file for file in one.found if not brief or file.kind != GOOD]
    if brief and not found and not one.go_on:
        return
    state = "; continue with: ".join(filter(None, (one.state, one.go_on)))
    _print(out, Text(printable(shown(one.place)), style="bold"), Text(f"  {printable(state)}"))
    width = max((len(printable(file.name)) for file in found), default=0)
    for file in found:
        kind = Text(f"  {file.kind:10}", style=STYLES[file.kind])
        name = printable(file.name)
        _print(out, kind, Text(f"  {name:{width}}  {printable(file.text)}".rstrip()))


def _print_sum(out: Console, kinds: Sequence[str], folders: int) -> None:
    """Print how many files are good, and how many are not."""
    counts = Counter(kinds)
    parts = [f"{counts[kind]:,} {kind}" for kind in STYLES if counts[kind]]
    where = f" in {folders:,} folders" if folders > 1 else ""
    _print(out, Text(f"{len(kinds):,} files{where}: {', '.join(parts)}"))


def _print(out: Console, *parts: Text) -> None:
    out.print(Text.assemble(*parts), soft_wrap=True)
