"""Cost of probes: the same training with probes=off, basic and full, files included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from mlr.benchmarks.rows import BenchmarkRow, duration, in_turn, timed
from mlr.benchmarks.workloads import IMAGES, LOGISTIC, Workload, by_mlr, make_data
from mlr.models import Cnn, Linear
from mlr.probes.settings import presets

DEFAULT = MappingProxyType({"basic": 1.02, "full": 1.10})
EVERY_STEP = MappingProxyType({"basic": 1.3, "full": 2.0})


@dataclass(frozen=True)
class ProbedTraining:
    """A training that is measured with and without probes.

    work: the workload.
    repeats: most repeats, fewer for long trainings.
    """

    work: Workload
    repeats: int = 11


CASES = (
    ProbedTraining(
        Workload(
            "softmax regression 784-10, batch 128, 10 epochs", 60_000, 784, 10, 128, 10, Linear()
        ),
        repeats=5,
    ),
    ProbedTraining(
        replace(IMAGES, title="MLP 784-128-10, batch 128, 10 epochs", epochs=10), repeats=5
    ),
    ProbedTraining(
        Workload(
            *("CNN, 28×28, batch 64, 5 epochs", 8_000, 784, 10, 64, 5, Cnn(channels=[8, 16])),
            side=28,
        ),
        repeats=3,
    ),
    ProbedTraining(LOGISTIC),
)


def rows(repeats: int, cases: Sequence[ProbedTraining] = CASES) -> Iterator[BenchmarkRow]:
    """Compare each training, by default and with probes at every step, with the unmeasured."""
    for case in cases:
        data = make_data(case.work)
        with TemporaryDirectory() as folder:
            measures = [timed(partial(by_mlr, case.work, data, Path(folder), presets()["off"]))]
            asked = [
                (name, words, most)
                for words, promises in (("default", DEFAULT), ("every step", EVERY_STEP))
                for name, most in promises.items()
            ]
            for name, words, _ in asked:
                chosen = presets()[name]
                if words == "every step":
                    chosen = replace(chosen, points="every:1")
                measures.append(timed(partial(by_mlr, case.work, data, Path(folder), chosen)))
            off, *others = in_turn(measures, min(repeats, case.repeats))
        for (name, words, most), own in zip(asked, others, strict=True):
            what = f"{case.work.title}: {name}, {words}"
            yield BenchmarkRow(what, duration(own), f"{duration(off)} off", own / off, most=most)
