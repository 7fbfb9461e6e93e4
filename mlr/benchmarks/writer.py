"""Time of writing and reading a million scalars, compared with torch's SummaryWriter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from time import perf_counter, time

import numpy as np

from mlr.benchmarks.rows import BenchmarkRow, Measure, duration, in_turn, timed
from mlr.records import Recorder, RunFolder, flush_all, record_scalars
from mlr.records.encoding import scalar_records
from mlr.records.growing_file import new_events

SCALARS = 1_000_000
TAGS = tuple(f"group/{number}" for number in range(20))
RUNS = 100
OF_TORCH = 50
"""Interval of the steps that SummaryWriter writes; its time per step is constant."""


def rows(repeats: int, scalars: int = SCALARS, runs: int = RUNS) -> Iterator[BenchmarkRow]:
    """Measure one file, the files of a sweep, and the share of values that are read back equal."""
    values = np.random.default_rng(0).normal(size=(scalars // len(TAGS), len(TAGS)))
    values = values.astype(np.float32)
    with TemporaryDirectory() as folder:
        here = Path(folder)
        measures = [
            timed(lambda: write_events(here / token_hex(8), values)),
            sweep(here, values, runs),
            timed(lambda: write_by_torch(here / token_hex(8), values[::OF_TORCH])),
        ]
        events, both, torch = in_turn(measures, repeats)
        each = torch / values[::OF_TORCH].size
        other = f"{duration(each)} each by SummaryWriter"
        for what, seconds in (
            ("events of one run", events),
            (f"events, metrics.csv of {runs} runs", both),
        ):
            took = f"{duration(seconds)} for {values.size:,}"
            yield BenchmarkRow(what, took, other, seconds / values.size * 1e6, " µs", most=1)
        target = here / "read"
        write_events(target, values)
        started = perf_counter()
        equal = read_back(target, values)
        took = duration(perf_counter() - started)
        yield BenchmarkRow("read by EventAccumulator", f"{took}", "equal values", equal, least=1)


def write_events(folder: Path, values: np.ndarray) -> None:
    """Write values (P, T) into one event file."""
    folder.mkdir()
    file, steps = new_events(folder), np.arange(len(values))
    there = np.ones(values.shape, dtype=bool)
    file.add(b"".join(scalar_records(steps, TAGS, values, np.full(len(values), time()), there)))
    file.flush()


def sweep(here: Path, values: np.ndarray, runs: int) -> Measure:
    """Build the measure of recording values (P·R, T) for R runs with existing folders."""
    steps = np.arange(len(values) // runs)
    columns = values[: len(steps) * runs].reshape(len(steps), runs, len(TAGS))
    present = np.ones(columns.shape, dtype=bool)

    def measure() -> float:
        folder = here / token_hex(8)
        claimed = [RunFolder.claim(folder / str(run)) for run in range(runs)]
        recorders = [Recorder(one, TAGS, {}) for one in claimed]
        started = perf_counter()
        record_scalars(recorders, steps, steps / 10, columns, present, time() + steps)
        flush_all(recorders)
        return perf_counter() - started

    return measure


def write_by_torch(folder: Path, values: np.ndarray) -> None:
    """Write values (P, T) by add_scalar."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:
        for step, row in enumerate(values.tolist()):
            for tag, value in zip(TAGS, row, strict=True):
                writer.add_scalar(tag, value, step)


def read_back(folder: Path, values: np.ndarray) -> float:
    """Compute the share of values (P, T) that TensorBoard's own reader reads back equal."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    equal = 0
    for column, tag in zip(values.T, TAGS, strict=True):
        read = reader.Scalars(tag)
        in_order = [point.step for point in read] == list(range(len(column)))
        found = np.array([point.value for point in read], dtype=np.float32)
        equal += int((found == column).sum()) if in_order else 0
    return equal / values.size
