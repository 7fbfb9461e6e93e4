"""A loss is recognised by its value, and only a plain one."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mlr.loop.evidence.recomputed import forms, multiples

torch.manual_seed(0)
Z, T = torch.randn(12, 4), torch.randint(4, (12,))
HOT = F.one_hot(T, 4).float()
SOFT = torch.rand(12, 4)
ONE, BIT = torch.randn(12, 1), (torch.rand(12, 1) > 0.5).float()
P = Z.softmax(1)


@pytest.mark.parametrize(
    ("outputs", "targets", "loss", "name", "reduction"),
    [
        (Z, T, F.cross_entropy(Z, T), "ce", "mean"),
        (Z, T, F.cross_entropy(Z, T, reduction="sum"), "ce", "sum"),
        (Z, SOFT, F.cross_entropy(Z, SOFT), "ce", "mean"),
        (P, T, F.cross_entropy(P, T), "ce", "mean"),
        (Z, T, F.cross_entropy(P, T), "softmax+ce", "mean"),
        (Z, T, F.nll_loss(P, T), "softmax+nll", "mean"),
        (P, T, F.nll_loss(P.log(), T), "log+nll", "mean"),
        (Z, SOFT, F.binary_cross_entropy_with_logits(Z, SOFT), "bce_logits", "mean"),
        (Z, HOT, F.binary_cross_entropy(P, HOT), "softmax+bce", "mean"),
        (ONE, BIT, F.binary_cross_entropy(ONE.sigmoid(), BIT), "bce_logits", "mean"),
        (ONE, BIT.squeeze(1), F.binary_cross_entropy(ONE.sigmoid(), BIT), "sigmoid+bce", "mean"),
        (P, SOFT, F.mse_loss(P, SOFT), "mse", "mean"),
        (Z, SOFT, F.mse_loss(Z.sigmoid(), SOFT), "sigmoid+mse", "mean"),
        (Z, T, F.mse_loss(P, HOT), "softmax+mse", "mean"),
        (Z, SOFT, (Z - SOFT).square().sum(1).mean(), "mse", "rows"),
        (Z, SOFT, F.l1_loss(Z, SOFT), "l1", "mean"),
        (Z, SOFT, F.smooth_l1_loss(Z, SOFT), "smooth_l1", "mean"),
        (Z, SOFT, F.poisson_nll_loss(Z, SOFT), "poisson", "mean"),
        (Z, SOFT, F.kl_div(Z, SOFT, reduction="batchmean"), "kl", "rows"),
        (ONE, BIT[:, 0], F.mse_loss(*torch.broadcast_tensors(ONE, BIT[:, 0])), "broadcast+mse",
         "mean"),
        (Z, T, -F.cross_entropy(Z, T), "-ce", "mean"),
        (Z, SOFT, -F.cosine_similarity(Z, SOFT).mean(), "cosine", "mean"),
        (Z, SOFT, F.cosine_similarity(Z, SOFT).mean(), "-cosine", "mean"),
        (Z, SOFT, F.mse_loss(Z, SOFT).sqrt(), "mse", "root"),
        (ONE, 2 * BIT - 1, F.soft_margin_loss(ONE, 2 * BIT - 1), "soft_margin", "mean"),
        (ONE, 2 * BIT - 1, F.relu(1 - (2 * BIT - 1) * ONE).mean(), "hinge", "mean"),
        (ONE, 2 * BIT - 1, F.relu(1 - (2 * BIT - 1) * ONE).square().mean(), "squared_hinge",
         "mean"),
    ],
)  # fmt: skip
def test_plain_losses(outputs, targets, loss, name, reduction):
    assert forms(outputs, targets, loss)[name] == reduction
    assert forms(outputs, targets, loss, {name}) == {name: reduction}
    assert forms(outputs, targets, loss * 1.01, {name}) == {}


@pytest.mark.parametrize(
    "loss",
    [
        F.cross_entropy(Z, T, label_smoothing=0.1),
        F.cross_entropy(Z, T, weight=torch.tensor([1.0, 2, 3, 4])),
        F.cross_entropy(Z, T) + 0.3 * F.cross_entropy(Z.roll(1, 0), T),
        F.multi_margin_loss(Z, T),
    ],
)
def test_others_are_not_recognised(loss):
    assert forms(Z, T, loss) == {}


def test_classes_of_pixels_words_and_ignored_ones():
    pixels, classes = torch.randn(2, 3, 4, 5), torch.randint(3, (2, 4, 5))
    assert "ce" in forms(pixels, classes, F.cross_entropy(pixels, classes))
    words, next_ones = torch.randn(2, 7, 5), torch.randint(5, (2, 7))
    next_ones[0, 3:] = -100
    loss = F.cross_entropy(words.flatten(0, 1), next_ones.flatten())
    assert "ce" in forms(words, next_ones, loss)


def test_what_cannot_be_computed_is_left_alone():
    assert forms(Z, T[:3], torch.tensor(1.0)) == {}
    assert forms(Z, T, torch.tensor(float("nan"))) == {}
    assert forms(Z, T, torch.ones(2)) == {}
    assert forms(Z, T + 9, torch.tensor(1.0)) == {}


def test_multiples_are_the_same_on_all_batches():
    once = multiples(Z, T, 0.03 * F.cross_entropy(Z, T))
    assert once["ce"] == pytest.approx(0.03)
    z = Z.roll(1, 0)
    again = multiples(z, T, 0.03 * F.cross_entropy(z, T), once)
    assert again.keys() == {"ce", "log_softmax+ce", "log_softmax+nll", "log_softmax+kl"}
    assert multiples(z, T, 0.031 * F.cross_entropy(z, T), once) == {}
    assert multiples(Z, T, torch.tensor(float("nan"))) == {}
