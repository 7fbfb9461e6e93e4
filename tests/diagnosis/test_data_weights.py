"""Inputs, targets and weights that keep a network from learning, in trainings of a second."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.analysis.explain import explain
from mlr.diagnosis.data_weights import inputs_unscaled, start_too_large
from mlr.diagnosis.examples import class_missing
from mlr.diagnosis.findings import sentence
from mlr.diagnosis.program import WatchedProgram
from mlr.records.evidence import Evidence, Look
from mlr.records.reading import read_runs

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(240, 5, generator=GENERATOR)
LINE = X @ torch.randn(5, 3, generator=GENERATOR)
CLASSES = LINE.argmax(1)
PRICE = LINE[:, :1]
NOISE = torch.randn(240, 1, generator=torch.Generator().manual_seed(1))


def network(outputs=3, activation=nn.ReLU):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), activation(), nn.Linear(8, outputs))


def explained(folder, x, t, model=None, loss=F.cross_entropy, rate=0.3, epochs=8, shuffle=True):
    model = model or network()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    order = torch.Generator().manual_seed(1)
    with GradientProbe(model, optimizer, folder) as probe:
        for _ in range(epochs):
            places = torch.randperm(len(x), generator=order) if shuffle else torch.arange(len(x))
            for some in places.split(20):
                z = model(x[some])
                value = loss(z, t[some])
                probe.watch(z, t[some], value)
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
    return explain(read_runs(folder))


HOLE = (torch.arange(240) != 25)[:, None]  # in the second batch
REGRESSION = {"loss": F.mse_loss, "model": network(1), "rate": 0.01}


def constant(model, value):
    nn.init.constant_(model[0].weight, value)
    nn.init.constant_(model[0].bias, 0)
    return model


def equal(model):
    nn.init.constant_(model[2].weight, 0.1)
    return constant(model, 0.2)


def dead(model):
    nn.init.constant_(model[0].bias, -100)
    return model


def steep(model):
    nn.init.normal_(model[0].weight, std=300.0)
    nn.init.normal_(model[2].weight, std=0.01)
    return model


def masks(each):
    """Return masks (240, 1, 4, 4) in which one pixel in `each` is 1, by no rule."""
    places = torch.randperm(240 * 16, generator=torch.Generator().manual_seed(0))
    return (places % each == 0).float().reshape(240, 1, 4, 4)


def pixels():
    return nn.Sequential(network(16), nn.Unflatten(1, (1, 4, 4)))


def wide(model):
    nn.init.normal_(model[2].weight, std=300.0)
    return model


RARE = {"epochs": 20, "model": network(2), "rate": 0.03}


@pytest.mark.parametrize(
    ("rule", "x", "t", "more"),
    [
        ("not_finite_values", X.where(X > -2, torch.nan), CLASSES, {}),
        ("not_finite_values", X, PRICE.where(HOLE, torch.nan), REGRESSION),
        ("not_finite_values", X.where(HOLE, torch.nan), CLASSES, {"shuffle": False}),
        ("lost_at_once", X.where(HOLE.roll(80, 0), torch.nan), CLASSES, {"shuffle": False}),
        ("inputs_constant", X[:1].expand(240, 5), CLASSES, {"epochs": 20}),
        ("class_missing", X, torch.ones(240).long(), {}),
        (
            "targets_unscaled",
            X,
            1e4 * PRICE,
            {**REGRESSION, "loss": F.l1_loss, "model": network(1)},
        ),
        ("zero_weights", X, CLASSES, {"model": constant(network(), 0)}),
        ("symmetric_weights", X, CLASSES, {"model": equal(network())}),
        ("saturated", X, CLASSES, {"model": steep(network(3, nn.Tanh)), "rate": 1e-2}),
        ("dead_relus", X, CLASSES, {"model": dead(network())}),
        ("inputs_lose_precision", 1000 * X + 3e9, CLASSES, {"rate": 1e-9}),
        ("inputs_unscaled", 1e-4 * X, CLASSES, {"rate": 0.05}),
        (
            "targets_unscaled",
            X,
            1e4 * PRICE,
            {"loss": F.mse_loss, "model": network(1), "rate": 1e-9},
        ),
        ("sorted_data", X[CLASSES.argsort()], CLASSES.sort()[0], {"shuffle": False}),
        ("class_missing", X, 2 * CLASSES.clamp(0, 1), {"epochs": 20}),
        ("class_missing", X, torch.arange(240) % 8, {"epochs": 8, "model": network(10)}),
        ("start_too_large", X, CLASSES, {"model": wide(network()), "rate": 1e-6}),
        (
            *("imbalance", X, (torch.arange(240) % 120 == 0).long()),
            {"epochs": 20, "model": network(2)},
        ),
        ("imbalance", X, (torch.arange(240) % 40 == 0).long(), RARE),
        (
            "imbalance",
            X,
            masks(40),
            {**RARE, "loss": F.binary_cross_entropy_with_logits, "model": pixels()},
        ),
        ("targets_shuffled", X, torch.arange(240) % 3, {"epochs": 20, "rate": 0.03}),
        (
            *("targets_shuffled", X, NOISE),
            {"epochs": 20, "rate": 0.03, "loss": F.l1_loss, "model": network(1)},
        ),
    ],
)
def test_the_fault_is_the_first_finding(tmp_path, rule, x, t, more):
    first, *_ = explained(tmp_path / "it", x, t, **more)
    assert first.rule == rule


@pytest.mark.parametrize(
    ("x", "t", "more"),
    [
        (X, CLASSES, {}),
        (X, PRICE, {"loss": F.mse_loss, "model": network(1), "rate": 0.05}),
        (X, PRICE, {"loss": F.l1_loss, "model": network(1), "rate": 0.1, "epochs": 20}),
        (30 * X, CLASSES, {"rate": 0.003, "epochs": 20}),  # unscaled, and learned all the same
        (X, CLASSES, {"model": network(5)}),  # unused last outputs
        (X, torch.arange(240) % 9, {"model": network(10)}),  # a single one
        (X, torch.arange(240) ** 2 % 8, {"model": network(10)}),  # of data that are not even
        (
            X,
            masks(8),
            {"loss": F.binary_cross_entropy_with_logits, "model": pixels()},
        ),  # many pixels are 1
        (10 * X, (X[:, 0] > 1.8).long(), {"model": network(2), "epochs": 20}),  # rare, and learned
        (X, CLASSES, {"model": network(3, nn.Identity), "epochs": 20}),  # linear, which suffices
        (X, torch.randint(3, (240,), generator=GENERATOR), {"epochs": 2}),  # too short to tell
    ],
)
def test_a_look_alike_has_none(tmp_path, x, t, more):
    found = explained(tmp_path / "it", x, t, **more)
    assert [one.rule for one in found if one.rule != "too_few_updates"] == []


def test_the_number_of_the_padding_has_no_examples():
    def found(shape, counts):
        look = Look(
            known=True,
            target_shape=shape,
            target_integer=True,
            output_shape=[*shape, 4],
            forms=["ce:mean"],
        )
        return class_missing(WatchedProgram(Evidence(class_counts=counts, looks=[look])))

    assert found([8], [0, 200, 200, 200])
    assert found([8, 5], [200, 0, 200, 200])
    assert found([8, 5], [0, 200, 200, 200]) is None


def thrown_back(size=124.0, start=13.4, peak=2605.0, end=1.18):
    """Return a training on ten classes that large inputs threw back, and that learned some."""
    looks = [
        Look(
            **{"known": True, "loss": loss, "forms": ["ce:mean"], "target_integer": True},
            **{"output_shape": [64, 10], "target_shape": [64]},
            **{"input_size": size, "input_largest": size, "input_smallest": size},
        )
        for loss in (start, peak, 36.8, 2.3, 1.9, end)
    ]
    return WatchedProgram(Evidence(updates=200, class_counts=[350] * 10, looks=looks))


def test_large_inputs_that_threw_a_training_back_are_found():
    assert "size of 124" in str(sentence([inputs_unscaled(thrown_back())]))


def test_large_weights_of_a_training_that_diverged_are_found():
    lost = thrown_back(size=1.0, start=4e4, peak=6e15, end=float("nan"))
    assert "weights are too large" in str(sentence([start_too_large(lost)]))
    assert start_too_large(thrown_back(size=1.0, start=2.4, end=float("nan"))) is None


@pytest.mark.parametrize("change", [{"size": 1.0}, {"start": 3.0}, {"peak": 50.0}, {"end": 0.5}])
def test_large_inputs_of_a_training_that_went_on_are_not(change):
    assert inputs_unscaled(thrown_back(**change)) is None
