"""Probes of ordered classes, whose outputs are levels."""

from __future__ import annotations

import torch

from mlr.probes.families.classes import are_levels, own_output
from mlr.probes.families.confidence import confidence
from mlr.probes.families.prediction import by_target

LEVELS = torch.tensor([[0.9, 0.6, 0.1], [0.8, 0.2, 0.05], [0.99, 0.9, 0.7]])
LABELS = torch.tensor([0.0, 2.0, 3.0])


def test_levels_are_one_fewer_than_classes():
    assert are_levels(LEVELS, 4)
    assert not are_levels(LEVELS, 3)
    assert not are_levels(LEVELS[:, :1], 2)
    assert not are_levels(LEVELS, None)


def test_the_own_level_is_the_first_above_the_class():
    assert own_output(LEVELS, LABELS).tolist() == LEVELS[[0, 1, 2], [0, 2, 2]].tolist()


def test_confidence_is_that_of_the_likeliest_class():
    expected = torch.tensor([0.5, 0.6, 0.7])  # of classes 2, 1 and 3
    torch.testing.assert_close(confidence(LEVELS, 4), expected)
    assert confidence(LEVELS, 3).tolist() == LEVELS[:, 0].tolist()


def test_outputs_by_target_are_levels_reached_or_not():
    (one, has_one), (zero, has_zero) = by_target(LEVELS, LABELS, 4)
    assert has_one.tolist() == [0, 1, 1]
    assert has_zero.tolist() == [1, 1, 0]
    torch.testing.assert_close(one[1:], torch.tensor([0.5, (0.99 + 0.9 + 0.7) / 3]))
    torch.testing.assert_close(zero[:2], torch.tensor([1.6 / 3, 0.05]))
