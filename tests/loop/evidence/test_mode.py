"""Batch normalisation that never learns its statistics."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mlr.loop.evidence.mode import share_of_the_start, unlearned_norms, untracked


def test_batch_normalisation_without_momentum():
    never = nn.BatchNorm1d(3, momentum=0.0)
    assert untracked(nn.Sequential(never, nn.BatchNorm2d(3, momentum=0.0))) == 2
    for momentum in (0.1, 1.0, None):  # whose first batch will change them
        assert untracked(nn.BatchNorm1d(3, momentum=momentum)) == 0
    assert untracked(nn.BatchNorm1d(3, momentum=0.0, track_running_stats=False)) == 0
    never.running_var.fill_(2.0)  # as one that was loaded
    assert untracked(never) == 0


def test_the_share_of_the_start_in_running_statistics():
    quick, slow, plain = (nn.BatchNorm1d(3, momentum=one) for one in (0.1, 0.001, None))
    loaded = nn.BatchNorm1d(3, momentum=0.001)
    loaded.running_var.fill_(2.0)
    norms = unlearned_norms(nn.Sequential(quick, slow, plain, loaded))
    assert norms == [quick, slow, plain]
    x = torch.randn(64, 3) + 5.0
    for _ in range(40):
        for one in (quick, slow, plain):
            one(x)
    # of a constant batch the running mean is what is left of 0
    left = 1 - float((slow.running_mean / x.mean(0)).mean())
    assert share_of_the_start(norms) == pytest.approx(left, rel=1e-4)
    assert share_of_the_start([quick]) == pytest.approx(0.9**40)
    assert share_of_the_start([plain]) != share_of_the_start([plain])
