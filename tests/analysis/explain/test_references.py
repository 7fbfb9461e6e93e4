"""The losses of a model that knows nothing, by hand and by the objectives themselves."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mlr.analysis.explain import references
from mlr.objectives import Objective

COUNTS = np.array([10.0, 30.0, 60.0])
TWO = np.array([30.0, 70.0])


# of classes with shares 0.1, 0.3 and 0.6, and of two, 0.3 and 0.7: what the best constant costs,
# and what logits 0 do
H3 = 0.8979457  # −0.1 ln 0.1 − 0.3 ln 0.3 − 0.6 ln 0.6
S3 = 1.6089590  # and −0.9 ln 0.9 − 0.7 ln 0.7 − 0.4 ln 0.4
H2 = 0.6108643  # −0.3 ln 0.3 − 0.7 ln 0.7
V3, V2 = 0.27, 0.105  # ½ (0.09 + 0.21 + 0.24), and ½ 0.21 for each output
LN2, LN3 = 0.6931472, 1.0986123
CLOGLOG = 0.4586751  # −ln(1 − 1/e), and 1 for target 0
LITERAL = {
    ("softmax", "ce"): (H3, LN3, H2, LN2),
    ("softmax", "smoothed_ce"): (H3, LN3, H2, LN2),
    ("softmax", "focal"): (H3, LN3, H2, LN2),
    ("softmax", "matching"): (H3, LN3, H2, LN2),
    ("softmax", "bce"): (S3, 1.9095425, 2 * H2, 2 * LN2),  # −ln ⅓ − 2 ln ⅔
    ("softmax", "se"): (V3, 1 / 3, 2 * V2, 0.25),  # ½ (⁴⁄₉ + 2 · ¹⁄₉)
    ("sparsemax", "se"): (V3, 1 / 3, 2 * V2, 0.25),
    ("sparsemax", "matching"): (V3, 1 / 3, 2 * V2, 0.25),
    ("sparsemax", "ce"): (H3, LN3, H2, LN2),
    ("sigmoid", "bce"): (S3, 3 * LN2, H2, LN2),
    ("sigmoid", "matching"): (S3, 3 * LN2, H2, LN2),
    ("sigmoid", "ce"): (H3, LN3, H2, LN2),
    ("sigmoid", "smoothed_ce"): (H3, LN3, H2, LN2),
    ("sigmoid", "focal"): (H3, LN3, H2, LN2),
    ("sigmoid", "se"): (V3, 0.375, V2, 0.125),  # ½ ¼ for each output
    ("hard_sigmoid", "bce"): (S3, 3 * LN2, H2, LN2),
    ("hard_sigmoid", "matching"): (S3, 3 * LN2, H2, LN2),
    ("probit", "bce"): (S3, 3 * LN2, H2, LN2),
    ("probit", "matching"): (S3, 3 * LN2, H2, LN2),
    ("cloglog", "bce"): (S3, CLOGLOG + 2, H2, 0.7 * CLOGLOG + 0.3),
    ("cloglog", "matching"): (S3, CLOGLOG + 2, H2, 0.7 * CLOGLOG + 0.3),
    ("linear", "se"): (V3, 0.5, V2, 0.35),  # ½ · 1, and ½ 0.7
    ("linear", "matching"): (V3, 0.5, V2, 0.35),
    ("clipped_linear", "se"): (V3, 0.5, V2, 0.35),
    ("clipped_linear", "matching"): (V3, 0.5, V2, 0.35),
    ("clipped_linear", "bce"): (S3, S3, H2, H2),  # log 0 is floored, and no one's measure
}


@pytest.mark.parametrize(("head", "loss"), LITERAL, ids=map("+".join, LITERAL))
def test_what_knowing_nothing_costs(head, loss):
    found = [
        cost(head, loss, counts)
        for counts in (COUNTS, TWO)
        for cost in (references.constant, references.start)
    ]
    assert found == pytest.approx(LITERAL[head, loss], rel=2e-4)  # cloglog's 1 − 1/e is rounded


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


@pytest.mark.parametrize(("head", "loss"), AT, ids=map("+".join, AT))
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


def test_a_class_without_examples_costs_nothing():
    counts = np.array([50.0, 50.0, 0.0])
    assert references.constant("softmax", "ce", counts) == pytest.approx(math.log(2))
    assert references.start("softmax", "ce", counts) == pytest.approx(math.log(3))
    single = np.array([1.0, 1.0, 0.0])
    assert references.constant("softmax", "ce", single) == pytest.approx(math.log(2))


UNKNOWN = [
    *(("softmax", "hinge", COUNTS), ("gaussian", "gaussian_nll", COUNTS), ("", "", COUNTS)),
    *(("softmax", "ce", np.zeros(0)), ("linear", "se", np.array([5.0]))),
    *(("sigmoid", "bce", np.array([5.0, 0.0])), ("softmax", "ce", np.zeros(3))),
    *(("own", "se", COUNTS), ("own", "ce", COUNTS), ("sparsemax", "hinge", COUNTS)),
    *(("own", "matching", COUNTS), ("softmax", "se", np.array([5.0, 5.0, math.nan]))),
    ("softmax", "ce", np.array([5.0, 5.0, math.nan])),
]


@pytest.mark.parametrize(("head", "loss", "counts"), UNKNOWN)
def test_what_has_no_formula_has_no_number(head, loss, counts):
    assert math.isnan(references.constant(head, loss, counts))
    assert math.isnan(references.start(head, loss, counts))
