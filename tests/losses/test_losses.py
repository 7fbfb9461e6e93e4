"""Every loss's contract: shapes, types, likelihood, floors, and its configuration."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import pytest
import torch

from mlr.information import HALF_LOG_TAU
from mlr.losses import (
    LOSSES,
    BinaryCrossEntropy,
    CrossEntropy,
    GaussianNll,
    Matching,
    SquaredError,
)

CONFIGS = Path(__file__).parents[2] / "configs" / "loss"
ON_PREDICTIONS = [loss() for loss in LOSSES if not loss.matches_head]
every_loss = pytest.mark.parametrize("loss", ON_PREDICTIONS, ids=lambda loss: loss.name)


def drawn(*shape: int, dtype=torch.float64) -> torch.Tensor:
    """Probability vectors."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).softmax(-1).to(dtype)


def predicted(loss, *shape: int, dtype=torch.float64) -> torch.Tensor:
    """Predictions of the loss's domain, of as many numbers a target as it takes."""
    return torch.cat([drawn(*shape, dtype=dtype)] * loss.domain.per_target, -1)


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shapes_types_and_no_reduction(loss, dtype):
    y, t = predicted(loss, 2, 4, 3, dtype=dtype), torch.eye(3, dtype=dtype)[:2].expand(4, 2, 3)
    costs = loss(y, t.transpose(0, 1))
    assert costs.shape == (2, 4)
    assert costs.dtype == dtype
    if loss.domain.per_target == 1:  # a density may exceed 1
        assert (costs >= 0).all()


@every_loss
def test_gradcheck_and_vmap(loss):
    y, t = predicted(loss, 3, 4), drawn(3, 4).flip(0)
    assert torch.autograd.gradcheck(lambda x: loss(x, t), (y.clone().requires_grad_(),))
    looped = torch.stack([loss(a, b) for a, b in zip(y, t, strict=True)])
    assert torch.equal(torch.func.vmap(loss)(y, t), looped)


CONSTANTS = {"se": 1.5 * math.log(2 * math.pi)}
"""of three outputs, where it is not 0"""


@pytest.mark.parametrize("loss", [loss() for loss in LOSSES], ids=lambda loss: loss.name)
def test_every_loss_is_minus_log_likelihood_plus_a_constant_or_says_why_not(loss):
    """For targets that are themselves drawn from the distribution."""
    y = predicted(loss, 50, 3)
    try:
        distribution = loss.likelihood(y)
    except TypeError as error:
        assert "likelihood" in str(error)  # noqa: PT017
        return
    torch.manual_seed(0)
    samples = distribution.sample()
    classes = distribution.event_shape == ()
    t = torch.eye(3, dtype=torch.float64)[samples] if classes else samples
    assert t.shape == (50, 3)
    expected = -distribution.log_prob(samples) - CONSTANTS.get(loss.name, 0.0)
    torch.testing.assert_close(loss(y, t), expected, rtol=1e-13, atol=1e-14)


def test_a_gaussian_of_deviation_one_is_squared_error_and_a_constant():
    y, t = drawn(20, 3), drawn(20, 3).flip(0)
    wanted = SquaredError()(y, t) + 3 * HALF_LOG_TAU
    torch.testing.assert_close(GaussianNll()(y, t), wanted, rtol=1e-15, atol=0)
    alike = GaussianNll()(torch.cat([y, torch.ones_like(y)], -1), t)
    torch.testing.assert_close(alike, wanted, rtol=1e-14, atol=0)


@pytest.mark.parametrize("outputs", [1, 3])
def test_cross_entropy_is_minus_log_likelihood_of_the_class(outputs):
    y = drawn(6, max(outputs, 2))[:, -outputs:]
    classes = torch.arange(6) % max(outputs, 2)
    t = classes[:, None].double() if outputs == 1 else torch.eye(3).double()[classes]
    expected = -CrossEntropy().likelihood(y).log_prob(classes)
    torch.testing.assert_close(CrossEntropy()(y, t), expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), CrossEntropy()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_output_as_torch_bce(loss, dtype):
    y = torch.tensor([[0.0], [1.0], [0.3], [1e-40], [0.0], [1.0], [1e-3]], dtype=dtype)
    t = torch.tensor([[0.0], [1.0], [0.6], [1.0], [1.0], [0.0], [0.0]], dtype=dtype)
    expected = torch.nn.functional.binary_cross_entropy(y, t, reduction="none")[..., 0]
    torch.testing.assert_close(loss(y, t), expected, rtol=1e-6, atol=0)
    assert loss(y, t)[4:6].tolist() == [100.0, 100.0]


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), CrossEntropy()])
def test_the_floor_has_no_gradient_and_no_nan(loss):
    y = torch.tensor([[0.0], [1.0], [0.0], [1.0]], requires_grad=True)
    t = torch.tensor([[1.0], [0.0], [0.0], [1.0]])
    gradient = torch.autograd.grad(loss(y, t).sum(), y)[0]
    assert gradient[..., 0].tolist() == [0.0, 0.0, 1.0, -1.0]


@every_loss
def test_nan_predictions_cost_nan(loss):
    assert loss(torch.full((1, 2), torch.nan), torch.eye(2)[:1]).isnan().all()


def test_squared_error_has_the_half_and_does_not_overflow_early():
    y = torch.tensor([[3.0, 1.0], [2.0e19, 0.0]])
    costs = SquaredError()(y, torch.zeros(2, 2))
    assert costs.tolist() == [5.0, pytest.approx(2e38, rel=1e-6)]


def test_cross_entropy_counts_the_asked_class_only():
    y = torch.tensor([[0.25, 0.75]])
    assert CrossEntropy()(y, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(math.log(4))
    assert CrossEntropy()(y.flip(0) * 0, torch.tensor([[0.0, 0.0]])).item() == 0


def test_matching_says_where_it_lives():
    with pytest.raises(TypeError, match=r'Use Objective\(head, "matching"\)'):
        Matching()(torch.zeros(1, 1), torch.zeros(1, 1))
    with pytest.raises(TypeError, match="take se for linear, bce for sigmoid, ce for softmax"):
        Matching().likelihood(torch.zeros(1, 1))


def test_the_config_folder_is_the_tuple():
    files = {path.stem: path.read_text().splitlines() for path in CONFIGS.glob("*.yaml")}
    assert set(files) == {loss.name for loss in LOSSES}
    for loss in LOSSES:
        comment, target = files[loss.name]
        assert comment.startswith("# ")
        module, _, name = target.removeprefix("_target_: ").rpartition(".")
        assert getattr(importlib.import_module(module), name) is loss
