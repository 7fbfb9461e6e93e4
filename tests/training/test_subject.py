"""The layers of a network that a run measures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from mlr.models import Linear, Mlp
from mlr.training.subject import subject_of
from tests.training.conftest import experiment


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.bend, self.second = nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)

    def forward(self, x):
        return self.second(self.bend(self.first(x)))


@pytest.mark.parametrize(
    ("run", "dense", "hidden"),
    [
        (experiment(model=Linear()), ["output"], []),
        (
            experiment(model=Mlp(widths=[5, 4])),
            ["hidden1", "hidden2", "output"],
            ["hidden1", "hidden2"],
        ),
        (replace(experiment(), module=Own().double()), ["first", "second"], ["first"]),
    ],
)
def test_hidden_layers_are_those_with_an_activation(run, dense, hidden):
    subject = subject_of(run)
    assert (list(subject.dense), list(subject.hidden)) == (dense, hidden)
