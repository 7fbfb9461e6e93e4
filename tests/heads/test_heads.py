"""Every head's contract: range, shapes, types, slope, potential, and its configuration."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import pytest
import torch

from mlr.checks import InputError
from mlr.heads import HEADS, ClippedLinear, Gaussian, Linear, Sigmoid, Softmax
from mlr.interval import REALS, Interval

CONFIGS = Path(__file__).parents[2] / "configs" / "head"
every_head = pytest.mark.parametrize("head", [head() for head in HEADS], ids=lambda h: h.name)


def drawn(*shape: int, scale: float = 3.0, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


def width(head) -> int:
    """Logits for three targets."""
    return 3 * head.range.per_target


def homes(head) -> list[Interval]:
    """Where each part of the predictions for three targets lies."""
    if head.range.per_target == 2:
        return [REALS, Interval(0, math.inf)]
    return [head.range.closure().entries]


@every_head
@pytest.mark.parametrize("scale", [1e-6, 1.0, 30.0, 1e4])
def test_predictions_lie_in_the_closed_range(head, scale):
    y = head(drawn(200, width(head), scale=scale))
    for part, home in zip(y.split(3, -1), homes(head), strict=True):
        assert (part >= home.low).all()
        assert (part <= home.high).all()
    if head.range.least_outputs > 1:
        torch.testing.assert_close(y.sum(-1), torch.ones(200, dtype=y.dtype))


@every_head
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shapes_and_types(head, dtype):
    z = drawn(2, 5, width(head), dtype=dtype)
    assert head(z).shape == head.slope(z).shape == z.shape
    assert head.potential(z).shape == (2, 5)
    assert head(z).dtype == head.slope(z).dtype == head.potential(z).dtype == dtype


@every_head
@pytest.mark.parametrize("at_zero", [False, True])
def test_the_potentials_gradient_is_the_head_and_the_slope_its_own(head, at_zero):
    shape = (4 if at_zero else 50, width(head))
    z = (torch.zeros(shape).double() if at_zero else drawn(*shape)).requires_grad_()
    gradient = torch.autograd.grad(head.potential(z).sum(), z)[0]
    torch.testing.assert_close(gradient, head(z).detach(), rtol=1e-13, atol=1e-15)
    for k in range(width(head)):
        slope = torch.autograd.grad(head(z)[..., k].sum(), z)[0][..., k]
        torch.testing.assert_close(slope, head.slope(z)[..., k].detach(), rtol=1e-12, atol=1e-15)


@every_head
def test_potential_is_convex(head):
    a = drawn(100, width(head))
    b = a.flip(0)
    middle = head.potential((a + b) / 2)
    assert (middle <= (head.potential(a) + head.potential(b)) / 2 + 1e-12).all()


@pytest.mark.parametrize("head", [head() for head in HEADS if head.range.per_target == 1])
def test_classes(head):
    z = drawn(20, 3)
    assert torch.equal(head.classify(z), z.argmax(-1))
    assert head.outputs(10) == 10
    if head.range.least_outputs == 1:
        assert head.outputs(2) == 1
        threshold = 0.0 if head.name == "sigmoid" else 0.5
        one = torch.tensor([[-1.0], [threshold], [2.0]])
        assert head.classify(one).tolist() == [0, 1, 1]
    else:
        assert head.outputs(2) == 2


def test_a_gaussian_knows_no_classes():
    head = Gaussian()
    with pytest.raises(InputError, match="head=gaussian predicts numbers, but the data have 10"):
        head.outputs(10)
    with pytest.raises(TypeError, match="predicts numbers and no classes"):
        head.classify(drawn(20, 2))


def test_a_gaussian_is_means_and_then_deviations():
    z = torch.tensor([[3.0, -1.0, 0.0, 1.0]])
    torch.testing.assert_close(Gaussian()(z), torch.tensor([[3.0, -1.0, 1.0, math.e]]))
    torch.testing.assert_close(Gaussian().slope(z), torch.tensor([[1.0, 1.0, 1.0, math.e]]))


def test_sigmoid_tails_keep_their_digits():
    z = torch.tensor([-100.0, -20.0, 20.0, 1e4, -1e4])
    expected = torch.tensor([3.783506e-44, 2.0611537e-09, 1.0, 1.0, 0.0])
    torch.testing.assert_close(Sigmoid()(z), expected, rtol=1e-6, atol=2e-45)
    tails = torch.tensor([20.0, -20.0])
    torch.testing.assert_close(Sigmoid().slope(tails), torch.full((2,), 2.0611536e-09))


def test_softmax_slope_of_the_sure_class():
    z = torch.tensor([[20.0, 0.0]])
    torch.testing.assert_close(Softmax().slope(z), torch.full((1, 2), 2.0611536e-09))


def test_the_clips_slope_is_one_at_its_ends_and_zero_beyond():
    z = torch.tensor([-1e-30, 0.0, 0.5, 1.0, 1.0000001])
    assert ClippedLinear().slope(z).tolist() == [0, 1, 1, 1, 0]


def test_sigmoid_is_the_softmax_of_two():
    z = drawn(100, 1)
    two = Softmax()(torch.cat([z, torch.zeros_like(z)], -1))[..., :1]
    torch.testing.assert_close(Sigmoid()(z), two, rtol=1e-14, atol=0)


def test_linear_slope_is_one_even_of_nan():
    assert Linear().slope(torch.tensor([0.0, 3.0, torch.nan])).tolist() == [1, 1, 1]


def test_the_config_folder_is_the_tuple():
    files = {path.stem: path.read_text().splitlines() for path in CONFIGS.glob("*.yaml")}
    assert set(files) == {head.name for head in HEADS}
    for head in HEADS:
        comment, target = files[head.name]
        assert comment.startswith("# ")
        module, _, name = target.removeprefix("_target_: ").rpartition(".")
        assert getattr(importlib.import_module(module), name) is head
