"""Scores of calibration against examples by hand, scikit-learn, scipy and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_softmax, softmax
from sklearn.metrics import brier_score_loss, log_loss

from mlr.heads import (
    ClippedLinear,
    Coral,
    Corn,
    Cumulative,
    Gaussian,
    Linear,
    Probit,
    Sigmoid,
    Softmax,
    Sparsemax,
)
from mlr.losses import SquaredError
from mlr.objectives import Objective
from mlr.training import calibration
from mlr.training.calibration import (
    COOLEST,
    HOTTEST,
    equal_mass,
    equal_width,
    fit_temperatures,
    judge,
    likelihood_of,
)
from mlr.training.evaluation import EvaluatedBatch
from mlr.training.run_objectives import RunObjectives


def judged(head, z, t, classes, multilabel=False):
    objective = Objective(head, SquaredError(), outputs=z.shape[1], strict=False)
    batch = EvaluatedBatch(RunObjectives([objective]), z[None], t[None], multilabel)
    return judge(objective, batch, classes)


def drawn(count=400, classes=4, factor=3.0, seed=0):
    rng = np.random.default_rng(seed)
    z = factor * rng.normal(size=(count, classes))
    labels = np.array([rng.choice(classes, p=p) for p in softmax(z / 2, 1)])
    return z, labels


def test_ece_by_hand():
    # bins of 1/15: 0.9 and 0.92 share ((14 − 1)/15, 14/15], 0.5 is in another
    confidence = np.array([[0.9, 0.92, 0.5, 0.5]])
    right = np.array([[1.0, 0.0, 1.0, 1.0]])
    bins = equal_width(confidence, right)
    assert bins.counts[0, [7, 13]].tolist() == [2, 2]
    assert bins.counts.sum() == 4
    # (|1 − 1.82| + |2 − 1.0|) / 4
    assert bins.error[0] == pytest.approx(0.455)


def test_the_limits_of_bins_belong_to_the_lower_one():
    counts = equal_width(np.array([[0.0, 1 / 15, 1 / 15 + 1e-9, 1.0]]), np.ones((1, 4))).counts[0]
    assert counts[[0, 1, 14]].tolist() == [2, 1, 1]


def test_bins_of_equally_many_by_hand():
    # 30 distinct confidences, two a bin: each right for the higher one only
    confidence = np.linspace(0.41, 0.99, 30)[None]
    right = np.tile([0.0, 1.0], 15)[None]
    shuffled = np.random.default_rng(0).permutation(30)
    bins = equal_mass(confidence[:, shuffled], right[:, shuffled])
    assert bins.counts[0].tolist() == [2] * 15
    expected = np.abs(0.5 - confidence[0].reshape(15, 2).mean(1)).mean()
    assert bins.error[0] == pytest.approx(expected)


def test_equal_confidences_share_a_bin_in_any_order():
    confidence = np.array([[1.0] * 20 + [0.6] * 10])
    right = np.array([[1.0] * 15 + [0.0] * 5 + [1.0, 0.0] * 5])
    order = np.random.default_rng(1).permutation(30)
    one, other = (equal_mass(confidence[:, at], right[:, at]) for at in (np.arange(30), order))
    assert sorted(one.counts[0].tolist())[-2:] == [10, 20]
    # 20/30 · |0.75 − 1| + 10/30 · |0.5 − 0.6|
    assert one.error[0] == other.error[0] == pytest.approx(0.2)


def test_the_ece_of_few_calibrated_examples():
    rng = np.random.default_rng(5)
    confidence = rng.uniform(0.5, 1, (2000, 360))
    right = (rng.uniform(size=confidence.shape) < confidence).astype(float)
    assert round(equal_width(confidence, right).error.mean(), 2) == 0.05


def test_brier_and_nll_are_those_of_scikit_learn():
    z, labels = drawn()
    t = torch.eye(4, dtype=torch.float64)[torch.from_numpy(labels)]
    found = judged(Softmax(), torch.from_numpy(z), t, 4)
    p = softmax(z, 1)
    assert found["nll"] == pytest.approx(log_loss(labels, p), rel=1e-12)
    assert found["brier"] == pytest.approx(((p - t.numpy()) ** 2).sum(1).mean(), rel=1e-12)
    top, right = p.max(1), p.argmax(1) == labels
    ece = 0.0
    for b in range(15):
        there = (top > b / 15) & (top <= (b + 1) / 15)
        if there.any():
            ece += there.mean() * abs(right[there].mean() - top[there].mean())
    assert found["ece"] == pytest.approx(ece, rel=1e-12)


def test_one_output_and_two_agree():
    z, labels = drawn(classes=2)
    t = torch.eye(2, dtype=torch.float64)[torch.from_numpy(labels)]
    two = judged(Softmax(), torch.from_numpy(z), t, 2)
    one = judged(Sigmoid(), torch.from_numpy(z[:, 1:] - z[:, :1]), t[:, 1:], 2)
    for name in ("ece", "brier", "nll"):
        assert one[name] == pytest.approx(two[name], rel=1e-9)
    assert one["brier"] == pytest.approx(brier_score_loss(labels, expit(z[:, 1] - z[:, 0])))


def test_several_labels_are_one_prediction_each():
    rng = np.random.default_rng(3)
    z, t = rng.normal(size=(50, 3)), rng.integers(0, 2, (50, 3)).astype(float)
    found = judged(Sigmoid(), torch.from_numpy(z), torch.from_numpy(t), None, True)
    assert found["nll"] == pytest.approx(log_loss(t.ravel(), expit(z.ravel())), rel=1e-9)
    assert found["brier"] == pytest.approx(((expit(z) - t) ** 2).mean(), rel=1e-9)


def test_the_parts_of_the_brier_score_by_hand():
    """Murphy's example of forecasts constant within a bin: 0.2 of 5, 0.8 of 5."""
    from mlr.training.calibration import Forecasts

    p = np.array([0.2] * 5 + [0.8] * 5).reshape(1, 1, 10)
    t = np.array([1.0, 0, 0, 0, 0, 1, 1, 1, 0, 0]).reshape(1, 1, 10)
    sums = Forecasts(1, 1)
    sums.add(p[..., :6], t[..., :6])
    sums.add(p[..., 6:], t[..., 6:])
    brier = ((p - t) ** 2).mean(2).sum(1)
    parts = sums.parts(brier)
    # reliability ½·0 + ½·0.2²; resolution ½·0.2² + ½·0.2²; uncertainty 0.4·0.6
    assert parts["reliability"][0] == pytest.approx(0.02)
    assert parts["resolution"][0] == pytest.approx(0.04)
    assert parts["uncertainty"][0] == pytest.approx(0.24)
    assert brier[0] == pytest.approx(0.02 - 0.04 + 0.24)


def nll(z, labels, temperature):
    return -log_softmax(z / temperature, 1)[np.arange(len(z)), labels].mean()


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_the_temperature_is_that_of_scipy(factor):
    z, labels = drawn(factor=3.0)
    z = z * factor
    t = torch.eye(4, dtype=torch.float64)[torch.from_numpy(labels)]
    (found,) = fit_temperatures(torch.from_numpy(z)[None], t[None], True)
    best = minimize_scalar(
        lambda rate: nll(z, labels, 1 / rate), bounds=(0.05, 20), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    assert found == pytest.approx(1 / best.x, rel=1e-5)
    assert nll(z, labels, found) <= nll(z, labels, 1)


def test_the_temperature_of_one_output_is_that_of_two():
    z, labels = drawn(classes=2)
    t = torch.eye(2, dtype=torch.float64)[torch.from_numpy(labels)]
    (two,) = fit_temperatures(torch.from_numpy(z)[None], t[None], True)
    single = torch.from_numpy(z[:, 1:] - z[:, :1])
    (one,) = fit_temperatures(single[None], t[None, :, 1:], False)
    assert one == pytest.approx(two, rel=1e-6)


def test_the_temperature_ends_at_its_limits():
    z = torch.tensor([[[3.0], [-3.0]], [[-3.0], [3.0]], [[torch.nan], [1.0]]], dtype=torch.float64)
    t = torch.tensor([[1.0], [0.0]], dtype=torch.float64).expand(3, 2, 1)
    found = fit_temperatures(z, t, False)
    assert found[0] == pytest.approx(COOLEST)
    assert found[1] == pytest.approx(HOTTEST, rel=1e-6)
    assert np.isnan(found[2])


def test_few_evaluations_find_the_temperature(monkeypatch):
    """Newton's steps converge quadratically, and a limit is reached at once.

    Where one small error among sure predictions makes Newton's steps slow, the middle helps.
    """
    made, rates = calibration._of_softmax, []

    def counted(logits, targets):
        slopes = made(logits, targets)

        def counting(chosen, rate):
            rates.append(rate)
            return slopes(chosen, rate)

        return counting

    monkeypatch.setattr(calibration, "_of_softmax", counted)
    z, labels = drawn()
    t = torch.eye(4, dtype=torch.float64)[torch.from_numpy(labels)]
    z = torch.from_numpy(z)
    for logits, most in ((z, 8), (0.3 * z, 8), (10 * t, 3), (-10 * t, 3)):
        rates.clear()
        fit_temperatures(logits[None], t[None], True)
        assert 2 <= len(rates) <= most
    # 1/T of a margin −w among margins m: m e^(−m/T) = ½ w for small w
    slow = torch.tensor([[[8.0, 0.0], [0.0, 1e-40]]], dtype=torch.float64)
    (found,) = fit_temperatures(slow, torch.eye(2)[None, [0, 0]].double(), True)
    assert 1 / found == pytest.approx(np.log(2 * 8 / 1e-40) / 8, rel=1e-6)
    assert len(rates) < 60


def test_no_likelihood_of_what_is_no_distribution():
    assert likelihood_of(Linear(), 1, False) is None
    assert likelihood_of(Gaussian(), 2, False) is None
    assert likelihood_of(Sigmoid(), 3, False) is None
    assert likelihood_of(Sigmoid(), 3, True) is not None
    assert likelihood_of(ClippedLinear(), 1, False) is None  # 0 for the true class is possible
    assert likelihood_of(Sparsemax(), 3, False) is None
    assert likelihood_of(Probit(), 1, False).loss.name == "bce"
    assert likelihood_of(Softmax(), 3, False).loss.name == "ce"


def test_heads_without_probabilities_have_no_scores():
    z = torch.zeros(3, 1)
    assert judged(Linear(), z, z, 2) == {}
    assert judged(Sigmoid(), z, z, None) == {}
    three = judged(Sigmoid(), torch.zeros(2, 3), torch.eye(3)[:2], 3)
    assert set(three) == {"ece", "brier"}


def test_ordered_classes_are_judged_by_their_shares():
    """Levels (0.9, 0.2), (0.6, 0.45) and (0.3, 0.1) of three classes, of which 1, 2, 0 are true."""
    y = np.array([[0.9, 0.2], [0.6, 0.45], [0.3, 0.1]])
    t = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)
    # shares (0.1, 0.7, 0.2), (0.4, 0.15, 0.45), (0.7, 0.2, 0.1): medians 1, 1, 0
    squares = (0.1**2 + 0.3**2 + 0.2**2) + (0.4**2 + 0.15**2 + 0.55**2) + (0.3**2 + 0.2**2 + 0.1**2)
    given = np.array([y[:, 0], y[:, 1] / y[:, 0]]).T
    logits = {
        Coral: np.log(y / (1 - y)),
        # σ(z_2) = P(class ≥ 2 | class ≥ 1)
        Corn: np.log(given / (1 - given)),
    }
    for head, z in logits.items():
        found = judged(head(), torch.from_numpy(z), t, 3)
        assert found["brier"] == pytest.approx(squares / 3)
        # confidences 0.7, 0.15 and 0.7, the first and the last right
        assert found["ece"] == pytest.approx((abs(2 - 1.4) + abs(0 - 0.15)) / 3)
        assert ("nll" in found) == (head is Corn)  # levels of coral may contradict each other
    assert found["nll"] == pytest.approx(-np.log(0.7 * 0.45 * 0.7) / 3)
    # a_1 = z_1 and a_2 = z_1 − log(1 + e^(z_1 − z_2))
    a = np.log(y / (1 - y))
    steps = a[:, 0] - np.log(np.expm1(a[:, 0] - a[:, 1]))
    z = torch.from_numpy(np.array([a[:, 0], steps]).T)
    found = judged(Cumulative(), z, t, 3)
    assert found["nll"] == pytest.approx(-np.log(0.7 * 0.45 * 0.7) / 3)
    assert found["brier"] == pytest.approx(squares / 3)


def test_levels_that_contradict_each_other_leave_a_share_of_0():
    y = torch.tensor([[0.4, 0.6]], dtype=torch.float64)
    t = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    found = judged(Coral(), y.logit(), t, 3)
    # shares (0.6, 0, 0.6); the median is class 1, which is true, at a confidence of 0
    assert found["brier"] == pytest.approx(0.36 + 1 + 0.36)
    assert found["ece"] == pytest.approx(1)
