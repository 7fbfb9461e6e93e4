"""Scalars of event files that any program wrote, and the runs that they belong to.

Source: tensorboard/compat/proto/{event,summary}.proto; torch.utils.tensorboard and Keras write a
scalar as `simple_value` or as a tensor of one element.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlr.core.checks import DataError, UnreadableError
from mlr.records.encoding import FOOTER, HEADER, payload_of, records

MARK = "tfevents"
"""Part of the name of each event file."""
NEAR = 3
"""Most values that tell the level at which a part of a curve begins or ends."""
FEW = 0.5
"""Share of the points below which different steps are too few to be numbers of updates."""


class Points(NamedTuple):
    """Scalars under one tag, in the order in which they were written."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    counted: bool = True
    """False if `steps` number the points, because the written ones do not count updates"""


@dataclass(frozen=True)
class EventFile:
    """Scalars of one file.

    path: of the file.
    started: wall time of its first record, seconds since 1970.
    scalars: by tag.
    damage: why its end is left out; empty for a whole file.
    """

    path: Path
    started: float
    scalars: dict[str, Points]
    damage: str = ""

    def continues(self, earlier: dict[str, Points]) -> bool:
        """Return True unless a tag begins again where it began in earlier files."""
        shared = self.scalars.keys() & earlier.keys()
        return all(self.scalars[tag].steps[0] > earlier[tag].steps[0] for tag in shared)


def read_event_file(path: Path) -> EventFile:
    """Read the scalars of an event file, up to its first damaged record.

    Raises:
        UnreadableError: the file cannot be read.
        DataError: its first record is damaged.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    found: dict[str, tuple[list[int], list[float]]] = {}
    plugins: dict[str, str] = {}
    started, damage = 0.0, ""
    for framed in (readable := _Readable(path)):
        try:
            event = Event.FromString(payload_of(framed))
        except DecodeError:
            damage = f"{path} holds a record that is no event of TensorBoard"
            break
        started = started or event.wall_time
        for value in event.summary.value:
            if name := value.metadata.plugin_data.plugin_name:
                plugins.setdefault(value.tag, name)
            number = _number(value, plugins.get(value.tag, "scalars"))
            if number is not None:
                steps, values = found.setdefault(value.tag, ([], []))
                steps.append(event.step)
                values.append(number)
    scalars = {tag: Points(np.array(s), np.array(v)) for tag, (s, v) in found.items()}
    return EventFile(path, started, scalars, damage or readable.damage)


class _Readable:
    """Records of a file up to the first that is damaged; `damage` then tells of it."""

    def __init__(self, path: Path) -> None:
        self.path, self.damage = path, ""

    def __iter__(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                if not os.fstat(file.fileno()).st_size:  # nothing was written yet
                    return
                with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
                    yield from self._of(content)
        except OSError as error:
            raise UnreadableError(f"{self.path} cannot be read: {error.strerror}.") from None

    def _of(self, content: mmap) -> Iterator[bytes]:
        at = 0
        try:
            for framed in records(content):
                yield framed
                at += len(framed)
        except ValueError as error:
            if not at:
                raise DataError(
                    f"{self.path} is damaged at its first record, or no event file; give a file "
                    "that a SummaryWriter wrote, or its folder."
                ) from None
            length = int.from_bytes(content[at : at + 8], "little")
            if len(content) - at < HEADER + length + FOOTER:
                self.damage = f"{self.path} ends in half a record: its training was killed or runs"
            else:
                self.damage = f"{self.path} {error}, and what follows is left out"


def _number(value: Any, plugin: str) -> float | None:
    """Return the scalar of a summary's value; None for anything else."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind != "tensor" or plugin != "scalars":
        return None
    if prod(one.size for one in value.tensor.tensor_shape.dim) != 1:
        return None
    from tensorboard.util.tensor_util import make_ndarray

    try:
        return float(make_ndarray(value.tensor).item())
    except (TypeError, ValueError):  # a text
        return None


def joined(earlier: Points, later: Points) -> Points:
    """Append points of a training that went on, in place of the earlier ones of these steps."""
    left = earlier.steps < later.steps[0]
    return Points(
        np.concatenate([earlier.steps[left], later.steps]),
        np.concatenate([earlier.values[left], later.values]),
    )


def runs_of(files: Sequence[EventFile]) -> Iterator[tuple[list[EventFile], dict[str, Points]]]:
    """Yield the trainings that wrote the files of a folder, each with its files and scalars.

    A file whose tags begin again where they began before is of another training.
    """
    own: list[EventFile] = []
    scalars: dict[str, Points] = {}
    for file in sorted(files, key=lambda one: (one.started, one.path)):
        if not file.continues(scalars):
            yield own, scalars
            own, scalars = [], {}
        own.append(file)
        for tag, points in file.scalars.items():
            scalars[tag] = joined(scalars[tag], points) if tag in scalars else points
    if own:
        yield own, scalars


def in_order(points: Points) -> Points:
    """Return points with increasing steps, the last one of each step.

    Where steps begin again, a training that went on replaces what came later before. A second
    training in the same file is known by a level near that of the start, and replaces the first.
    Otherwise the steps count within an epoch, or do not count, and the points are numbered.
    """
    steps, values, _ = points
    starts = np.flatnonzero(np.diff(steps) < 0) + 1
    if len(starts):
        last = starts[-1]
        if (steps[starts] > steps[0]).all():
            later = Points(steps[last:], values[last:])
            return joined(in_order(Points(steps[:last], values[:last])), in_order(later))
        again = [at for at in starts.tolist() if steps[at] <= steps[0] and _anew(values, at)]
        if again:
            return in_order(Points(steps[again[-1] :], values[again[-1] :]))
    kept = np.flatnonzero(np.append(np.diff(steps) != 0, True))
    if len(starts) or len(kept) < FEW * len(steps):
        return Points(np.arange(1, len(steps) + 1), values, counted=False)
    return Points(steps[kept], values[kept])


def _anew(values: NDArray[np.float64], at: int) -> bool:
    """Return True if the values from `at` on begin nearer to the first ones than to the last."""
    near = max(1, min(NEAR, at // 4))
    first, before, begin = values[:near], values[at - near : at], values[at : at + near]
    level = begin.mean()
    return bool(abs(level - first.mean()) < abs(level - before.mean()))
