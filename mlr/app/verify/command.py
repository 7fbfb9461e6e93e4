"""The command verify: find the runs, look at them, mend them, print what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mlr.app import console
from mlr.app.runs_begun import STATUS
from mlr.app.sweep_folder import STORY, TABLE
from mlr.app.verify import run, sweep
from mlr.app.verify.findings import DAMAGED, UNREADABLE, Examined
from mlr.app.verify.printing import print_examined, print_sum
from mlr.app.verify.repair import mend
from mlr.checks import DataError, InputError
from mlr.commandline import command
from mlr.durable import WriteError

Examine = Callable[[Path], Examined]


def main(places: Sequence[str], repair: bool = False) -> int:
    """Look at every file of the runs in folders; returns the exit code.

    Args:
        places: folders of runs or of sweeps, or above them.
        repair: mend what can be mended.

    Returns:
        0 where all is good or mended, 3 where something is damaged, 74 where a file cannot be read.

    Raises:
        InputError: there is no run.
        WriteError: what is mended cannot be written.
    """
    kinds: list[str] = []
    out = console.console()
    found = [one for place in places for one in folders(Path(place))]
    for folder, examine in dict(found).items():
        examined = mend(examine(folder)) if repair else examine(folder)
        print_examined(out, examined, brief=len(found) > 1)
        kinds += [one.kind for one in examined.found]
    print_sum(out, kinds, len(found))
    if UNREADABLE in kinds:
        return WriteError.exit_code
    return DataError.exit_code if DAMAGED in kinds else 0


def folders(place: Path) -> Iterator[tuple[Path, Examine]]:
    """Runs and sweeps in a folder and below it, each with what examines it.

    Raises:
        InputError: there is none.
    """
    if not place.is_dir():
        raise InputError(f"{place} is not a folder; give a folder of runs, for example runs.")
    if (place / STATUS).exists():
        yield place, run.examine
        return
    sweeps = {path.parent for name in (TABLE, STORY) for path in place.rglob(name)}
    runs = {path.parent for path in place.rglob(STATUS)}
    if not sweeps and not runs:
        raise InputError(f"{place} holds no run; train one with `{command('train')}`.")
    for folder in sorted(sweeps | runs):
        if folder in sweeps:
            yield folder, sweep.examine
        if folder in runs:
            yield folder, run.examine
