"""Objectives of a program: which kernels compute them."""

from __future__ import annotations

from math import log

import pytest
import torch

from mlr.data.base import Dataset, Split
from mlr.training.background import Background
from mlr.training.step import Program
from tests.training.conftest import experiment


@pytest.mark.parametrize("loss", ["bce", "se"])
def test_targets_between_0_and_1_are_taken_as_they_are(loss):
    """At z = ln 3 the output is ¾."""
    part = Split(torch.zeros(4, 1), torch.tensor([[0.3], [0.5], [0.0], [1.0]]))
    data = Dataset("shares", part, part, part, None)
    program = Program([experiment(loss=loss, data=data, batch_size=4)], Background(0))
    lanes, t = len(program.lanes), part.targets[:, 0]
    z, every = torch.full((lanes, 4, 1), log(3)), part.targets.expand(lanes, 4, 1)
    if loss == "bce":
        losses, gradient = -t * log(0.75) - (1 - t) * log(0.25), 0.75 - t
    else:
        losses, gradient = 0.5 * (0.75 - t) ** 2, (0.75 - t) * 0.75 * 0.25
    torch.testing.assert_close(program.objectives.losses(z, every)[0], losses)
    torch.testing.assert_close(program.objectives.gradient(z, every)[0, :, 0], gradient)


def test_classes_are_computed_by_the_kernel_of_hard_targets():
    program = Program([experiment(), experiment(loss="se")], Background(0))
    for group, run in zip(program.objectives.groups, program.runs, strict=True):
        assert group.kernel is run.objective.kernel.hard
