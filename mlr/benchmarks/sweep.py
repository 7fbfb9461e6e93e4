"""Time of a sweep without its files: N runs as one program, compared with N loops by hand.

Every run has its own data order. The default probes are computed, but not recorded. A few loops
by hand are measured and extrapolated to N, on one thread, on which they are faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from statistics import median
from types import MappingProxyType
from typing import cast
from unittest.mock import patch

from mlr.benchmarks.rows import BenchmarkRow, Ratio, duration, rounds, timed
from mlr.benchmarks.workloads import LOGISTIC, Workload, by_hand, experiment, make_data
from mlr.data.base import Dataset, Split
from mlr.data.digits import read_digits
from mlr.models import Mlp
from mlr.records import Recorder
from mlr.training import Experiment, Result, log, train

BY_HAND = 4
"""Loops by hand that are measured."""
COUNTS = (1, 8, 64, 512, 1024)
PROMISED = MappingProxyType({512: 0.0025})
DIGITS = Workload("MLP 64-32-10, digits, batch 64, 10 epochs", 1797, 64, 10, 64, 10, Mlp((32,)))
DIGITS_PROMISED = MappingProxyType({64: 0.15})


def rows(
    repeats: int,
    work: Workload = LOGISTIC,
    counts: Sequence[int] = COUNTS,
    promised: Mapping[int, float] = PROMISED,
) -> Iterator[BenchmarkRow]:
    """Measure sweeps of several sizes, and the time per run from size to size."""
    sweeps, hand = _sweeps_and_loop(repeats, work, make_data(work), counts)
    for count, own in zip(counts, sweeps, strict=True):
        quantity = f"{count} runs in-process ÷ {count} hand loops" if count in promised else ""
        yield _row(count, own, hand, promised, quantity)
    each = [[s / n for s in own] for n, own in zip(counts, sweeps, strict=True)]
    for (before, earlier), (after, own) in pairwise(zip(counts, each, strict=True)):
        yield BenchmarkRow(
            f"a run at N = {after}",
            duration(median(own)),
            f"{duration(median(earlier))} a run at N = {before}",
            Ratio.of(own, earlier),
            most=1,
            quantity=f"N={after} a run ÷ N={before} a run" if before in promised else "",
        )


def mlps(
    repeats: int,
    work: Workload = DIGITS,
    counts: Sequence[int] = (64,),
    promised: Mapping[int, float] = DIGITS_PROMISED,
) -> Iterator[BenchmarkRow]:
    """Measure sweeps of a small network on all of the real digits."""
    sweeps, hand = _sweeps_and_loop(repeats, work, all_digits(), counts)
    for count, own in zip(counts, sweeps, strict=True):
        yield _row(count, own, hand, promised, f"{count} MLPs of digits ÷ {count} hand loops")


def train_unrecorded(experiments: Sequence[Experiment]) -> list[Result]:
    """Train and compute every number, but encode and write none."""
    with _nothing_is_written():
        return train(experiments, [cast(Recorder, object())] * len(experiments))


@contextmanager
def _nothing_is_written() -> Iterator[None]:
    def nothing(*_: object, **__: object) -> None:
        """Record nothing."""

    with ExitStack() as stack:
        for name in ("record_scalars", "record_histograms", "flush_all"):
            stack.enter_context(patch.object(log, name, nothing))
        yield


def _sweeps_and_loop(
    repeats: int, work: Workload, data: Dataset, counts: Sequence[int]
) -> tuple[list[list[float]], list[float]]:
    """Measure the seconds of each sweep, and of one loop, round by round."""
    sweeps = [[experiment(work, data, seed) for seed in range(count)] for count in counts]
    *own, hand = rounds(
        [
            *(timed(partial(train_unrecorded, sweep)) for sweep in sweeps),
            timed(partial(by_hand, work, data, BY_HAND, one_thread=True)),
        ],
        repeats,
    )
    return own, [seconds / BY_HAND for seconds in hand]


def _row(
    count: int,
    own: Sequence[float],
    hand: Sequence[float],
    promised: Mapping[int, float],
    quantity: str,
) -> BenchmarkRow:
    loops = [seconds * count for seconds in hand]
    return BenchmarkRow(
        f"N = {count}",
        f"{duration(median(own))}, {duration(median(own) / count)} a run",
        f"{duration(median(loops))} by hand",
        Ratio.of(own, loops),
        most=promised.get(count),
        quantity=quantity,
    )


def all_digits() -> Dataset:
    """Load the 1,797 digits, flat, all of them to train on."""
    import torch

    images, classes = read_digits()
    features = torch.from_numpy(images.reshape(-1, 64)).float() / 16
    labels = torch.from_numpy(classes)
    held_out = Split(features[:200], labels[:200])
    return Dataset("digits", Split(features, labels), held_out, held_out, 10)
