"""Sizes of layers by hand, of two lanes."""

import pytest
import torch

from mlr.probes.base import Subject
from mlr.probes.layers import UnitStatistics

SUBJECT = Subject(2, layers=("hidden1", "output"), dense=("hidden1", "output"), hidden=("hidden1",))


def watch():
    return UnitStatistics(frozenset({"sample_gradient", "units"}), SUBJECT, threshold=0.01)


def test_dead_units_are_exactly_0_and_flat_ones_below_the_threshold():
    seen = watch()
    # units of the first lane: never on, on by 1e-30 once, on once; all of the second are on
    outputs = torch.tensor([[[0.0, 1e-30, 0], [0, 0, -2]], [[1, 1, 1], [1, 1, 1]]])
    slopes = torch.tensor([[[0.0, 0.01, 0], [0, -0.01, 1]], [[1, 1, 1], [1, 1, -0.009]]])
    seen.hidden("hidden1", outputs, lambda: slopes)
    found = seen.values(torch.zeros(2, 2, 1))
    torch.testing.assert_close(found["dead"], torch.tensor([[1 / 3], [0]]))
    torch.testing.assert_close(found["flat"], torch.tensor([[3 / 6], [1 / 6]]))
    # no dense layer was seen
    assert found["sample_squares"].isnan().all()


@pytest.mark.parametrize("bias", [True, False])
def test_squares_of_each_examples_gradient(bias):
    seen = watch()
    inputs = torch.tensor([[[1.0, 2], [3, 4]], [[0, 0], [1, 1]]])
    deltas = torch.tensor([[[2.0], [1]], [[3], [0]]])
    seen.dense("output", inputs, deltas, bias)
    found = seen.values(torch.zeros(2, 2, 1))["sample_squares"]
    assert found[:, 0].isnan().all()
    # ‖δ‖² (‖a‖² + 1): 4 · 5, 1 · 25; 9 · 0, 0 · 2
    more = bias * torch.tensor([[4.0, 1], [9, 0]])
    assert torch.equal(found[:, 1], torch.tensor([[20.0, 25], [0, 0]]) + more)
