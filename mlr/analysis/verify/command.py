"""The command verify: find the runs, look at them, mend them, print what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from mlr.analysis.verify import run, sweep
from mlr.analysis.verify.findings import DAMAGED, FORMAT, UNREADABLE, Examined, Finding
from mlr.analysis.verify.printing import print_examined, print_sum
from mlr.analysis.verify.repair import mend
from mlr.core import console
from mlr.core.checks import DataError, InputError
from mlr.core.commandline import command
from mlr.core.durable import WriteError
from mlr.records.finding import STATUS, below

Examine = Callable[[Path], Examined]


def main(places: Sequence[str], repair: bool = False) -> int:
    """Look at every file of the runs in folders; returns the exit code.

    Args:
        places: folders of runs or of sweeps, or above them.
        repair: mend what can be mended.

    Returns:
        0 where all is good or mended, 3 where something is damaged or of another format, 74 where
        a file cannot be read.

    Raises:
        InputError: there is no run.
        WriteError: what is mended cannot be written.
    """
    kinds: list[str] = []
    out = console.console()
    found = {folder: examine for place in places for folder, examine in folders(Path(place))}
    for folder, examine in found.items():
        examined = mend(examine(folder)) if repair else examine(folder)
        print_examined(out, examined, brief=len(found) > 1)
        kinds += [one.kind for one in examined.found]
    print_sum(out, kinds, len(found))
    if UNREADABLE in kinds:
        return WriteError.exit_code
    return DataError.exit_code if DAMAGED in kinds or FORMAT in kinds else 0


def folders(place: Path) -> Iterator[tuple[Path, Examine]]:
    """Runs and sweeps in a folder and below it, each with what examines it.

    Raises:
        InputError: there is none.
    """
    if not place.is_dir():
        raise InputError(f"{place} is not a folder; give a folder of runs, for example runs.")
    first, *others = below(place)
    if STATUS in first.names:
        yield place, run.examine
        return
    found = sorted(one for one in (first, *others) if one.is_run or one.is_sweep)
    if not found:
        raise InputError(f"{place} holds no run; train one with `{command('train')}`.")
    for one in found:
        if one.problem:
            yield one.path, partial(_not_looked_into, one.problem)
            continue
        if one.is_sweep:
            yield one.path, sweep.examine
        if one.is_run:
            yield one.path, run.examine


def _not_looked_into(problem: str, folder: Path) -> Examined:
    return Examined(folder, "unknown", "", [Finding(UNREADABLE, ".", problem.rstrip("."))])
