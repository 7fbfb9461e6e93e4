"""What it costs that a run can be ended at any moment: a checkpoint a second, beside none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from mlr.app.benchmark.rows import Row, duration, in_turn, timed
from mlr.app.benchmark.works import IMAGES, LR, Work, experiment, make_data
from mlr.app.keepers import Kept, keeper_of
from mlr.data.base import Dataset
from mlr.records import Recorder, RunFolder
from mlr.training import train
from mlr.training.log import run_tags

MOST = 1.01
SECONDS = 1.0
NEVER = 1e9
LONG = replace(IMAGES, title="MLP 784-128-10, batch 128, 20 epochs", epochs=20)


def rows(repeats: int, work: Work = LONG) -> Iterator[Row]:
    """A run that is kept once a second, beside one that is kept at its end only."""
    data = make_data(work)
    with TemporaryDirectory() as folder:
        measures = [
            timed(partial(_kept, work, data, Path(folder), seconds)) for seconds in (SECONDS, NEVER)
        ]
        own, never = in_turn(measures, min(repeats, 5))
    yield Row(work.title, duration(own), f"{duration(never)} none", own / never, most=MOST)


def _kept(work: Work, data: Dataset, folder: Path, seconds: float) -> None:
    run = experiment(work, data)
    claimed = RunFolder.claim(folder / token_hex(8))
    with Recorder(claimed, run_tags(run), {"lr": LR}) as recorder:
        keeper = keeper_of([Kept({"checkpoint": {"seconds": seconds}}, run, recorder)], None)
        (result,) = train([run], [recorder], keeper=keeper)
        recorder.finish(result.status, result.metrics)
