"""Batch normalisation that never learns its statistics."""

from __future__ import annotations

from torch import nn

from mlr.loop.evidence.mode import untracked


def test_batch_normalisation_without_momentum():
    never = nn.BatchNorm1d(3, momentum=0.0)
    assert untracked(nn.Sequential(never, nn.BatchNorm2d(3, momentum=0.0))) == 2
    for momentum in (0.1, 1.0, None):  # whose first batch will change them
        assert untracked(nn.BatchNorm1d(3, momentum=momentum)) == 0
    assert untracked(nn.BatchNorm1d(3, momentum=0.0, track_running_stats=False)) == 0
    never.running_var.fill_(2.0)  # as one that was loaded
    assert untracked(never) == 0
