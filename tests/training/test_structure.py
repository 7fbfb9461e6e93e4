"""Dense networks among small modules that are written down."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from mlr.models import Linear, Mlp
from mlr.training.structure import ACTIVATIONS, dense_structure, parameters_of
from tests.training.conftest import experiment


class OwnSequence(nn.Sequential):
    """Could compute anything."""


def repeated():
    relu = nn.ReLU()
    return nn.Sequential(nn.Linear(3, 4), relu, nn.Linear(4, 4), relu, nn.Linear(4, 1))


def shared():
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    return module


def hooked(register):
    module = nn.Sequential(nn.Linear(3, 1))
    getattr(module[0], register)(lambda *_: None)
    return module


def nested():
    module = nn.Sequential(nn.Linear(3, 1))
    module[0].extra = nn.Linear(2, 2)
    return module


def with_parameter():
    module = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1, bias=False))
    module.register_parameter("own", nn.Parameter(torch.zeros(2)))
    return module


DENSE = {
    "linear": (nn.Sequential(nn.Linear(3, 2)), (3,), [("0", 3, 2, None)]),
    "flattened": (nn.Sequential(nn.Flatten(), nn.Linear(6, 2)), (2, 3), [("1", 6, 2, None)]),
    "flat already": (nn.Sequential(nn.Flatten(), nn.Linear(3, 2)), (3,), [("1", 3, 2, None)]),
    "hidden": (
        nn.Sequential(
            *(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)),
            *(nn.Linear(2, 6, bias=False), nn.Sigmoid(), nn.Linear(6, 1)),
        ),
        (3,),
        [
            *(("0", 3, 5, nn.ReLU), ("2", 5, 4, nn.Tanh), ("4", 4, 2, None)),
            *(("5", 2, 6, nn.Sigmoid), ("7", 6, 1, None)),
        ],
    ),
}
OTHERS = {
    "images": (nn.Sequential(nn.Linear(3, 2)), (2, 3)),
    "flattened too late": (nn.Sequential(nn.Linear(3, 2), nn.Flatten()), (2, 3)),
    "flattened from the second axis": (nn.Sequential(nn.Flatten(2), nn.Linear(3, 2)), (2, 3)),
    "flattened up to the second axis": (nn.Sequential(nn.Flatten(1, 1), nn.Linear(6, 2)), (2, 3)),
    "no sequence": (nn.Linear(3, 2), (3,)),
    "a class of its own": (OwnSequence(nn.Linear(3, 2)), (3,)),
    "an activation first": (nn.Sequential(nn.ReLU(), nn.Linear(3, 2)), (3,)),
    "an activation last": (nn.Sequential(nn.Linear(3, 2), nn.ReLU()), (3,)),
    "two activations": (
        nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Tanh(), nn.Linear(2, 1)),
        (3,),
    ),
    "another activation": (nn.Sequential(nn.Linear(3, 2), nn.ELU(), nn.Linear(2, 1)), (3,)),
    "nothing": (nn.Sequential(), (3,)),
    "no layer": (nn.Sequential(nn.Flatten()), (3,)),
    "a part twice": (repeated(), (3,)),
    "a parameter twice": (shared(), (3,)),
    "a part in a part": (nested(), (3,)),
    "a hook": (hooked("register_forward_hook"), (3,)),
    "a hook before": (hooked("register_forward_pre_hook"), (3,)),
    "a hook backward": (hooked("register_full_backward_hook"), (3,)),
    "a hook before backward": (hooked("register_full_backward_pre_hook"), (3,)),
}


@pytest.mark.parametrize("name", DENSE)
def test_layers_have_their_names_widths_and_activations(name):
    module, shape, layers = DENSE[name]
    kinds = {id(own): kind for kind, own in ACTIVATIONS.items()}
    found = [
        (one.name, one.inputs, one.outputs, kinds.get(id(one.activation)))
        for one in dense_structure(module, shape)
    ]
    assert found == layers


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_is_none(name):
    module, shape = OTHERS[name]
    assert dense_structure(module, shape) is None


@pytest.mark.parametrize(
    "module", [*(own[0] for own in DENSE.values()), with_parameter(), nested()]
)
def test_parameters_are_those_of_torch_by_name_and_in_order(module):
    found = parameters_of(module, dense_structure(module, (3,)))
    expected = dict(module.named_parameters())
    assert list(found) == list(expected)
    assert all(found[name] is own for name, own in expected.items())


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations_and_their_slopes_are_those_of_autograd(kind):
    z = torch.linspace(-3, 3, 13, dtype=torch.float64, requires_grad=True)
    expected = kind()(z)
    (slopes,) = torch.autograd.grad(expected.sum(), z)
    found = ACTIVATIONS[kind].forward(z.detach().clone())
    torch.testing.assert_close(found, expected.detach())
    torch.testing.assert_close(ACTIVATIONS[kind].slopes(found), slopes)
    delta = torch.linspace(1, 2, 13, dtype=torch.float64)
    torch.testing.assert_close(ACTIVATIONS[kind].backward(delta, found), delta * slopes)


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
    assert (list(run.subject.dense), list(run.subject.hidden)) == (dense, hidden)
