"""Objectives of a program: which kernels compute them."""

from __future__ import annotations

import pytest
import torch

from mlr.data.base import Dataset, Split
from mlr.training.background import Background
from mlr.training.step import Program
from tests.training.conftest import experiment


@pytest.mark.parametrize("loss", ["bce", "se"])
def test_targets_between_0_and_1_are_taken_as_they_are(loss):
    """At z = 0 the output is ½ and its slope ¼."""
    part = Split(torch.zeros(4, 1), torch.tensor([[0.3], [0.5], [0.0], [1.0]]))
    data = Dataset("shares", part, part, part, None)
    program = Program([experiment(loss=loss, data=data, batch_size=4)], Background(0))
    lanes = len(program.lanes)
    z, t = torch.zeros(lanes, 4, 1), part.targets.expand(lanes, 4, 1)
    slope, expected = 1 if loss == "bce" else 0.25, torch.tensor([0.2, 0.0, 0.5, -0.5])
    found = program.objectives.gradient(z, t)[0, :, 0]
    torch.testing.assert_close(found, slope * expected)


def test_classes_are_computed_by_the_kernel_of_hard_targets():
    program = Program([experiment(), experiment(loss="se")], Background(0))
    for group, run in zip(program.objectives.groups, program.runs, strict=True):
        assert group.kernel is run.objective.kernel.hard
