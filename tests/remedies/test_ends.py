"""The activation at the end of a model is found and left out, wherever it stands."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mlr.core.checks import InputError
from mlr.remedies.ends import WithoutEnd, end_of

X = torch.randn(5, 4)
LAYER = nn.Linear(4, 3)
Z = LAYER(X).detach()


class Ended(nn.Module):
    """A layer, and a function of its outputs."""

    def __init__(self, function):
        super().__init__()
        self.layer, self.function = LAYER, function

    def forward(self, x):
        return self.function(self.layer(x))


@pytest.mark.parametrize(
    ("function", "name", "wanted"),
    [
        (torch.sigmoid, "sigmoid", Z),
        (lambda z: z.sigmoid(), "sigmoid", Z),
        (nn.Softmax(dim=1), "softmax", Z),
        (lambda z: torch.softmax(z, dim=-1), "softmax", Z),
        (lambda z: F.log_softmax(z, dim=1), "log_softmax", Z),
        (nn.ReLU(inplace=True), "relu", Z),
        (lambda z: z.relu_(), "relu", Z),
        (nn.Tanh(), "tanh", Z),
        (lambda z: z.clamp(0, 1), "clamp", Z),
        (lambda z: torch.sigmoid(z)[:, 0], "sigmoid", Z[:, 0]),
        (lambda z: torch.sigmoid(z)[:, :1].squeeze(1), "sigmoid", Z[:, 0]),
        (lambda z: torch.sigmoid(torch.tanh(z)), "sigmoid", Z.tanh()),
    ],
)
def test_it_is_left_out(function, name, wanted):
    model = Ended(function)
    assert end_of(model, X) == name
    assert torch.equal(WithoutEnd(model)(X), wanted)


@pytest.mark.parametrize(
    "function", [lambda z: z, lambda z: torch.sigmoid(z) + 1, lambda z: torch.tanh(z) * 2]
)
def test_a_model_without_one(function):
    model = Ended(function)
    assert end_of(model, X) == ""
    with pytest.raises(InputError, match="does not end in an activation"):
        WithoutEnd(model)(X)


def test_the_gradient_is_that_of_the_layer():
    model = Ended(nn.ReLU(inplace=True))
    weights = torch.arange(15.0).reshape(5, 3)
    (own,) = torch.autograd.grad((WithoutEnd(model)(X) * weights).sum(), [LAYER.weight])
    assert torch.allclose(own, weights.T @ X, atol=1e-5)


def test_several_inputs_and_the_mode():
    model = nn.Bilinear(4, 4, 2).eval()
    both = nn.Module()
    both.forward = lambda x, y: torch.sigmoid(model(x, y))
    assert end_of(both, (X, X)) == "sigmoid"
    assert not WithoutEnd(model).training
