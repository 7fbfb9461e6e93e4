"""The nearest other example, among those that are compared."""

from __future__ import annotations

import pytest
import torch

from mlr.training.separability import same_class_as_nearest


@pytest.mark.parametrize(
    ("most", "share"), [(9, 1 / 3), (6, 1 / 3), (5, 2 / 3), (3, 2 / 3), (2, 0)]
)
def test_of_many_examples_evenly_spread_ones_are_compared(monkeypatch, most, share):
    """All of them, every second one at 0, 9 and 20, or every third one at 0 and 11."""
    monkeypatch.setattr("mlr.training.separability.MOST_COMPARED", most)
    features = torch.tensor([0.0, 1, 9, 11, 20, 22]).view(6, 1, 1)
    labels = torch.tensor([0, 1, 0, 1, 1, 1])
    assert same_class_as_nearest(features, labels) == pytest.approx(share)
