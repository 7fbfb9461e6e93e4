"""Choose what TensorBoard shows of a folder, and the settings in its address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from mlr.app.sweep.summary import MOST_SHOWN
from mlr.core.checks import InputError
from mlr.records.run_folder import EVENTS, METRICS, RUNS_TABLE, STATUS
from mlr.records.tensorboard.layout import BY_PAIR, MOST_TICKED, link

COURSE = "figure/course"
"""Picture on logarithmic axes, which shows the first updates."""
PINNED = 4
"""Pictures pinned: two rows of a wide window."""
BY_RUN = "run"
BY_SEED_GROUP = r"regex:^(?:(.*?)(?:^|[,/])seed=[^,/]*(.*)|(.*))$"
"""Colour by the whole name but the seed."""
_PAIR = re.compile(r"\w+\+\w+")
_SEED = re.compile(r"(?:^|[,/])seed=(-?\d+)(?=,|$)")
_NO_TAGS = ("step", "epoch")


class View(NamedTuple):
    """A folder for TensorBoard.

    folder: the logdir.
    hint: why it is not the folder that was asked for; empty if it is.
    """

    folder: Path
    hint: str = ""

    def link(self) -> str:
        """Build the end of the address from the present content of the folder."""
        if self.folder.name == "summary" and not (self.folder / STATUS).exists():
            nested = (self.folder / "best").is_dir()
            shown = self.folder / "best" if nested else self.folder
            colour = colouring(sorted(path.name for path in shown.iterdir()))
            return link(_tags(_runs(self.folder.parent)), "^best/" if nested else None, colour)
        runs = _runs(self.folder)
        newest = _newest(runs)
        if newest is None or not newest.is_relative_to(self.folder):
            newest = self.folder
        names = [_name(run, self.folder) for run in runs]
        chosen = ticked(names, _name(newest, self.folder))
        pictures = pinned_pictures(self.folder, [run for run in runs if run.is_relative_to(newest)])
        return link(_tags(runs), None, colouring(names), chosen, pictures)


def view(place: Path, every: bool = False) -> View:
    """Choose the logdir to show for a folder.

    Args:
        place: of a run, of a sweep, or above them.
        every: show every run, however many there are.

    Raises:
        InputError: it is not a folder.
    """
    if not place.is_dir():
        raise InputError(f"{place} is not a folder; give a folder of runs, for example runs.")
    if every:
        return View(place)
    if (place / "summary").is_dir():
        return View(place / "summary", "the means over seeds; --all shows every run")
    runs = _runs(place)
    newest = _newest(runs)
    if newest is None or len(runs) <= MOST_SHOWN or all(run.is_relative_to(newest) for run in runs):
        return View(place)
    why = f"the newest of {len(runs):,} runs, too many for one page; --all shows every run"
    return View(view(newest).folder, why)


def colouring(names: Sequence[str]) -> str:
    """Choose how TensorBoard colours runs: by pair if it varies, else by all else but the seed."""
    if len({found[0] for name in names if (found := _PAIR.search(name))}) > 1:
        return BY_PAIR
    return BY_SEED_GROUP if len({_SEED.sub("", name) for name in names}) > 1 else BY_RUN


def ticked(names: Sequence[str], newest: str) -> str | None:
    """Choose the runs that TensorBoard's older pages tick: of more than 40 they tick none.

    Args:
        names: of all runs, as TensorBoard shows them.
        newest: name of the newest sweep or run, `.` for all of the folder.

    Returns:
        Regular expression of the newest runs, of those of the lowest seed if these are too many,
        or of some of them; None if no choice is needed.
    """
    if len(names) <= MOST_TICKED:
        return None
    start = "^" if newest == "." else f"^{re.escape(newest)}(/|$)"
    names = [name for name in names if re.search(start, name)]
    if len(names) <= MOST_TICKED:
        return start
    seeds = [int(found[1]) for name in names if (found := _SEED.search(name))]
    pattern = rf"{start}(.*[,/])?seed={min(seeds, default='')}(,|$)"
    names = [name for name in names if re.search(pattern, name)] or names
    if len(names) <= MOST_TICKED:
        return pattern
    some = names[:: -(-len(names) // MOST_TICKED)]
    return f"^({'|'.join(map(re.escape, some))})$"


def pinned_pictures(folder: Path, runs: Iterable[Path]) -> list[dict[str, Any]]:
    """Build entries of `pinnedCards` in TensorBoard's address, for the first runs with a course."""
    found: list[dict[str, Any]] = []
    for run in runs:
        if len(found) == PINNED:
            break
        if any(COURSE.encode() in path.read_bytes() for path in run.glob(f"{EVENTS}*")):
            name = f"defaultExperimentId/{_name(run, folder)}"  # TensorBoard's, of any logdir
            found.append({"plugin": "images", "tag": COURSE, "runId": name, "sample": 0})
    return found


def _name(run: Path, folder: Path) -> str:
    return run.relative_to(folder).as_posix()


def _runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob(STATUS))


def _newest(runs: Iterable[Path]) -> Path | None:
    """Find the newest sweep of the runs, or run that belongs to none."""
    marks = {mark if (mark := run.parent / RUNS_TABLE).exists() else run / STATUS for run in runs}
    found = max(marks, key=lambda mark: mark.stat().st_mtime, default=None)
    return None if found is None else found.parent


def _tags(runs: Iterable[Path]) -> set[str]:
    """Collect the scalars of runs: the columns of their tables."""
    found: set[str] = set()
    for run in runs:
        with suppress(OSError), (run / METRICS).open(encoding="utf-8", errors="replace") as file:
            found.update(file.readline().rstrip("\n").split(","))
    return found.difference(_NO_TAGS)
