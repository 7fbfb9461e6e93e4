from __future__ import annotations

from math import inf

import numpy as np
import pytest
import torch
from torch import nn

from mlr.probes import measuring
from mlr.training import batches, log, train
from tests.training.conftest import dataset, experiment

KINDS = {
    "lanes last": dict,
    "several classes": lambda: {"head": "softmax", "loss": "ce", "data": dataset(3)},
    "dense": lambda: {"module": layers(nn.ReLU(), width=64)},
    "any module": lambda: {"module": layers(nn.Dropout(0.3), width=6)},
}


def layers(between: nn.Module, width: int) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, width), between, nn.Linear(width, 1)).double()


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_do_not_hang_on_how_batches_are_gathered(monkeypatch, kind):
    """Memory that is used again, and threads, must not change what a step saw."""
    found: list[np.ndarray] = []
    monkeypatch.setattr(log, "record_scalars", lambda *block: found.append(block[3].copy()))
    monkeypatch.setattr(
        log, "record_histograms", lambda *_, counts, **__: found.append(counts.copy())
    )
    monkeypatch.setattr(log, "flush_all", lambda recorders: None)

    def numbers(threads_from: int, gathered: int, stacked: int) -> list[np.ndarray]:
        monkeypatch.setattr(batches, "GATHER_BYTES", gathered)
        monkeypatch.setattr(measuring, "STACK_VALUES", stacked)
        monkeypatch.setattr(measuring, "FLUSH_SECONDS", inf)  # a slow machine flushes more often
        found.clear()
        runs = [experiment(seed=seed, batch_size=7, **KINDS[kind]()) for seed in range(3)]
        train(runs, [object()] * len(runs))
        return list(found)

    never = 10**9
    expected = numbers(never, never, never)
    assert expected
    for way in ((never, 1, never), (0, 1, 50), (0, 1000, never), (0, never, 50)):
        for before, after in zip(expected, numbers(*way), strict=True):
            np.testing.assert_array_equal(before, after)
