"""Choose what TensorBoard shows of a folder, and the settings in its address."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mlr.app.board.run_selection import colouring, pinned_pictures, seed_of, ticked
from mlr.app.sweep.summary import MOST_SHOWN
from mlr.core.checks import InputError
from mlr.records.run_folder import METRICS, RUNS_TABLE, STATUS
from mlr.records.sweep import read_runs_table
from mlr.records.tensorboard.layout import MOST_TICKED, link

COURSE = "figure/course"
"""Picture on logarithmic axes, which shows the first updates."""
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
            return _summary_link(self.folder, _tags(_runs(self.folder.parent)))
        runs = _runs(self.folder)
        names = [run.relative_to(self.folder).as_posix() for run in runs]
        pictures = pinned_pictures(self.folder, _first_drawn(runs), COURSE)
        return link(_tags(runs), None, colouring(names), _ticked(self.folder, runs), pictures)


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
    parents = _parents(runs)
    if len(runs) <= MOST_SHOWN or len(parents) == 1:
        return View(place)
    why = f"the newest of {len(runs):,} runs, too many for one page; --all shows every run"
    return View(view(parents[-1]).folder, why)


def _summary_link(folder: Path, tags: Iterable[str]) -> str:
    """Build the end of the address that opens a sweep's summary."""
    nested = (folder / "best").is_dir()
    names = sorted(path.name for path in (folder / "best" if nested else folder).iterdir())
    return link(tags, "^best/" if nested else None, colouring(names))


def _first_drawn(runs: Sequence[Path]) -> list[Path]:
    """List the runs of the newest sweep in the order of its jobs: the first have figures."""
    newest = _parents(runs)[-1:]
    order = {name: number for place in newest for number, name in enumerate(_names(place))}
    inner = [run for place in newest for run in runs if run.is_relative_to(place)]
    return sorted(inner, key=lambda run: order.get(run.name, len(order)))


def _runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.rglob(STATUS))


def _parents(runs: Iterable[Path]) -> list[Path]:
    """List the sweeps of the runs, and the runs that belong to none, the newest last."""
    marks = {mark if (mark := run.parent / RUNS_TABLE).exists() else run / STATUS for run in runs}
    return [mark.parent for mark in sorted(marks, key=lambda mark: mark.stat().st_mtime)]


def _tags(runs: Iterable[Path]) -> set[str]:
    """Collect the scalars of runs: the columns of their tables."""
    found: set[str] = set()
    for run in runs:
        with suppress(OSError), (run / METRICS).open(encoding="utf-8", errors="replace") as file:
            found.update(file.readline().rstrip("\n").split(","))
    return found.difference(_NO_TAGS)


def _ticked(place: Path, runs: Sequence[Path]) -> str | None:
    """Build a regular expression of a few runs, since TensorBoard ticks none of many.

    Of several sweeps those of the newest; of a large one those of its first seed, which have
    figures.
    """
    if len(runs) <= MOST_TICKED:
        return None
    newest = _parents(runs)[-1]
    inner = [run for run in runs if run.is_relative_to(newest)]
    if len(inner) <= MOST_TICKED:
        return f"^{re.escape(newest.relative_to(place).as_posix())}(/|$)"
    seed = seed_of(next(iter(_names(newest)), ""))
    return ticked([run.relative_to(place).as_posix() for run in inner], seed)


def _names(sweep: Path) -> list[str]:
    """List the runs of a sweep in the order of its jobs; none while it is running."""
    with suppress(OSError, KeyError, ValueError, csv.Error):
        return [row["run"] for row in read_runs_table(sweep / RUNS_TABLE)]
    return []
