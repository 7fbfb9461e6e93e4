"""Trainings of any program, read back from a folder of event files or from one file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlr.core.checks import DataError, InputError, UnreadableError, listed
from mlr.records.discovery import FoundFolder, folders_below
from mlr.records.run_folder import STATUS
from mlr.records.tensorboard.event_files import (
    MARK,
    EventFile,
    Points,
    in_order,
    read_event_file,
    runs_of,
)
from mlr.records.tensorboard.roles import ROLES, Name, assign, check_given, is_part

_MOST_NAMES = 70
"""Characters of names in one sentence."""


@dataclass(frozen=True)
class LoggedCurve:
    """Numbers that a program logged under one tag.

    tag: as logged, after the folder below the run's that holds it, as in validation/epoch_loss.
    steps: increasing.
    values: of the same length; an accuracy in percent is divided by 100.
    counted: False if `steps` number the points.
    """

    tag: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    counted: bool = True


@dataclass(frozen=True)
class LoggedRun:
    """A training by the event files that it left.

    name: of its folder below the one that was asked for, and of its file if that has several runs.
    curves: by role, as in loss/train.
    unused: tags of the scalars without a role.
    notes: sentences about its files.
    """

    name: str
    curves: Mapping[str, LoggedCurve]
    unused: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def has_loss(self) -> bool:
        """True if a loss was recognised."""
        return not self.curves.keys().isdisjoint(("loss/train", "loss/val"))


def is_foreign(place: Path) -> bool:
    """Return True for an event file, or a folder that holds some and neither run nor sweep of mlr.

    The event file of a run of mlr belongs to that run.
    """
    if place.is_file():
        return not (place.parent / STATUS).exists()
    if not place.is_dir():
        return False
    found = False
    for folder in folders_below(place):
        if not folder.problem and (folder.is_run or folder.is_sweep):
            return False
        found = found or _has_events(folder)
    return found


def read_logs(place: Path, given: Mapping[str, str]) -> list[LoggedRun]:
    """Read the trainings whose event files are in a folder or below it, or in one file.

    Args:
        place: folder or file.
        given: tags by role that a person named.

    Returns:
        Runs in the order of their paths; those without a loss have no curve of one.

    Raises:
        DataError: no file can be read.
        InputError: there is no scalar, no loss, or not the tag that was given.
    """
    problems = list[InputError]()
    groups = [_read([place], problems)] if place.is_file() else []
    if not groups:
        found = [one for one in folders_below(place) if _has_events(one)]
        groups = [_read(files, problems) for files in _grouped(found)]
    runs = [_run(place, *one, given) for folders in groups for one in _trainings(folders) if one[1]]
    tags = sorted({tag for run in runs for tag in _tags(run)})
    if not tags:
        if problems:
            raise problems[0]
        raise InputError(
            f"{place} holds event files without scalars; log the loss of the training by "
            "SummaryWriter.add_scalar."
        )
    check_given(given, tags)
    if not any(run.has_loss for run in runs):
        raise InputError(
            f"No tag in {place} is recognised as a loss; say which of these it is by "
            f"--tag {ROLES[0]}=TAG: {listed(tags, _MOST_NAMES)}."
        )
    if problems:
        runs[0] = replace(runs[0], notes=[*runs[0].notes, *map(str, problems)])
    return runs


def _has_events(folder: FoundFolder) -> bool:
    return any(MARK in name for name in folder.names)


def _tags(run: LoggedRun) -> list[str]:
    return [*(curve.tag for curve in run.curves.values()), *run.unused]


def _grouped(found: Sequence[FoundFolder]) -> Iterator[list[Path]]:
    """Yield the event files of each run: those of its folder and of the folders of its parts."""
    runs = defaultdict[Path, list[Path]](list)
    for one in found:
        owner = one.path.parent if is_part(one.path.name) else one.path
        runs[owner] += [one.path / name for name in one.names if MARK in name]
    for _, files in sorted(runs.items()):
        yield sorted(files)


def _read(paths: Iterable[Path], problems: list[InputError]) -> list[EventFile]:
    """Read files; what is wrong with those that cannot be read is added to `problems`."""
    files = []
    for path in paths:
        try:
            files.append(read_event_file(path))
        except (DataError, UnreadableError) as error:
            problems.append(error)
    return files


def _trainings(
    files: Sequence[EventFile],
) -> Iterator[tuple[Path, dict[Name, Points], list[EventFile], bool]]:
    """Yield the trainings of one run's folder, the last ones of its parts together.

    Each with the folder, the scalars, the files, and True if the folder has several trainings.
    """
    if not files:
        return
    folders = sorted({file.path.parent for file in files})
    top = folders[0] if len(folders) == 1 else _common(folders)
    parts = {
        folder: list(runs_of([file for file in files if file.path.parent == folder]))
        for folder in folders
    }
    most = max(len(one) for one in parts.values())
    for back in range(most, 0, -1):
        scalars, own = dict[Name, Points](), list[EventFile]()
        for folder, runs in parts.items():
            if back <= len(runs):
                some, found = runs[-back]
                own += some
                part = "" if folder == top else folder.name
                scalars |= {Name(tag, part): points for tag, points in found.items()}
        yield top, scalars, own, most > 1


def _common(folders: Sequence[Path]) -> Path:
    """Return the run's folder: that of the others, or the one above all of them."""
    first = folders[0]
    return first if all(first in one.parents for one in folders[1:]) else first.parent


def _run(
    place: Path,
    folder: Path,
    scalars: Mapping[Name, Points],
    files: Sequence[EventFile],
    several: bool,
    given: Mapping[str, str],
) -> LoggedRun:
    ordered = {name: in_order(points) for name, points in scalars.items()}
    roles = assign(ordered, given, folder.name)
    notes = [file.damage for file in files if file.damage]
    if not all(ordered[name].counted for name in roles.values()):
        tags = [str(name) for name in roles.values() if not ordered[name].counted]
        notes.append(
            f"steps of {listed(tags, _MOST_NAMES)} do not count updates: points are numbered"
        )
    name = folder.name
    if place.is_dir() and folder != place:
        name = str(folder.relative_to(place))
    if several:
        name = f"{name}/{files[0].path.name}"
    return LoggedRun(
        name,
        {role: _curve(role, name, ordered[name]) for role, name in roles.items()},
        sorted(str(name) for name in scalars if name not in roles.values()),
        notes,
    )


def _curve(role: str, name: Name, points: Points) -> LoggedCurve:
    values = points.values
    in_percent = (
        role.startswith("accuracy") and 1 < values[np.isfinite(values)].max(initial=0) <= 100
    )
    return LoggedCurve(
        str(name), points.steps, values / 100 if in_percent else values, points.counted
    )
