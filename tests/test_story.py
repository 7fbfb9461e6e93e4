"""The purpose of mlr in numbers: each claim of the lecture that the main job must show."""

from __future__ import annotations

import json
import os
from math import log
from pathlib import Path

import mpmath
import pytest
import torch

from mlr.data import Blobs, Digits, Neuron, Outliers, Xor
from mlr.models import Linear, Mlp
from mlr.objectives import Objective
from mlr.training import SGD, Experiment, train

REFERENCE = Path(os.environ.get("MLR_ORACLE", Path(__file__).parents[2] / "shared" / "reference"))
NEURON = Neuron().load(0)


def neuron(head: str, loss: str, start: tuple[float, float], lr: float, steps: int):
    """Weight and bias of the single neuron after `steps` updates, as one float64 run."""
    weight, bias = start
    experiment = Experiment(
        objective=Objective(head, loss, outputs=1),
        module=Linear(weight=weight, bias=bias).build((1,), 1, 0, "float64"),
        data=NEURON,
        optimizer=SGD(lr=lr),
        batch_size=1,
        steps=steps,
        dtype="float64",
    )
    (result,) = train([experiment])
    return [result.parameters[f"output.{name}"].item() for name in ("weight", "bias")]


def exact(loss: str, start: tuple[float, float], lr: float, steps: int) -> list[float]:
    """The same in 40 digits: x = 1, t = 0, so w and b move by −lr·dL/dz alike."""
    with mpmath.workdps(40):
        w, b, rate = mpmath.mpf(start[0]), mpmath.mpf(start[1]), mpmath.mpf(lr)
        for _ in range(steps):
            a = 1 / (1 + mpmath.exp(-(w + b)))
            slope = a * a * (1 - a) if loss == "se" else a
            w, b = w - rate * slope, b - rate * slope
        return [float(w), float(b)]


STARTS = [("se", (0.6, 0.9), 0.15), ("se", (2.0, 2.0), 0.15), ("bce", (0.6, 0.9), 0.005)]
STARTS += [("bce", (2.0, 2.0), 0.005), ("bce", (0.6, 0.9), 0.15), ("bce", (2.0, 2.0), 0.15)]


@pytest.mark.parametrize(("loss", "start", "lr"), STARTS)
@pytest.mark.parametrize("steps", [1, 50, 300])
def test_the_saturated_neuron_follows_its_exact_trajectory(loss, start, lr, steps):
    found = neuron("sigmoid", loss, start, lr, steps)
    assert found == pytest.approx(exact(loss, start, lr, steps), rel=0, abs=1e-12)


ORACLE_RUNS = {
    "quad_w0.6_b0.9_eta0.15__widget1": STARTS[0],
    "quad_w2_b2_eta0.15__widget2": STARTS[1],
    "ce_w0.6_b0.9_eta0.005__text_formula": STARTS[2],
    "ce_w2_b2_eta0.005__text_formula": STARTS[3],
    "ce_w0.6_b0.9_eta0.15__same_eta_as_quad": STARTS[4],
    "ce_w2_b2_eta0.15__same_eta_as_quad": STARTS[5],
}


@pytest.mark.parametrize("name", ORACLE_RUNS)
def test_the_saturated_neuron_equals_nielsens(name):
    path = REFERENCE / "nielsen_toy_oracle.json"
    if not path.exists():
        pytest.skip(f"{path} is not here; set MLR_ORACLE to its folder")
    loss, start, lr = ORACLE_RUNS[name]
    for steps, values in json.loads(path.read_text())[name].items():
        if int(steps) > 0:
            expected = [float(values["w"]), float(values["b"])]
            found = neuron("sigmoid", loss, start, lr, int(steps))
            assert found == pytest.approx(expected, rel=0, abs=1e-12), steps


def test_squared_error_barely_moves_where_cross_entropy_moves_at_once():
    def output(loss):
        return torch.sigmoid(torch.tensor(sum(neuron("sigmoid", loss, (2.0, 2.0), 0.15, 50))))

    assert output("se") > 0.975  # from 0.982
    assert output("bce") < 0.1


@pytest.mark.parametrize("loss", ["se", "bce"])
@pytest.mark.parametrize("start", [(2.0, 2.0), (1.0, 0.5)])
def test_a_clipped_unit_outside_never_moves(loss, start):
    assert neuron("clipped_linear", loss, start, 0.5, 100) == list(start)


def test_the_matching_loss_frees_the_clipped_unit():
    assert sum(neuron("clipped_linear", "matching", (2.0, 2.0), 0.15, 100)) == pytest.approx(0)


def together(data, pairs, model, lr=0.1, epochs=100, outputs=1):
    """Final metrics of each head and loss, trained in one program."""
    experiments = [
        Experiment(
            objective=Objective(head, loss, outputs=outputs),
            module=model.build(data.feature_shape, outputs, 0),
            data=data,
            optimizer=SGD(lr=lr),
            epochs=epochs,
            batch_size=32,
        )
        for head, loss in pairs
    ]
    return [result.metrics for result in train(experiments)]


def accuracy(data, head, loss, model, **changes):
    return together(data, [(head, loss)], model, **changes)[0]


@pytest.mark.parametrize("seed", range(3))
def test_outliers_cost_squared_error_accuracy_that_cross_entropy_keeps(seed):
    data = Outliers().load(seed)
    squared = accuracy(data, "linear", "se", Linear())
    logistic = accuracy(data, "sigmoid", "bce", Linear())
    assert logistic["accuracy/test"] > 0.99
    assert squared["accuracy/test"] < logistic["accuracy/test"] - 0.1


@pytest.mark.parametrize("seed", range(3))
def test_xor_fails_with_a_line_and_is_solved_by_a_hidden_layer(seed):
    data = Xor().load(seed)
    line = accuracy(data, "sigmoid", "bce", Linear())
    hidden = accuracy(data, "sigmoid", "bce", Mlp([8]), lr=0.5)
    assert line["accuracy/test"] < 0.8
    assert line["loss/train"] == pytest.approx(log(2), abs=0.02)
    assert hidden["accuracy/test"] > 0.99


def digits(head, losses, lr=0.5):
    """Accuracy by loss."""
    pairs = [(head, loss) for loss in losses]
    found = together(Digits().load(0), pairs, Linear(), lr=lr, epochs=20, outputs=10)
    return {loss: metrics["accuracy/test"] for loss, metrics in zip(losses, found, strict=True)}


@pytest.mark.slow
def test_classes_outside_the_support_of_sparsemax_come_back_by_the_matching_loss_alone():
    found = digits("sparsemax", ("matching", "se", "ce"))
    assert found.pop("matching") > 0.93
    assert max(found.values()) < 0.5


@pytest.mark.slow
def test_digits_are_learnt_with_every_further_loss():
    robust = ("symmetric_ce", "phuber_ce", "poly1", "asymmetric")
    found = digits("softmax", ("focal", "gce", "smoothed_ce", "mae", "hinge", *robust))
    found |= digits("softmax", ("tversky",), lr=2.0)  # whose gradient is small at the start
    assert {loss: accuracy for loss, accuracy in found.items() if accuracy <= 0.9} == {}


FURTHER = [
    (head, loss)
    for head in ("probit", "cloglog", "hard_sigmoid")
    for loss in ("bce", "se", "matching", "mae", "hinge", "focal", "gce", "smoothed_ce")
]


@pytest.mark.slow
def test_two_classes_are_learnt_with_every_further_head():
    found = together(Blobs().load(0), FURTHER, Linear(), epochs=50)
    ended = dict(zip(FURTHER, found, strict=True))
    # smoothing asks t' > 0 also where y → 0, and −t'/y throws the right out of [−3, 3], so that
    # the last bit decides where it ends, but never at a small loss
    assert ended.pop(("hard_sigmoid", "smoothed_ce"))["loss/train"] > 1
    failed = {pair: one for pair, one in ended.items() if one["accuracy/test"] <= 0.93}
    assert failed == {}


@pytest.mark.parametrize("seed", range(3))
def test_the_hinge_keeps_what_outliers_cost_squared_error(seed):
    """Right answers beyond the margin pay nothing, so that they pull at nothing."""
    assert accuracy(Outliers().load(seed), "linear", "hinge", Linear())["accuracy/test"] > 0.99
