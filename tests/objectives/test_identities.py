"""What must be equal by mathematics alone."""

from __future__ import annotations

import pytest
import torch

from mlr.objectives import Objective


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 5


@pytest.mark.parametrize(("two", "one", "factor"), [("ce", "bce", 1), ("se", "se", 2)])
def test_sigmoid_is_softmax_against_zero(two, one, factor):
    z, t = drawn(50, 1), torch.rand(50, 1, dtype=torch.float64)
    pair = torch.cat([z, torch.zeros_like(z)], -1), torch.cat([t, 1 - t], -1)
    softmax, sigmoid = Objective("softmax", two), Objective("sigmoid", one)
    close = {"rtol": 1e-13, "atol": 1e-15}
    torch.testing.assert_close(softmax.losses(*pair), factor * sigmoid.losses(z, t), **close)
    slope = softmax.gradient(*pair)[..., :1]
    torch.testing.assert_close(slope, factor * sigmoid.gradient(z, t), **close)


@pytest.mark.parametrize("loss", ["se", "bce", "ce"])
def test_softmax_gradients_sum_to_zero_and_ignore_a_shift(loss):
    # quarters, so that the shift is exact
    z = (drawn(30, 6) * 4).round() / 4
    t = torch.eye(6, dtype=torch.float64)[torch.arange(30) % 6]
    objective = Objective("softmax", loss)
    gradient = objective.gradient(z, t)
    assert gradient.sum(-1).abs().max() < 1e-15
    assert torch.equal(objective.gradient(z + 1024, t), gradient)
    torch.testing.assert_close(objective.losses(z + 1024, t), objective.losses(z, t), rtol=1e-14,
                               atol=0)  # fmt: skip


@pytest.mark.parametrize("loss", ["se", "bce"])
def test_positive_and_negative_samples_are_mirror_images(loss):
    z, t = drawn(50, 1), torch.ones(50, 1, dtype=torch.float64)
    objective = Objective("sigmoid", loss)
    assert torch.equal(objective.losses(z, t), objective.losses(-z, 1 - t))
    assert torch.equal(objective.gradient(z, t), -objective.gradient(-z, 1 - t))


@pytest.mark.parametrize(("head", "outputs"), [("linear", 3), ("clipped_linear", 3),
                                               ("sigmoid", 3), ("softmax", 3)])  # fmt: skip
def test_the_matching_gradient_is_the_error(head, outputs):
    z, t = drawn(20, outputs), torch.eye(3, dtype=torch.float64)[torch.arange(20) % 3]
    objective = Objective(head, "matching")
    torch.testing.assert_close(
        objective.gradient(z, t), objective.head(z) - t, rtol=1e-12, atol=1e-15
    )
    # and its losses differ from A(z) − ⟨t, z⟩ by a function of t alone
    generic = objective.head.potential(z) - (t * z).sum(-1)
    constant = objective.losses(z, t) - generic
    torch.testing.assert_close(constant, constant[:1].expand(20), rtol=0, atol=1e-12)


def test_ln_k_at_the_start():
    z, t = torch.zeros(1, 10, dtype=torch.float64), torch.eye(10, dtype=torch.float64)[:1]
    assert Objective("softmax", "ce").losses(z, t).item() == pytest.approx(2.302585092994046)
