from __future__ import annotations

import gc
from dataclasses import replace
from math import isnan

import pytest
import torch
from torch import nn

from mlr.core.checks import InputError
from mlr.data.base import Dataset, Split
from mlr.heads import Sigmoid
from mlr.information import HALF_LOG_TAU
from mlr.models import Linear, Mlp
from mlr.objectives import Objective
from mlr.probes import ProbeSettings
from mlr.training import SGD, Adam, train
from mlr.training.step import Kind, kind_of
from tests.training.conftest import dataset, experiment, split
from tests.training.twin import train_plainly

PAIRS = [
    ("linear", "se", 2),
    ("clipped_linear", "se", 2),
    ("clipped_linear", "bce", 2),
    ("sigmoid", "se", 2),
    ("sigmoid", "bce", 2),
    ("softmax", "se", 3),
    ("softmax", "bce", 3),
    ("softmax", "ce", 3),
    ("softmax", "ce", 2),
    ("linear", "se", 3),
    ("sigmoid", "bce", 3),
    ("linear", "gaussian_nll", None),
    ("gaussian", "gaussian_nll", None),
]


def assert_same(found, expected, tolerance=1e-10):
    assert found.keys() == expected.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=tolerance, atol=tolerance)


class Custom(nn.Module):
    """No nn.Sequential, so it goes through torch.func."""

    def __init__(self, features: int, outputs: int):
        super().__init__()
        self.first = nn.Linear(features, 4)
        self.second = nn.Linear(4, outputs)

    def forward(self, x):
        return self.second(torch.sin(self.first(x))) + x.sum(-1, keepdim=True)


@pytest.mark.parametrize(("head", "loss", "classes"), PAIRS)
def test_every_pair_equals_a_plain_loop(head, loss, classes, mlp):
    run = experiment(head=head, loss=loss, data=dataset(classes), model=mlp)
    (result,) = train([run])
    assert_same(result.parameters, train_plainly(run))


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_closed_form_equals_autograd_for_every_activation(activation):
    run = experiment(model=Mlp([6, 5], activation), data=dataset(3), head="softmax", loss="ce")
    (result,) = train([run])
    assert_same(result.parameters, train_plainly(run))


@pytest.mark.parametrize("runs", [1, 3])
def test_closed_form_equals_torch_func(runs):
    class Wrapped(nn.Module):
        """The same dense network, hidden from the closed form."""

        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x)

    dense = [experiment(model=Mlp([4], "relu"), seed=seed) for seed in range(runs)]
    wrapped = [experiment(seed=seed, module=Wrapped(run.module)) for seed, run in enumerate(dense)]
    for closed, functional in zip(train(dense), train(wrapped), strict=True):
        inner = {name.removeprefix("inner."): v for name, v in functional.parameters.items()}
        assert_same(inner, closed.parameters)


def test_any_module_goes_through_torch_func():
    torch.manual_seed(0)
    run = experiment(module=Custom(3, 1).double())
    (result,) = train([run])
    assert_same(result.parameters, train_plainly(run))


@pytest.mark.parametrize("hidden", [None, 4, 40])
@pytest.mark.parametrize("runs", [1, 3])
def test_layers_without_a_bias_equal_their_plain_loops(hidden, runs):
    def module(seed):
        torch.manual_seed(seed)
        if hidden is None:
            return nn.Sequential(nn.Linear(3, 1, bias=False)).double()
        layers = nn.Linear(3, hidden, bias=False), nn.Tanh(), nn.Linear(hidden, 1, bias=False)
        return nn.Sequential(*layers).double()

    made = [experiment(module=module(seed), seed=seed) for seed in range(runs)]
    for run, result in zip(made, train(made), strict=True):
        assert_same(result.parameters, train_plainly(run))


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("widths", [[40, 1, 30], [1, 40]])
def test_a_hidden_layer_of_one_unit_equals_its_plain_loop(runs, widths):
    """Of a single run its products are of one column, which are computed in another way."""
    made = [experiment(model=Mlp(widths, "tanh"), seed=seed) for seed in range(runs)]
    for run, result in zip(made, train(made), strict=True):
        assert kind_of(run) is Kind.NARROW
        assert_same(result.parameters, train_plainly(run))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("features", "widths"), [(1, [40]), (1, [40, 30]), (3, [40, 1, 30]), (3, [1, 40]), (3, [40, 1])]
)
def test_layers_of_one_input_or_unit_are_those_of_the_run_alone(features, widths, dtype):
    """To the bit, though torch rounds the products of one such matrix otherwise."""
    parts = [split(50, 2, seed, 3) for seed in range(3)]
    parts = [Split(part.features[:, :features], part.targets) for part in parts]
    data = Dataset("few", *parts, 2)
    models = [Mlp(widths, "tanh").build((features,), 1, seed, dtype) for seed in range(3)]
    runs = [
        experiment(data=data, module=module, dtype=dtype, seed=seed)
        for seed, module in enumerate(models)
    ]
    together = train(runs)
    assert kind_of(runs[0]) is Kind.NARROW
    for run, result in zip(runs, together, strict=True):
        (alone,) = train([run])
        assert_same(result.parameters, alone.parameters, 0)
        assert result.metrics == alone.metrics


def other_data(seed):
    """Data of its own for every run, but for the first two."""
    parts = [split(50, 2, 10 * max(1, seed) + part) for part in range(3)]
    return dataset() if seed < 2 else Dataset("other", *parts, 2)


def test_runs_of_many_kinds_in_one_program_equal_their_plain_loops(mlp):
    pairs = [("sigmoid", "bce"), ("sigmoid", "bce"), ("sigmoid", "se"), ("linear", "se")]
    runs = [
        experiment(
            head=head,
            loss=loss,
            model=mlp,
            seed=seed,
            data=other_data(seed),
            optimizer=SGD(
                lr=0.1 * (seed + 1), momentum=0.2 * seed + 0.1, weight_decay=0.01 * seed + 0.01
            ),
            max_grad_norm=0.5 * (seed + 1),
        )
        for seed, (head, loss) in enumerate(pairs)
    ]
    for run, result in zip(runs, train(runs), strict=True):
        assert_same(result.parameters, train_plainly(run))


def test_steps_end_within_an_epoch():
    run = experiment(steps=6)
    (result,) = train([run])
    assert result.steps == 6
    assert_same(result.parameters, train_plainly(run))


def test_a_run_repeats_to_the_bit():
    (one,), (two,) = (train([experiment(dtype="float32")]) for _ in range(2))
    assert all(torch.equal(one.parameters[name], two.parameters[name]) for name in one.parameters)
    assert one.metrics == two.metrics


def test_the_callers_module_and_generator_are_left_alone():
    run = experiment(module=nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1)))
    before = {name: value.clone() for name, value in run.module.state_dict().items()}
    state = torch.get_rng_state()
    (one,), (two,) = train([run]), train([run])
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], v) for name, v in run.module.state_dict().items())
    assert_same(one.parameters, two.parameters, 0)


def test_regression_has_losses_and_no_accuracy():
    (result,) = train([experiment(head="linear", loss="se", data=dataset(None))])
    means = {"loss/train", "loss/val", "loss/test", "rmse/val", "rmse/test"}
    assert set(result.metrics) == means | {"saturation/fraction", "zero_grad/fraction"}
    assert result.metrics["loss/test"] < 0.3


def test_the_error_of_a_regression_is_the_same_whatever_its_loss():
    """½ (ŷ − t)² on average is half its square; of a program of two losses each has its own."""
    runs = [
        experiment(head="linear", loss=loss, data=dataset(None), seed=seed)
        for seed, loss in ((0, "matching"), (1, "se"), (0, "se"))
    ]
    same, other, result = train(runs)
    for part in ("val", "test"):
        half = result.metrics[f"loss/{part}"]
        assert result.metrics[f"rmse/{part}"] == pytest.approx((2 * half) ** 0.5, rel=1e-12)
        assert other.metrics[f"rmse/{part}"] != result.metrics[f"rmse/{part}"]
        assert same.metrics[f"rmse/{part}"] == result.metrics[f"rmse/{part}"]


def two_targets(seed: int) -> Split:
    one = split(40, None, seed)
    return Split(one.features, torch.cat([one.targets, one.targets.flip(0)], 1))


@pytest.mark.parametrize("model", [Linear(), Mlp([9])])
def test_a_gaussian_tells_the_deviation_it_predicts(model):
    """The mean over examples and targets, of two targets here."""
    data = Dataset("two targets", *(two_targets(seed) for seed in (1, 2, 3)), None)
    run = experiment(
        objective=Objective("gaussian", "gaussian_nll", outputs=4),
        module=model.build((3,), 4, 0, "float64"),
        data=data,
        optimizer=SGD(lr=0.02),
    )
    (result,) = train([run])
    assert_same(result.parameters, train_plainly(run))
    run.module.load_state_dict(result.state_dict)
    logits = run.module(data.test.features)
    deviation = logits[:, 2:].exp().mean().item()
    assert result.metrics["predicted_std/test"] == pytest.approx(deviation)
    loss = Objective("gaussian", "gaussian_nll")(logits, data.test.targets).mean().item()
    assert result.metrics["loss/test"] == pytest.approx(loss)
    error = (logits[:, :2] - data.test.targets).square().mean().sqrt().item()
    assert result.metrics["rmse/test"] == pytest.approx(error)
    kinds = ("loss", "predicted_std")
    means = {f"{kind}/{part}" for kind in kinds for part in ("train", "val", "test")}
    means |= {"rmse/val", "rmse/test"}
    assert set(result.metrics) == means | {"saturation/fraction", "zero_grad/fraction"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_squared_error_and_a_gaussian_of_deviation_one_learn_the_same(dtype):
    """Bit for bit; the losses are ½ log 2π apart."""
    se, nll = (
        experiment(
            head="linear",
            loss=loss,
            data=dataset(None),
            dtype=dtype,
            module=Linear().build((3,), 1, 0, dtype),
        )
        for loss in ("se", "gaussian_nll")
    )
    first, second = train([se, nll])
    assert_same(first.parameters, second.parameters, 0)
    for tag, value in first.metrics.items():
        apart = HALF_LOG_TAU if tag.startswith("loss/") else 0
        assert second.metrics[tag] == pytest.approx(value + apart, rel=1e-6)


def test_an_accuracy_in_float64_has_its_digits():
    (result,) = train([experiment(dtype="float64", epochs=1)])
    count = len(experiment().data.test)
    right = round(result.metrics["accuracy/test"] * count)
    assert result.metrics["accuracy/test"] == right / count


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_no_end_depends_on_the_clock(monkeypatch, seconds):
    monkeypatch.setattr("mlr.training.loop.PROGRESS_SECONDS", seconds)
    monkeypatch.setattr("mlr.probes.measuring.FLUSH_SECONDS", seconds)
    (result,) = train([experiment(head="linear", loss="se", optimizer=SGD(lr=50.0), epochs=200)])
    assert (result.status, result.steps) == ("diverged", 84)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 must be a whole number of at least 1"),
        ({"batch_size": 51}, "batch_size=51 is more than the 50 training examples of data=made"),
        ({"epochs": 0}, "epochs=0 must be a whole number"),
        ({"steps": 0}, "steps=0 must be a whole number"),
        ({"dtype": "float31"}, "Unknown dtype=float31. Did you mean dtype=float32"),
        ({"max_grad_norm": 0.0}, "max_grad_norm=0.0 must be a finite number above 0"),
        ({"patience": 0}, "patience=0 must be a whole number"),
    ],
)
def test_values_out_of_range_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        experiment(**change)


@pytest.mark.parametrize(
    ("first", "second", "part"),
    [
        ({}, {"batch_size": 8}, "batch_size"),
        ({}, {"test_every_epoch": True}, "test_every_epoch"),
        ({}, {"optimizer": Adam(lr=0.1)}, "optimizer"),
        # a rate of 0 leaves an operation out, which moves no bit but where numbers are infinite
        ({}, {"optimizer": SGD(lr=0.1, momentum=0.9)}, "optimizer"),
        ({}, {"model": Mlp([4])}, "model"),
        ({"model": Mlp([4], "relu")}, {"model": Mlp([4], "tanh")}, "model"),
        (
            {"data": dataset(None), "head": "linear", "loss": "gaussian_nll"},
            {"data": dataset(None), "head": "gaussian", "loss": "gaussian_nll"},
            "model",
        ),
        ({}, {"data": dataset(2, 40)}, "data"),
    ],
)
def test_runs_that_cannot_share_a_program_are_refused(first, second, part):
    with pytest.raises(InputError, match=f"must share {part}"):
        train([experiment(**first), experiment(**second)])


def test_as_many_recorders_as_runs_and_at_least_one():
    with pytest.raises(InputError, match="no run"):
        train([])
    with pytest.raises(InputError, match="2 runs need as many recorders, not 1"):
        train([experiment(), experiment()], [None])


def frozen():
    return {"module": nn.Linear(3, 1).requires_grad_(False)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (frozen(), "none with requires_grad=True"),
        ({"module": nn.Flatten()}, "must have parameters"),
        ({"module": nn.Linear(3, 2)}, "the model gives 2 logits"),
        ({"objective": Objective("sigmoid", "bce", outputs=3)}, "the objective is made for 3"),
    ],
)
def test_modules_that_would_not_be_trained_as_they_are_get_refused(changes, message):
    with pytest.raises(InputError, match=message):
        train([experiment(**changes)])


def test_a_module_used_twice_is_computed_as_it_is():
    relu = nn.ReLU()
    layers = [nn.Linear(3, 4), relu, nn.Linear(4, 4), relu, nn.Linear(4, 1)]
    run = experiment(module=nn.Sequential(*layers).double())
    (result,) = train([run])
    assert_same(result.parameters, train_plainly(run))


def test_the_state_dict_loads_into_a_module_with_tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
            self.second.weight = self.first.weight
            self.output = nn.Linear(3, 1)
            self.register_buffer("scratch", torch.zeros(2), persistent=False)

        def forward(self, x):
            return self.output(torch.tanh(self.second(torch.tanh(self.first(x)))))

    run = experiment(module=Tied().double())
    (result,) = train([run])
    assert_same(result.parameters, train_plainly(run))
    run.module.load_state_dict(result.state_dict, strict=True)
    dense = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3), nn.Linear(3, 1))
    dense[2].weight = dense[0].weight
    tied = experiment(module=dense.double())
    assert_same(train([tied])[0].parameters, train_plainly(tied))


def test_buffers_stay_with_the_result():
    class Projected(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("projection", torch.randn(3, 5))
            self.output = nn.Linear(5, 1)

        def forward(self, x):
            return self.output(torch.tanh(x @ self.projection))

    run = experiment(module=Projected().double())
    (result,) = train([run])
    assert torch.equal(result.state_dict["projection"], run.module.projection)
    assert_same(result.parameters, train_plainly(run))


def test_of_no_examples_a_mean_is_nan_and_a_mean_output_is_not_told():
    """All are of class 1, and right."""
    part = Split(torch.ones(4, 1, dtype=torch.float64), torch.ones(4, dtype=torch.int64))
    module = nn.Sequential(nn.Linear(1, 1)).double()
    nn.init.ones_(module[0].weight)
    nn.init.ones_(module[0].bias)
    changes = {"data": Dataset("ones", part, part, part, 2), "module": module, "batch_size": 2}
    (result,) = train([experiment(probes=ProbeSettings(prediction=True), **changes)])
    assert isnan(result.metrics["logit_grad/wrong"])
    told = {tag for tag in result.metrics if tag.startswith("prediction/")}
    assert told == {"prediction/target_1"}


def test_progress_ends_at_the_total():
    told = []
    train([experiment(model=Linear())], progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (12, 12)


@pytest.mark.parametrize("classes", [2, 3, None])
def test_updates_leave_no_cycles_where_none_are_looked_for(classes):
    """Or a long training would fill the memory."""
    pairs = [(head, loss) for head, loss, known in PAIRS if known == classes]

    def left_by(epochs: int) -> int:
        gc.collect()
        for head, loss in pairs:
            run = experiment(head=head, loss=loss, data=dataset(classes), epochs=epochs)
            train([run], progress=lambda *_: looked_for.append(gc.isenabled()))
        return gc.collect()

    looked_for: list[bool] = []
    few, many = left_by(2), left_by(22)  # 80 updates apart
    assert not any(looked_for)
    assert many < few + 50
    assert gc.isenabled()


class Own(Sigmoid):
    """Composed with a loss: differentiated by torch.func."""


def plain_module():
    return nn.Sequential(nn.Linear(3, 4), nn.ELU(), nn.Linear(4, 1)).double()


@pytest.mark.parametrize("changed", ["objective", "module"])
def test_cycles_are_looked_for_where_torch_leaves_some(changed):
    """They hold tensors; scripts/train.py has Python look for others seldom."""
    new = {"objective": Objective(Own(), "bce"), "module": plain_module()}
    seen: list[tuple[bool, int]] = []
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 50)
    try:
        train(
            [replace(experiment(), **{changed: new[changed]})],
            progress=lambda *_: seen.append((gc.isenabled(), gc.get_threshold()[0])),
        )
        assert gc.get_threshold() == (200_000, 20, 50)
    finally:
        gc.set_threshold(*before)
    assert set(seen) == {(True, 700)}
