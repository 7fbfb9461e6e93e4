"""Points on their way to a sink: kept on their device, and measured many at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from mlr.loop.point import Measured, Meter, Point
from mlr.loop.sinks import Sink
from mlr.probes.histograms import Histogram, histogram
from mlr.probes.settings import HISTOGRAMS

FLUSH_SECONDS = 2.0
FLUSH_POINTS = 256
FLUSH_NUMBERS = 1 << 22
"""Logits that are kept, at most."""
ENDS = (
    *("loss/train", "accuracy/train", "logit_grad/wrong", "logit_grad/right"),
    *("stuck/fraction", "stuck/zero", "saturation/fraction"),
)
"""Tags whose last number is a final one."""
BARS = {"histogram/logits": "logits", "histogram/logit_grad": "logit_grads"}
"""Tag of each histogram → attribute of `Point`."""


class Recording:
    """Keeps points, and flushes them in blocks.

    Args:
        sink: which takes them.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.meter: Meter | None = None
        self.last: dict[str, float] = {}
        self.broken = False
        self._forget()

    def _forget(self) -> None:
        self.points: list[Point] = []
        self.numbers = 0
        self.flushed_at = perf_counter()

    @property
    def begun(self) -> bool:
        """Tell if it is known what there is to measure."""
        return self.meter is not None

    def begin(self, meter: Meter) -> None:
        """From now on points can be measured."""
        self.meter = meter
        self.sink.begin((*meter.tags, "learning_rate"))

    def keep(self, point: Point) -> None:
        """One more, later than those before."""
        if self.broken:
            return
        self.points.append(point)
        self.numbers += point.logits.numel()
        late = perf_counter() - self.flushed_at > FLUSH_SECONDS
        if late or len(self.points) >= FLUSH_POINTS or self.numbers >= FLUSH_NUMBERS:
            self.flush()

    def flush(self) -> None:
        """Measure what is kept, in one transfer, and hand it over; then its histograms.

        A disk that is full stops the recording, with a warning, and not the training.
        """
        points, meter = self.points, self.meter
        self._forget()
        if meter is not None and points:
            stacks = meter.measure(points)
            with self._stopped_by_disk():
                self._record(points, stacks)

    def close(self, status: str, reason: str | None, metrics: Mapping[str, float]) -> None:
        """The rest, and the end."""
        self.flush()
        if self.broken:
            return
        with self._stopped_by_disk():
            self.sink.close(status, reason, {**self.last, **metrics})

    @contextmanager
    def _stopped_by_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.broken = True
            warnings.warn(f"GradientProbe stops recording: {error}", stacklevel=2)

    def _record(self, points: list[Point], stacks: list[Measured]) -> None:
        values, present = _on_host(stacks)
        order = np.argsort([point.step for stack in stacks for point in stack.points])
        rates = np.array([[float(p.rate)] for p in points], dtype=values.dtype)
        values = np.concatenate((values[order], rates), axis=1)
        present = np.concatenate((present[order], np.ones_like(rates, dtype=bool)), axis=1)
        self.sink.scalars(_steps(points), _times(points), values, present)
        self._remember_last(values, present)
        for stack in stacks:
            self._draw(stack)
        self.sink.flush()

    def _remember_last(self, values: NDArray, present: NDArray) -> None:
        assert self.meter is not None
        for column, tag in enumerate(self.meter.tags):
            rows = np.flatnonzero(present[:, column])
            if tag in ENDS and len(rows):
                self.last[tag] = float(values[rows[-1], column])

    def _draw(self, stack: Measured) -> None:
        points = [point for point in stack.points if HISTOGRAMS in point.due]
        for tag, attribute in BARS.items() if points else ():
            values = torch.stack([getattr(point, attribute) for point in points])
            columns = [column.cpu().numpy() for column in histogram(values.flatten(1))]
            self.sink.histograms(_steps(points), _times(points), tag, Histogram(*columns))


def _on_host(stacks: list[Measured]) -> tuple[NDArray, NDArray]:
    """Numbers and presence (P, tags) of all stacks, one behind the other."""
    numbers = torch.cat([stack.numbers for stack in stacks])
    present = torch.cat([stack.present for stack in stacks])
    both = torch.cat((numbers, present.to(numbers.dtype)), dim=1).cpu().numpy()
    width = numbers.shape[1]
    return both[:, :width], both[:, width:] > 0


def _steps(points: list[Point]) -> NDArray:
    return np.array([point.step for point in points], dtype=np.int64)


def _times(points: list[Point]) -> NDArray:
    return np.array([point.time for point in points])
