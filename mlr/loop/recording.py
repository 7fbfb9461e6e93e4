"""Recording of watched steps: measured in blocks, and written to a sink."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mlr.loop.sinks import Sink
from mlr.loop.steps import StepStack, WatchedStep
from mlr.probes.histograms import Histogram
from mlr.probes.measuring import Measured, Measurements

FINAL = (
    *("loss/train", "accuracy/train", "logit_grad/wrong", "logit_grad/right"),
    *("stuck/fraction", "stuck/zero", "saturation/fraction"),
)
"""Tags whose last number is a final one."""


class Recording:
    """Collects steps, and flushes them in blocks.

    Args:
        sink: records the blocks.
        stack_of: makes the stack, of which the first step shows what can be measured.
    """

    def __init__(self, sink: Sink, stack_of: Callable[[WatchedStep], StepStack]) -> None:
        self.sink, self.stack_of = sink, stack_of
        self.stack: StepStack | None = None
        self.rates: list[float | Tensor] = []
        self.last: dict[str, float] = {}
        self.broken = False

    def keep(self, step: WatchedStep) -> None:
        """Add a step, later than those before."""
        if self.broken:
            return
        if self.stack is None:
            self.stack = self.stack_of(step)
            self.measurements = Measurements(self.stack.probes, self.stack.values)
            self.sink.begin((*self.stack.tags, "learning_rate"))
        self.measurements.keep(step.scheduled())
        self.rates.append(step.rate)
        if self.measurements.due():
            self.flush()

    def flush(self) -> None:
        """Measure the collected steps in one transfer, and record them.

        A full disk stops the recording, with a warning, and not the training.
        """
        if self.stack is None:
            return
        measured, rates = self.measurements.measured(), self.rates
        self.measurements.forget()
        self.rates = []
        if measured is not None:
            with self._stopped_by_disk():
                self._record(self.stack, measured, np.array([[float(rate)] for rate in rates]))

    def close(self, status: str, reason: str | None, metrics: Mapping[str, float]) -> None:
        """Record the rest, and the end."""
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

    def _record(self, stack: StepStack, measured: Measured, rates: NDArray) -> None:
        values = measured.numbers[:, 0, stack.known]
        present = measured.present[:, 0, stack.known]
        for column, tag in enumerate(stack.tags):
            rows = np.flatnonzero(present[:, column])
            if tag in FINAL and len(rows):
                self.last[tag] = float(values[rows[-1], column])
        values = np.concatenate((values, rates.astype(values.dtype)), axis=1)
        present = np.concatenate((present, np.ones_like(rates, dtype=bool)), axis=1)
        histograms = {
            tag: Histogram(*(column[:, 0] for column in columns))
            for tag, columns in measured.histograms.items()
        }
        self.sink.record(measured._replace(numbers=values, present=present, histograms=histograms))
