"""Cost of checkpointing once a second, as a share of a run's time.

The time spent in checkpoints is compared with the whole of the same run: two runs of seconds
differ by more than that on a machine with other load.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from mlr.app.run.job import Job
from mlr.app.run.lifecycle import PreparedRun, checkpoint_policy
from mlr.benchmarks.rows import BenchmarkRow, duration
from mlr.benchmarks.workloads import IMAGES, LR, Workload, experiment, make_data
from mlr.data.base import Dataset
from mlr.records import Recorder, RunFolder
from mlr.training import train
from mlr.training.log import run_tags
from mlr.training.loop import TrainingLoop

MOST = 0.01
SECONDS = 1.0
LONG = replace(IMAGES, title="MLP 784-128-10, batch 128, 20 epochs", epochs=20)


def rows(repeats: int, work: Workload = LONG) -> Iterator[BenchmarkRow]:
    """Measure a run with a checkpoint every second."""
    data = make_data(work)
    with TemporaryDirectory() as folder:
        _run(work, data, Path(folder))  # warm-up: work that is done once per dataset
        measured = [_run(work, data, Path(folder)) for _ in range(min(repeats, 5))]
    whole, spent = (median(own) for own in zip(*measured, strict=True))
    share = median(part / whole for whole, part in measured)
    yield BenchmarkRow(
        work.title, duration(whole), f"{duration(spent)} checkpointing", share, most=MOST
    )


def _run(work: Workload, data: Dataset, folder: Path) -> tuple[float, float]:
    """Measure the seconds of a run, and those spent in its checkpoints."""
    run, spent, keep = experiment(work, data), [0.0], TrainingLoop.save

    def timed(self: TrainingLoop) -> None:
        began = perf_counter()
        keep(self)
        spent[0] += perf_counter() - began

    began = perf_counter()
    claimed = RunFolder.claim(folder / token_hex(8))
    TrainingLoop.save = timed  # type: ignore[method-assign]
    try:
        recorder = Recorder(claimed, run_tags(run), {"lr": LR})
        job = Job(0, (), {"checkpoint": {"seconds": SECONDS}}, claimed.path, {})
        own = PreparedRun(job, run)
        own.recorder = recorder
        (result,) = train([run], [recorder], policy=checkpoint_policy([own], None))
        recorder.finish(result.status, result.metrics)
    finally:
        TrainingLoop.save = keep  # type: ignore[method-assign]
    return perf_counter() - began, spent[0]
