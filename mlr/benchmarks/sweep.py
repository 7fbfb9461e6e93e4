"""What a sweep costs without its files: N runs as one program, beside N loops by hand.

Every run has a data order of its own. The default probes are computed to the last number,
and the numbers are handed to nobody. Loops by hand are measured on a few and counted N times,
on one thread, on which they are faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from types import MappingProxyType
from typing import cast
from unittest.mock import patch

from mlr.benchmarks.rows import Row, duration, in_turn, timed
from mlr.benchmarks.works import LOGISTIC, Work, by_hand, experiment, make_data
from mlr.data.base import Dataset, Split
from mlr.models import Mlp
from mlr.records import Recorder
from mlr.training import Experiment, Result, log, train

BY_HAND = 4
"""Loops measured for many."""
COUNTS = (1, 8, 64, 512, 1024)
PROMISED = MappingProxyType({512: 0.004})
DIGITS = Work("MLP 64-32-10, digits, batch 64, 10 epochs", 1797, 64, 10, 64, 10, Mlp((32,)))
DIGITS_PROMISED = MappingProxyType({64: 0.15})


def rows(
    repeats: int,
    work: Work = LOGISTIC,
    counts: Sequence[int] = COUNTS,
    promised: Mapping[int, float] = PROMISED,
) -> Iterator[Row]:
    """Sweeps of several sizes, and whether a run gets cheaper with every one."""
    each = {}
    for count in counts:
        own, hand = _beside_loops(repeats, work, make_data(work), count)
        each[count] = own / count
        yield _row(count, own, hand, promised)
    for before, after in pairwise(counts):
        other = f"{duration(each[before])} a run at N = {before}"
        ratio = each[after] / each[before]
        yield Row(f"a run at N = {after}", duration(each[after]), other, ratio, most=1)


def mlps(
    repeats: int,
    work: Work = DIGITS,
    counts: Sequence[int] = (64,),
    promised: Mapping[int, float] = DIGITS_PROMISED,
) -> Iterator[Row]:
    """Sweeps of a small network on all of the real digits."""
    for count in counts:
        own, hand = _beside_loops(repeats, work, all_digits(), count)
        yield _row(count, own, hand, promised)


def train_unrecorded(experiments: Sequence[Experiment]) -> list[Result]:
    """Train as ever, but for the files: every number is computed, and none encoded or written."""
    with _nothing_is_written():
        return train(experiments, [cast(Recorder, object())] * len(experiments))


@contextmanager
def _nothing_is_written() -> Iterator[None]:
    def nothing(*_: object, **__: object) -> None:
        """In place of the records."""

    with ExitStack() as stack:
        for name in ("record_scalars", "record_histograms", "flush_all"):
            stack.enter_context(patch.object(log, name, nothing))
        yield


def _beside_loops(repeats: int, work: Work, data: Dataset, count: int) -> tuple[float, float]:
    """Seconds of a sweep, and of as many loops."""
    experiments = [experiment(work, data, seed) for seed in range(count)]
    few = min(count, BY_HAND)
    own, hand = in_turn(
        [
            timed(partial(train_unrecorded, experiments)),
            timed(partial(by_hand, work, data, few, one_thread=True)),
        ],
        repeats,
    )
    return own, hand * count / few


def _row(count: int, own: float, hand: float, promised: Mapping[int, float]) -> Row:
    return Row(
        f"N = {count}",
        f"{duration(own)}, {duration(own / count)} a run",
        f"{duration(hand)} by hand",
        own / hand,
        most=promised.get(count),
    )


def all_digits() -> Dataset:
    """scikit-learn's 1,797 digits, flat, all of them to train on."""
    import torch
    from sklearn.datasets import load_digits

    bundle = load_digits()
    features = torch.from_numpy(bundle.data).float() / 16
    labels = torch.from_numpy(bundle.target).long()
    held_out = Split(features[:200], labels[:200])
    return Dataset("digits", Split(features, labels), held_out, held_out, 10)
