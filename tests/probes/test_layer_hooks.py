"""Layer hooks record what autograd computes, example by example, and change nothing."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.func import functional_call

from mlr.probes.layer_hooks import SLOPES, LayerHooks, sample_square_norms, square_norms, tag_name

TOLERANCES = [(torch.float32, 1e-6), (torch.float64, 1e-12)]


def drawn(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def loss_of(outputs):
    """One loss an example (B,), not linear in the outputs."""
    return outputs.flatten(1).sin().sum(1) + outputs.flatten(1).square().sum(1)


def by_loops(module, inputs, layers):
    """‖∂L_n/∂θ‖² (B,) by layer: a backward pass for each example."""
    found = {layer: [] for layer in layers}
    for n in range(len(inputs)):
        for layer, part in layers.items():
            own = [p for p in part.parameters() if p.requires_grad]
            gradients = torch.autograd.grad(loss_of(module(inputs[n : n + 1])).sum(), own)
            found[layer].append(sum(g.double().square().sum() for g in gradients))
    return {layer: torch.stack(squares) for layer, squares in found.items()}


def heard(module, inputs):
    hooks = LayerHooks(module, listen=True)
    with hooks:
        loss_of(module(inputs)).sum().backward()
    module.zero_grad()
    return hooks


def check(module, inputs, tolerance=1e-12):
    hooks = heard(module, inputs)
    expected = by_loops(module, inputs, hooks.layers)
    found = square_norms(hooks.calls)
    assert found.keys() == expected.keys()
    for layer, squares in found.items():
        torch.testing.assert_close(
            squares.double().sqrt(), expected[layer].sqrt(), rtol=tolerance, atol=0
        )
    return hooks


def mlp(dtype=torch.float64, inplace=False, bias=True):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 7, bias=bias), nn.ReLU(inplace), nn.Linear(7, 6), nn.Tanh(), nn.Linear(6, 3)
    ).to(dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_norms_of_each_examples_gradient_equal_autograd(dtype, tolerance, inplace, bias):
    module = mlp(dtype, inplace, bias)
    hooks = check(module, drawn(6, 5, dtype=dtype), tolerance)
    assert list(hooks.layers) == ["0", "2", "4"]


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("between", [(4,), (2, 3)])
def test_time_axes_are_summed_over(dtype, tolerance, between):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 4), nn.Sigmoid(), nn.Linear(4, 3)).to(dtype)
    check(module, drawn(6, *between, 5, dtype=dtype), tolerance)


@pytest.mark.parametrize(
    ("deltas", "of_weight", "of_bias"),
    # Σ δ_t a_t and Σ δ_t, squared
    [((0.25, 0.5), 0.3125**2, 0.75**2), ((0.25, -0.25), 0.0625**2, 0.0)],
)
def test_a_gradient_over_time_by_hand(deltas, of_weight, of_bias):
    a, delta = torch.tensor([[[0.25], [0.5]]]), torch.tensor([[[d] for d in deltas]])
    assert sample_square_norms(a, delta, bias=True).item() == of_weight + of_bias
    assert sample_square_norms(a, delta, bias=False).item() == of_weight
    assert sample_square_norms(a, delta, bias=True, weight=False).item() == of_bias


class Branches(nn.Module):
    """Of two layers that are called, the loss sees one."""

    def __init__(self):
        super().__init__()
        self.seen, self.aside = nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, inputs):
        self.aside(inputs)
        return self.seen(inputs)


def test_a_layer_that_no_loss_was_computed_from_has_no_norms():
    hooks = heard(Branches().double(), drawn(6, 5))
    assert [use.layer for use in hooks.calls] == ["aside", "seen"]
    assert list(square_norms(hooks.calls)) == ["seen"]


class Twice(nn.Module):
    """One layer called twice, once by keyword, and a twin with its parameters."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Linear(4, 4)
        self.twin = nn.Linear(4, 4)
        self.twin.weight, self.twin.bias = self.shared.weight, self.shared.bias
        self.unused = nn.Linear(4, 4)

    def forward(self, inputs):
        return self.twin(torch.tanh(self.shared(input=torch.tanh(self.shared(inputs)))))


@pytest.mark.parametrize("between", [(), (3,), (2, 3)])
def test_calls_of_one_layer_add_up(between):
    torch.manual_seed(0)
    module, inputs = Twice().double(), drawn(6, *between, 4)
    hooks = heard(module, inputs)
    expected = by_loops(module, inputs, {"shared": module.shared})
    found = square_norms(hooks.calls)
    assert list(hooks.layers) == ["shared", "unused"]
    assert list(found) == ["shared"]
    torch.testing.assert_close(found["shared"], expected["shared"], rtol=1e-12, atol=0)


def test_deltas_by_autograd_grad_are_those_of_backward():
    module, inputs = mlp(inplace=True), drawn(6, 5)
    own = {name: value.detach().clone() for name, value in module.named_parameters()}
    for value in own.values():
        value.requires_grad_()
    hooks = LayerHooks(module)
    with hooks:
        logits = functional_call(module, own, (inputs,))
    edges = [use.edge for use in hooks.calls]
    delta = drawn(6, 3, seed=1)
    found = torch.autograd.grad(logits, [*own.values(), *edges], delta)
    for use, one in zip(hooks.calls, found[len(own) :], strict=True):
        use.delta = one
    listening = LayerHooks(module, listen=True)
    with listening:
        module(inputs).backward(delta)
    for use, other in zip(hooks.calls, listening.calls, strict=True):
        assert use.layer == other.layer
        assert torch.equal(use.delta, other.delta)
    assert torch.equal(hooks.calls[-1].delta, delta)


def test_frozen_parts_do_not_count():
    module = mlp()
    module[0].requires_grad_(False)
    module[2].weight.requires_grad_(False)
    hooks = heard(module, drawn(6, 5))
    found = square_norms(hooks.calls)
    assert list(found) == ["2", "4"]
    expected = by_loops(module, drawn(6, 5), {"2": module[2], "4": module[4]})
    torch.testing.assert_close(found["2"], expected["2"], rtol=1e-12, atol=0)


def test_a_frozen_layer_between_trained_ones_has_no_norms():
    module = mlp()
    module[2].requires_grad_(False)
    assert [use.layer for use in heard(module, drawn(6, 5)).calls] == ["0", "4"]


def test_a_pass_without_a_batch_is_not_of_examples():
    module = mlp()
    with LayerHooks(module) as hooks:
        module(drawn(5))
    assert not hooks.calls


class Scaled(nn.Linear):
    """No plain dense layer: its gradient is not that of a Wᵀ + b."""

    def forward(self, inputs):
        return 2 * super().forward(inputs)


def test_only_plain_dense_layers_are_tapped():
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))
    hooks = LayerHooks(nn.Sequential(Scaled(3, 3), normed, nn.Conv1d(3, 3, 1), nn.Linear(3, 3)))
    assert list(hooks.layers) == ["3"]


def test_a_module_that_is_a_layer_itself_has_parameters_for_a_name():
    hooks = heard(nn.Linear(5, 3).double(), drawn(6, 5))
    assert list(square_norms(hooks.calls)) == ["parameters"]


class Tied(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.words, self.norm = nn.Embedding(5, 4), nn.LayerNorm(5)
        self.output = nn.Linear(4, 5, bias=part == "bias")
        if part == "weight":
            self.output.weight = self.words.weight
        else:
            self.output.bias = self.norm.bias


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_a_parameter_that_another_kind_of_module_uses_too_is_left_out(part):
    assert not LayerHooks(Tied(part)).layers


def test_activations_bear_the_name_of_the_layer_before():
    activation = nn.ReLU()
    module = nn.Sequential(
        nn.Conv1d(1, 2, 1), activation, nn.Flatten(), nn.Linear(6, 4), activation, nn.Dropout(),
        nn.Tanh(),
    )  # fmt: skip
    hooks = heard(module, torch.rand(5, 1, 3))
    named = [(one.layer, one.kind, tuple(one.outputs.shape)) for one in hooks.activated]
    assert [use.layer for use in hooks.calls] == ["3"]
    assert named == [("0", nn.ReLU, (5, 2, 3)), ("3", nn.ReLU, (5, 4)), ("6", nn.Tanh, (5, 4))]


class Doubled(nn.Module):
    def forward(self, inputs):
        return 2 * inputs


class ByKeyword(nn.Module):
    def __init__(self):
        super().__init__()
        self.dense, self.bend = nn.Linear(5, 3), nn.ReLU()

    def forward(self, inputs):
        return self.bend(input=self.dense(inputs))


def test_an_activation_of_something_else_bears_its_own_name():
    """A tensor made later may lie where the layer's output lay."""
    between = [Doubled() for _ in range(4)]
    hooks = heard(nn.Sequential(nn.Linear(5, 3), *between, nn.ReLU()).double(), drawn(6, 5))
    assert [one.layer for one in hooks.activated] == ["5"]
    hooks = heard(ByKeyword().double(), drawn(6, 5))
    assert [one.layer for one in hooks.activated] == ["dense"]


@pytest.mark.parametrize("kind", SLOPES)
def test_slopes_of_activations_are_those_of_autograd(kind):
    z = torch.tensor([-2, -0.5, 0, 0.25, 3], dtype=torch.float64, requires_grad=True)
    h = kind()(z)
    (slopes,) = torch.autograd.grad(h.sum(), z)
    torch.testing.assert_close(SLOPES[kind](h.detach()), slopes, rtol=1e-14, atol=0)


def test_what_is_heard_holds_no_graph():
    hooks = heard(mlp(), drawn(6, 5))
    parts = [one.outputs for one in hooks.activated]
    parts += [part for use in hooks.calls for part in (use.inputs, use.delta)]
    assert len(parts) == 2 + 6
    assert not any(part.requires_grad for part in parts)


def test_only_the_last_pass_with_gradients_counts():
    module = mlp()
    hooks = LayerHooks(module, listen=True)
    with hooks:
        module(drawn(3, 5))
        logits = module(drawn(6, 5))
        with torch.no_grad():
            module(drawn(2, 5))
        torch.func.jacrev(module)(drawn(5))
    logits.sum().backward()
    assert [len(use.inputs) for use in hooks.calls] == [6, 6, 6]
    assert all(use.delta is not None for use in hooks.calls)
    hooks.clear()
    module(drawn(2, 5))
    assert not hooks.calls
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_bfloat16_is_computed_in_float32():
    module, inputs = mlp(torch.float32), drawn(6, 5, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        hooks = heard(module, inputs)
    assert [use.delta.dtype for use in hooks.calls] == [torch.bfloat16] * 3
    found = square_norms(hooks.calls)
    for layer, squares in by_loops(module, inputs, hooks.layers).items():
        assert found[layer].dtype == torch.float32
        torch.testing.assert_close(found[layer].double(), squares, rtol=0.1, atol=1e-3)


def test_autocast_leaves_sums_over_time_as_they_are():
    a, delta = (drawn(6, 4, 5, dtype=torch.float32, seed=seed) for seed in (0, 1))
    with torch.autocast("cpu", torch.bfloat16):
        found = sample_square_norms(a, delta, bias=True)
    weights = torch.einsum("ntk,ntd->nkd", delta.double(), a.double())
    expected = weights.square().sum((1, 2)) + delta.double().sum(1).square().sum(1)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)


def test_copies_and_pickles_of_a_tapped_module_are_heard_by_nobody():
    module = mlp()
    hooks = LayerHooks(module, listen=True)
    with hooks:
        copies = [copy.deepcopy(module), pickle.loads(pickle.dumps(module))]
        module(drawn(6, 5))
        for one in copies:
            one(drawn(2, 5))
    assert [len(use.inputs) for use in hooks.calls] == [6, 6, 6]
    assert [len(one.outputs) for one in hooks.activated] == [6, 6]


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        ("encoder.dense", "encoder/dense"),
        ("", "parameters"),
        ("logits", "logits.layer"),  # next to that of the batch's logits
        ("total", "total.layer"),
        ("head.logits", "head/logits"),
    ],
)
def test_tags_of_layers(path, tag):
    assert tag_name(path) == tag
