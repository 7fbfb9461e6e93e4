"""Calibration of trained runs, computed here again from their parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm, poisson
from sklearn.metrics import log_loss

from mlr.data.base import Dataset, Split
from mlr.heads import Gaussian, Laplace, Linear, Quantiles
from mlr.training import SGD, train
from tests.training.conftest import dataset, experiment, split


def logits(own, result, split):
    module = own.module
    module.load_state_dict(result.state_dict)
    return module(getattr(own.data, split).features).detach().double()


def test_a_run_is_that_of_scikit_learn():
    own = experiment(data=dataset(3), head="softmax", loss="ce")
    (result,) = train([own])
    found = result.calibration
    z, labels = logits(own, result, "test"), own.data.test.targets.numpy()
    assert found["test"]["nll"] == pytest.approx(log_loss(labels, z.softmax(1).numpy()), rel=1e-5)
    assert found["test"]["nll"] == pytest.approx(result.metrics["loss/test"], rel=1e-5)
    scaled = (z / found["temperature"]).softmax(1).numpy()
    assert found["test"]["nll_scaled"] == pytest.approx(log_loss(labels, scaled), rel=1e-5)
    parts = found["test"]
    assert parts["brier"] == pytest.approx(
        parts["reliability"] - parts["resolution"] + parts["uncertainty"], abs=3e-6
    )
    shares = np.bincount(labels, minlength=3) / len(labels)
    assert parts["uncertainty"] == pytest.approx((shares * (1 - shares)).sum(), rel=1e-5)
    assert sum(parts["bins"]["count"]) == 50
    # a temperature of validation data makes their NLL least
    z, labels = logits(own, result, "val"), own.data.val.targets.numpy()
    best, cooler, hotter = (
        log_loss(labels, (z / (factor * found["temperature"])).softmax(1).numpy())
        for factor in (1, 0.9, 1.1)
    )
    assert best < min(cooler, hotter)


def test_runs_without_probabilities_have_none_next_to_those_with():
    runs = [
        experiment(head=head, loss=loss, seed=seed)
        for head, loss in (("sigmoid", "se"), ("linear", "se"), ("clipped_linear", "se"))
        for seed in (0, 1)
    ]
    found = [result.calibration for result in train(runs)]
    assert found[2] == found[3] == {}
    assert set(found[4]) == {"val", "test"}  # no temperature
    assert {"ece", "brier"} <= set(found[4]["test"])
    assert "nll" not in found[4]["test"]
    assert found[0]["temperature"] != found[1]["temperature"]
    for run, together in zip(runs, found, strict=True):
        assert train([run])[0].calibration == together


def by_hand(p, t, chosen):
    """ECE of equally many, and the parts of the Brier score, of shares p and t (N, K)."""
    at = np.arange(len(p))
    confidence, right = p[at, chosen], t[at, chosen]
    order = np.argsort(confidence)
    gaps = (right[order] - confidence[order]).reshape(15, -1).sum(1)
    reliability = 0.0
    for k in range(p.shape[1]):
        for b in range(15):
            there = (p[:, k] > b / 15) & (p[:, k] <= (b + 1) / 15)
            if there.any():
                reliability += there.mean() * (p[there, k].mean() - t[there, k].mean()) ** 2
    shares = t.mean(0)
    uncertainty = (shares * (1 - shares)).sum()
    brier = ((p - t) ** 2).sum(1).mean()
    return {
        "ece_adaptive": np.abs(gaps).sum() / len(p),
        "brier": brier,
        "reliability": reliability,
        "uncertainty": uncertainty,
        "resolution": reliability + uncertainty - brier,
    }


def test_recorded_scores_are_those_by_hand():
    """Of 60 examples, four in each of the bins of equally many."""
    for head, loss in (("softmax", "se"), ("corn", "ordinal_nll")):
        own = experiment(data=dataset(3, 60), head=head, loss=loss, epochs=1)
        (result,) = train([own])
        z, labels = logits(own, result, "test").numpy(), own.data.test.targets.numpy()
        if head == "softmax":
            p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
            chosen = p.argmax(1)
        else:
            levels = np.cumprod(1 / (1 + np.exp(-z)), 1)
            p = -np.diff(levels, axis=1, prepend=1, append=0)
            chosen = (levels >= 0.5).sum(1)
        found = result.calibration["test"]
        expected = by_hand(p, np.eye(3)[labels], chosen)
        assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)
        assert found["nll"] == pytest.approx(-np.log(p[np.arange(60), labels]).mean(), rel=1e-5)
        assert result.metrics["accuracy/test"] == pytest.approx((chosen == labels).mean())
        assert 0 < result.metrics["accuracy/test"] < 1


def test_huge_logits_are_exact():
    """Of ±10⁴ or so, whose σ is 0 or 1: NLL and ECE by hand, and the hottest temperature."""
    own = experiment(optimizer=SGD(lr=1e-12), epochs=1)
    with torch.no_grad():
        own.module.output.weight.copy_(torch.tensor([[1e4, 0.0, 0.0]]))
    (result,) = train([own])
    z, t = logits(own, result, "test")[:, 0].numpy(), own.data.test.targets.numpy()
    wrong = (z > 0) != (t == 1)
    assert 0 < wrong.sum() < 50
    assert np.abs(z[wrong]).max() > 1e3
    found = result.calibration
    margins = np.where(t == 1, -z, z)
    assert found["test"]["nll"] == pytest.approx(np.logaddexp(0, margins).mean(), rel=1e-5)
    assert found["test"]["brier"] == found["test"]["ece"] == pytest.approx(wrong.mean())
    assert found["temperature"] == 20
    scaled = np.logaddexp(0, margins / 20).mean()
    assert found["test"]["nll_scaled"] == pytest.approx(scaled, rel=1e-5)


def test_two_outputs_of_two_classes_are_halved():
    own = experiment(head="softmax", loss="ce")
    (result,) = train([own])
    p = logits(own, result, "test").softmax(1)[:, 1].numpy()
    t = own.data.test.targets.numpy()
    assert result.calibration["test"]["brier"] == pytest.approx(((p - t) ** 2).mean(), rel=1e-5)
    assert result.calibration["test"]["uncertainty"] == pytest.approx(t.mean() * (1 - t.mean()))


def test_intervals_of_a_gaussian_cover_what_those_of_scipy_do():
    own = experiment(
        data=dataset(None), head="gaussian", loss="gaussian_nll", optimizer=SGD(lr=0.02)
    )
    (result,) = train([own])
    means, logs = logits(own, result, "test").numpy().T
    t = own.data.test.targets[:, 0].numpy()
    for level in (0.5, 0.8, 0.95):
        low, high = norm(means, np.exp(logs)).interval(level)
        expected = ((low <= t) & (t <= high)).mean()
        assert result.calibration["test"][f"coverage_{100 * level:.0f}"] == pytest.approx(expected)
    assert 0 < result.calibration["test"]["coverage_50"] < 1


def test_intervals_of_counts_hold_their_ends():
    """Against a Poisson distribution of scipy, for counts that are few different ones."""
    parts = []
    for seed in (1, 2, 3):
        own = split(50, None, seed)
        parts.append(Split(own.features, torch.poisson(own.features[:, :1].exp())))
    data = Dataset("counts", *parts, None)
    own = experiment(data=data, head="poisson", loss="nll", optimizer=SGD(lr=0.05))
    (result,) = train([own])
    means, t = logits(own, result, "test").exp().numpy(), data.test.targets.numpy()
    for level in (0.5, 0.8, 0.95):
        low, high = poisson(means).interval(level)
        share = ((low <= t) & (t <= high)).mean()
        assert result.calibration["test"][f"coverage_{100 * level:.0f}"] == pytest.approx(share)


def test_intervals_of_quantiles_are_those_that_the_head_has():
    own = experiment(
        data=dataset(None), head=Quantiles([0.1, 0.25, 0.5, 0.9]), loss="quantile_score"
    )
    (result,) = train([own])
    z, t = logits(own, result, "test").numpy(), dataset(None).test.targets[:, 0].numpy()
    # the second level is the one in the middle
    low, high = z[:, 1] - np.log1p(np.exp(z[:, 0])), z[:, 1] + np.log1p(np.exp(z[:, 2:])).sum(1)
    expected = ((low <= t) & (t <= high)).mean()
    assert result.calibration["test"] == {"coverage_80": pytest.approx(expected, abs=1e-6)}
    other = experiment(data=dataset(None), head=Quantiles([0.2, 0.5]), loss="quantile_score")
    assert train([other])[0].calibration == {}


@pytest.mark.parametrize(
    ("objectives", "counts"),
    [
        ([(Gaussian(), "gaussian_nll"), (Laplace(), "nll")], [3, 3]),
        ([(Quantiles([0.1, 0.9]), "quantile_score"), (Quantiles([0.2, 0.9]), "quantile_score")],
         [1, 0]),
        ([(Linear(), "se"), (Quantiles([0.5]), "quantile_score")], [0, 0]),
    ],
)  # fmt: skip
def test_a_regression_next_to_others_is_that_alone(objectives, counts):
    slow = SGD(lr=0.02)
    runs = [
        experiment(data=dataset(None), head=head, loss=loss, optimizer=slow)
        for head, loss in objectives
    ]
    found = [result.calibration for result in train(runs)]
    assert [len(one.get("test", {})) for one in found] == counts
    for run, together in zip(runs, found, strict=True):
        assert train([run])[0].calibration == together


def test_a_regression_without_deviations_has_none():
    (result,) = train([experiment(data=dataset(None), head="linear", loss="se")])
    assert result.calibration == {}


def test_without_validation_there_is_no_temperature():
    from dataclasses import replace

    data = dataset(2)
    empty = replace(data.val, features=data.val.features[:0], targets=data.val.targets[:0])
    (result,) = train([experiment(data=replace(data, val=empty))])
    assert set(result.calibration) == {"test"}
    assert "nll_scaled" not in result.calibration["test"]


def test_huge_numbers_are_no_error():
    run = experiment(head="linear", loss="se", dtype="float64", seed=1)
    with torch.no_grad():
        for parameter in run.module.parameters():
            parameter.mul_(1e200)
    other = experiment()
    train([other, run])


def test_options_of_the_loss_change_no_likelihood():
    """The calibration is of the predictions, whatever the training is weighed by."""
    options = {"options": {"label_smoothing": 0.2}, "class_weights": (1.0, 5.0, 2.0)}
    for changes in options.items():
        own = experiment(data=dataset(3), head="softmax", loss="ce", **dict([changes]))
        (result,) = train([own])
        z, labels = logits(own, result, "test"), own.data.test.targets.numpy()
        expected = log_loss(labels, z.softmax(1).numpy())
        assert result.calibration["test"]["nll"] == pytest.approx(expected, rel=1e-5)
        assert abs(result.metrics["loss/test"] / expected - 1) > 0.01
