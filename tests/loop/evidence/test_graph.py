"""Operations between the last layer and the loss, as programs of torch write them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr.loop.evidence import graph

CLASSES = torch.tensor([0, 1, 2, 0, 1])
NUMBERS = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))


def logits(*after):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), *after)(torch.randn(5, 4))


@pytest.mark.parametrize(
    ("outputs", "loss", "pairs"),
    [
        (logits(), lambda z: F.cross_entropy(z, CLASSES), "layer>log_softmax log_softmax>nll"),
        (
            logits(nn.Softmax(dim=1)),
            lambda y: F.cross_entropy(y, CLASSES),
            "layer>softmax softmax>log_softmax log_softmax>nll",
        ),
        (logits(), lambda z: F.nll_loss(z.softmax(1), CLASSES), "layer>softmax softmax>nll"),
        (logits(nn.Sigmoid()), lambda y: F.mse_loss(y, NUMBERS), "layer>sigmoid sigmoid>mse"),
        (
            logits(nn.Sigmoid()),
            lambda y: F.binary_cross_entropy_with_logits(y, NUMBERS),
            "layer>sigmoid sigmoid>bce_logits",
        ),
        (
            logits(nn.Flatten(0), nn.Unflatten(0, (5, 3)), nn.Tanh()),
            lambda y: F.smooth_l1_loss(y.view(3, 5), NUMBERS.view(3, 5)),
            "layer>tanh tanh>smooth_l1",
        ),
        (logits(nn.Sigmoid()), lambda y: y.log().mean(), "layer>sigmoid sigmoid>log log>mean"),
    ],
)
def test_the_operations_in_their_order(outputs, loss, pairs):
    seen = graph.seen(outputs, loss(outputs))
    assert set(seen.pairs) == set(pairs.split())
    assert (seen.attached, seen.reaches, len(seen.leaves)) == (True, True, 4)
    assert seen.inputs.shape == (5, 4)
    assert (seen.layers, seen.linear) == (2, False)


def test_axis_and_size_of_a_softmax():
    z = logits()
    assert graph.seen(z, F.nll_loss(z.log_softmax(0), CLASSES)).axes == [(0, 2, 5)]
    assert graph.seen(z, F.nll_loss(z.log_softmax(-1), CLASSES)).axes == [(1, 2, 3)]
    assert graph.seen(z, z[:, :1].softmax(1).sum()).axes == [(1, 2, 1)]


def test_what_a_loss_was_given():
    z = logits()[:, :1]
    seen = graph.seen(z, F.mse_loss(*torch.broadcast_tensors(z, NUMBERS[:, 0])))
    ((name, given, wanted),) = seen.fed
    assert (name, given.shape, wanted.shape) == ("mse", (5, 5), (5, 5))
    weighted = graph.seen(z, F.binary_cross_entropy_with_logits(z, z.detach(), weight=z.detach()))
    assert (weighted.weighted, seen.weighted) == (True, False)


def test_a_view_that_the_loss_does_not_use():
    z = logits(nn.Sigmoid())
    seen = graph.seen(z.flatten(), F.mse_loss(z, NUMBERS))
    assert seen.reaches
    assert "sigmoid>mse" in seen.pairs


def test_other_paths_to_the_loss_add_no_operation():
    model = nn.Linear(4, 3)
    inputs = torch.randn(5, 4)
    z = model(inputs)
    penalty = model(inputs).sigmoid().log().mean() + model.weight.square().sum()
    assert set(graph.seen(z, F.cross_entropy(z, CLASSES) + penalty).pairs) == {
        "layer>log_softmax",
        "log_softmax>nll",
        "nll>add",
    }
    apart = graph.seen(model(inputs), penalty)
    assert (apart.attached, apart.reaches, apart.pairs, len(apart.leaves)) == (True, False, [], 2)


def test_another_reader_of_the_last_layer_adds_no_operation():
    z = nn.Linear(4, 3)(torch.randn(5, 4))
    y = z.sigmoid()
    loss = F.mse_loss(y, NUMBERS) + z.square().mean()
    assert set(graph.seen(y, loss).pairs) == {"layer>sigmoid", "sigmoid>mse", "mse>add"}


def test_layers_alone():
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 3))
    z = model.eval()(torch.randn(5, 4))
    seen = graph.seen(z, F.cross_entropy(z, CLASSES))
    assert (seen.layers, seen.linear) == (2, True)


def test_no_graph():
    z = logits().detach()
    assert not graph.seen(z, F.cross_entropy(z, CLASSES)).attached


def test_a_graph_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(graph, "MOST_NODES", 5)
    z = logits()
    seen = graph.seen(z, F.cross_entropy(z, CLASSES))
    assert (seen.whole, seen.reaches, seen.pairs) == (False, False, [])


def test_tensors_that_were_changed_since_are_left_out():
    z = logits()
    y = z.relu()
    loss = F.mse_loss(y, NUMBERS)
    with torch.no_grad():
        y.add_(1)
    assert graph.seen(y, loss).fed == []


def test_a_view_that_the_loss_does_not_read_is_not_direct():
    y = nn.Linear(2, 1)(torch.randn(4, 2))
    loss = y.square().mean()
    assert (graph.seen(y, loss).reaches, graph.seen(y, loss).direct) == (True, True)
    assert (graph.seen(y.flatten(), loss).reaches, graph.seen(y.flatten(), loss).direct) == (
        True,
        False,
    )


def test_a_graph_is_freed_by_its_backward_pass():
    z = nn.Linear(2, 3)(torch.randn(4, 2))
    loss = F.cross_entropy(z, torch.tensor([0, 1, 2, 0]))
    assert not graph.seen(z, loss).freed
    loss.backward(retain_graph=True)
    assert not graph.seen(z, loss).freed
    loss.backward()
    assert graph.seen(z, loss).freed


@pytest.mark.parametrize(
    ("outputs", "aside"),
    [
        (lambda h, own: F.cosine_similarity(h, h.roll(1, 0)), True),
        (lambda h, own: own(h), False),  # of a layer of its own
        (lambda h, own: own(torch.ones(6, 4)), False),
    ],
)
def test_outputs_that_are_computed_next_to_the_loss(outputs, aside):
    h, own = nn.Linear(3, 4)(torch.randn(6, 3)).tanh(), nn.Linear(4, 2)
    seen = graph.seen(outputs(h, own), F.cosine_embedding_loss(h, h.roll(1, 0), torch.ones(6)))
    assert (seen.reaches, seen.aside) == (False, aside)


@pytest.mark.parametrize(("ignored", "found"), [(1, 1), (-100, -1), (3, 3)])
def test_the_class_that_a_loss_leaves_out(ignored, found):
    z = nn.Linear(2, 4)(torch.randn(5, 2))
    loss = F.cross_entropy(z, torch.tensor([0, 1, 2, 0, 1]), ignore_index=ignored)
    assert graph.seen(z, loss).ignored == found
