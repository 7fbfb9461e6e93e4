"""What a model costs that knows nothing, against the objectives themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mlr.app.explain import references
from mlr.objectives import Objective

COUNTS = np.array([10.0, 30.0, 60.0])
TWO = np.array([30.0, 70.0])


def cost(head, loss, logits, counts):
    """The mean loss of the same logits for every example."""
    outputs = len(logits)
    objective = Objective(head, loss, outputs=outputs)
    eye = torch.eye(len(counts), dtype=torch.float64)
    targets = eye[:, 1:] if outputs == 1 else eye
    z = torch.tensor(logits, dtype=torch.float64).expand(len(counts), outputs)
    losses = objective(z, targets.contiguous())
    return float((losses * torch.tensor(counts / counts.sum())).sum())


def logit(p):
    return np.log(p / (1 - p))


AT = {
    ("softmax", "ce"): np.log,
    ("softmax", "se"): np.log,
    ("softmax", "bce"): np.log,
    ("softmax", "matching"): np.log,
    ("sigmoid", "bce"): logit,
    ("sigmoid", "se"): logit,
    ("sigmoid", "matching"): logit,
    ("linear", "se"): lambda p: p,
    ("clipped_linear", "se"): lambda p: p,
    ("clipped_linear", "bce"): lambda p: p,
    ("hard_sigmoid", "bce"): lambda p: 6 * p - 3,
    ("cloglog", "bce"): lambda p: np.log(-np.log1p(-p)),
}
"""Logits at which a head predicts the shares of the classes."""


@pytest.mark.parametrize(("head", "loss"), AT, ids="+".join)
@pytest.mark.parametrize("counts", [COUNTS, TWO], ids=["three", "two"])
def test_the_best_constant_is_the_share_of_each_class(head, loss, counts):
    p = counts / counts.sum()
    if head != "softmax" and len(p) == 2:
        p = p[1:]
    best = AT[head, loss](p)
    own = references.constant(head, loss, counts)
    assert own == pytest.approx(cost(head, loss, best, counts), rel=1e-12)
    for step in (-0.01, 0.01):  # a minimum
        moved = best.copy()
        moved[-1] += step
        assert cost(head, loss, moved, counts) > own


@pytest.mark.parametrize(("head", "loss"), AT, ids="+".join)
@pytest.mark.parametrize("counts", [COUNTS, TWO], ids=["three", "two"])
def test_a_sane_start_is_that_of_logits_0(head, loss, counts):
    outputs = 1 if head != "softmax" and len(counts) == 2 else len(counts)
    zero = cost(head, loss, np.zeros(outputs), counts)
    expected = max(zero, references.constant(head, loss, counts))
    if (head, loss) == ("clipped_linear", "bce"):  # log 0 is floored, and no one's measure
        expected = references.constant(head, loss, counts)
    assert references.start(head, loss, counts) == pytest.approx(expected, rel=1e-3)


def test_ln_k():
    assert references.start("softmax", "ce", np.full(10, 7.0)) == pytest.approx(math.log(10))
    assert references.constant("softmax", "ce", np.full(10, 7.0)) == pytest.approx(math.log(10))
    assert references.start("sigmoid", "bce", np.full(2, 7.0)) == pytest.approx(math.log(2))


def test_a_class_without_examples_costs_nothing():
    counts = np.array([50.0, 50.0, 0.0])
    assert references.constant("softmax", "ce", counts) == pytest.approx(math.log(2))


UNKNOWN = [
    *(("softmax", "hinge", COUNTS), ("gaussian", "gaussian_nll", COUNTS), ("", "", COUNTS)),
    *(("softmax", "ce", np.zeros(0)), ("linear", "se", np.array([5.0]))),
]


@pytest.mark.parametrize(("head", "loss", "counts"), UNKNOWN)
def test_what_has_no_formula_has_no_number(head, loss, counts):
    assert math.isnan(references.constant(head, loss, counts))
    assert math.isnan(references.start(head, loss, counts))
