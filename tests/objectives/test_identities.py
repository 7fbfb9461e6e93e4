"""Identities: equal by mathematics alone."""

from __future__ import annotations

import pytest
import torch

from mlr.heads import HEADS
from mlr.heads.distributions.base import NumbersHead
from mlr.losses import LOSSES, Focal, GeneralisedCrossEntropy, SmoothedCrossEntropy
from mlr.objectives import Objective

OF_NO_SIMPLEX = ("ordinal_nll", "nll", "beta_nll", "quantile_score")


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


@pytest.mark.parametrize(
    "head",
    [head.name for head in HEADS if not issubclass(head, NumbersHead) and head.has_potential],
)
@pytest.mark.parametrize("soft", [True, False])
def test_the_matching_gradient_is_the_error(head, soft):
    z, t = drawn(20, 3), torch.eye(3, dtype=torch.float64)[torch.arange(20) % 3]
    if soft:
        t = torch.tensor([0.25, 0.625, 0.125], dtype=torch.float64).expand(20, 3)
    objective = Objective(head, "matching")
    torch.testing.assert_close(
        objective.gradient(z, t), objective.head(z) - t, rtol=1e-12, atol=1e-15
    )
    # and its losses differ from A(z) − ⟨t, z⟩ by a function of t alone
    generic = objective.head.potential(z) - (t * z).sum(-1)
    constant = objective.losses(z, t) - generic
    torch.testing.assert_close(constant, constant[:1].expand(20), rtol=0, atol=1e-12)
    assert (objective.losses(z, t) >= 0).all()


@pytest.mark.parametrize("head", ["softmax", "sparsemax", "entmax15"])
@pytest.mark.parametrize(
    "loss",
    [one.name for one in LOSSES if one.name not in OF_NO_SIMPLEX and not one.on_logits],
)
def test_gradients_of_distributions_sum_to_zero(head, loss):
    z, t = drawn(30, 6), torch.eye(6, dtype=torch.float64)[torch.arange(30) % 6]
    gradient = Objective(head, loss).gradient(z, t)
    assert gradient.sum(-1).abs().max() <= 1e-14 * (1 + gradient.abs().max())


@pytest.mark.parametrize(
    "loss",
    ["ce", "mae", "focal", "gce", "smoothed_ce", "hinge", "symmetric_ce", "phuber_ce", "poly1"],
)
def test_sigmoid_and_two_softmax_outputs_are_one_family(loss):
    z, t = drawn(50, 1), torch.rand(50, 1, dtype=torch.float64)
    pair = torch.cat([z, torch.zeros_like(z)], -1), torch.cat([t, 1 - t], -1)
    # what is asked of each output counts twice for two
    factor = 2 if loss in ("mae", "hinge") else 1
    softmax, sigmoid = Objective("softmax", loss), Objective("sigmoid", loss)
    close = {"rtol": 1e-12, "atol": 1e-15}
    torch.testing.assert_close(softmax.losses(*pair), factor * sigmoid.losses(z, t), **close)
    slope = softmax.gradient(*pair)[..., :1]
    torch.testing.assert_close(slope, factor * sigmoid.gradient(z, t), **close)


@pytest.mark.parametrize("loss", ["se", "bce", "ce", "mae", "hinge", "focal", "gce"])
def test_hard_sigmoid_is_the_clip_of_a_sixth(loss):
    z, t = drawn(50, 1), torch.rand(50, 1, dtype=torch.float64)
    clipped, hard = Objective("clipped_linear", loss), Objective("hard_sigmoid", loss)
    within = z / 6 + 0.5
    torch.testing.assert_close(hard.losses(z, t), clipped.losses(within, t))
    torch.testing.assert_close(hard.gradient(z, t), clipped.gradient(within, t) / 6)


def test_sparsemax_of_two_is_the_clip_and_its_loss_the_clips():
    z, t = drawn(50, 1), torch.rand(50, 1, dtype=torch.float64)
    pair = torch.cat([z, torch.zeros_like(z)], -1), torch.cat([t, 1 - t], -1)
    clipped, sparsemax = Objective("clipped_linear", "matching"), Objective("sparsemax", "matching")
    within = (z + 1) / 2
    torch.testing.assert_close(sparsemax.losses(*pair), 2 * clipped.losses(within, t))
    torch.testing.assert_close(sparsemax.gradient(*pair)[:, :1], clipped.gradient(within, t))


@pytest.mark.parametrize("head", ["clipped_linear", "hard_sigmoid", "sigmoid", "probit",
                                  "cloglog", "softmax", "sparsemax", "entmax15"])  # fmt: skip
def test_hinge_of_probabilities_is_twice_the_absolute_error_of_hard_targets(head):
    z, t = drawn(40, 3), torch.eye(3, dtype=torch.float64)[torch.arange(40) % 3]
    hinge, absolute = Objective(head, "hinge"), Objective(head, "mae")
    close = {"rtol": 1e-13, "atol": 1e-15}
    torch.testing.assert_close(hinge.losses(z, t), 2 * absolute.losses(z, t), **close)
    torch.testing.assert_close(hinge.gradient(z, t), 2 * absolute.gradient(z, t), **close)


@pytest.mark.parametrize("head", ["hard_sigmoid", "sigmoid", "probit", "cloglog", "softmax",
                                  "sparsemax", "entmax15"])  # fmt: skip
def test_the_scalars_lead_from_cross_entropy_to_the_absolute_error(head):
    outputs = 1 if Objective(head, "se").head.range.least_outputs == 1 else 3
    z = drawn(40, 3)[:, :outputs] / 4
    t = torch.eye(3, dtype=torch.float64)[torch.arange(40) % 3][:, :outputs]
    for loss, other, factor in [
        (Focal(0), "ce", 1),
        (SmoothedCrossEntropy(0), "ce", 1),
        (GeneralisedCrossEntropy(1e-12), "ce", 1),
        (GeneralisedCrossEntropy(1), "mae", 1 if outputs == 1 else 0.5),
    ]:
        one, two = Objective(head, loss), Objective(head, other)
        torch.testing.assert_close(one.losses(z, t), factor * two.losses(z, t), rtol=1e-9, atol=0)
        torch.testing.assert_close(
            one.gradient(z, t), factor * two.gradient(z, t), rtol=1e-9, atol=1e-15
        )


def test_ln_k_at_the_start():
    z, t = torch.zeros(1, 10, dtype=torch.float64), torch.eye(10, dtype=torch.float64)[:1]
    assert Objective("softmax", "ce").losses(z, t).item() == pytest.approx(2.302585092994046)
