"""Steps of a copy, and comparisons of examples, name faults; sound programs have none."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import mlr
from mlr.diagnosis.preflight import wild
from mlr.diagnosis.program import WatchedProgram
from mlr.records.evidence import Evidence

torch.manual_seed(0)
B = 32
X = torch.randn(B, 12)
T = X[:, :3].argmax(1)
CE = nn.CrossEntropyLoss()


def network(outputs=3, activation=nn.ReLU, inputs=12):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(inputs, 24), activation(), nn.Linear(24, outputs))


def sgd(model, **options):
    return torch.optim.SGD(model.parameters(), **({"lr": 0.1} | options))


def adam(model, **options):
    return torch.optim.Adam(model.parameters(), **({"lr": 1e-3} | options))


def named(model, batch, optimizer=None, loss=CE, **options):
    return [one.rule for one in mlr.check(model, loss, batch, optimizer, **options)]


@pytest.mark.parametrize(
    ("make", "options", "rules"),
    [
        (adam, {}, []),
        (adam, {"lr": 0.03}, []),
        (sgd, {}, []),
        (sgd, {"lr": 1e-3, "momentum": 0.9}, []),
        (adam, {"lr": 0.0}, ["rate_too_low"]),
        (sgd, {"lr": 1e-6}, ["rate_too_low"]),
        (adam, {"lr": 1.0}, ["step_too_large"]),
        (sgd, {"lr": 100.0}, ["step_too_large"]),
        (sgd, {"weight_decay": 1e-4}, []),
        (sgd, {"weight_decay": 3.0}, ["decay_too_strong"]),
        (adam, {"weight_decay": 1.0}, ["decay_too_strong"]),
    ],
)
def test_one_step(make, options, rules):
    model = network()
    assert named(model, (X, T), make(model, **options)) == rules


@pytest.mark.parametrize("make", [sgd, adam])
def test_the_step_is_that_of_the_optimizer(make):
    """By a step of torch's own on a model that was made again, the optimizer's state included."""

    def begun():
        model = network()
        optimizer = make(model, lr=0.5, weight_decay=0.2)
        CE(model(X), T).backward()
        optimizer.step()
        optimizer.zero_grad()
        return model, optimizer

    model, optimizer = begun()
    seen = mlr.check(model, CE, (X, T), optimizer).run.entries["program"]["rehearsal"]
    steps = {}
    for decay in (0.2, 0.0):
        other, own = begun()
        own.param_groups[0]["weight_decay"] = decay
        before = [one.detach().clone() for one in other.parameters()]
        loss = CE(other(X), T)
        loss.backward()
        gradient = torch.cat([one.grad.flatten() for one in other.parameters()]).norm()
        own.step()
        steps[decay] = [
            one.detach() - old for one, old in zip(other.parameters(), before, strict=True)
        ]
        if decay:
            after = CE(other(X), T)
            ratios = [
                (step.norm() / old.norm()).item()
                for step, old in zip(steps[decay], before, strict=True)
                if old.dim() > 1
            ]
            assert seen["moved"] == pytest.approx(sum(ratios) / 2, rel=1e-5)
            assert seen["loss_before"] == pytest.approx(loss.item())
            assert seen["loss_after"] == pytest.approx(after.item(), rel=1e-5)
            assert seen["gradient"] == pytest.approx(gradient.item(), rel=1e-5)
    flat = {decay: torch.cat([one.flatten() for one in own]) for decay, own in steps.items()}
    share = (flat[0.2] - flat[0.0]).norm() / flat[0.0].norm()
    assert seen["decay"] == pytest.approx(share.item(), rel=1e-4)


def test_the_sentences_have_the_numbers():
    model = network()
    one = mlr.check(model, CE, (X, T), adam(model, lr=1.0))[0]
    assert "lr=1" in one.evidence.split("; ")[-1]
    assert one.certain
    zero = mlr.check(model, CE, (X, T), adam(model, lr=0.0))[0]
    assert zero.sentence.endswith("the learning rate is 0.")
    assert zero.certain
    low = mlr.check(model, CE, (X, T), sgd(model, lr=1e-6))[0]
    assert low.sentence.endswith("the learning rate is too low.")
    assert not low.certain


def test_a_warm_up_from_zero_is_sound():
    model = network()
    optimizer = adam(model)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 100)
    assert optimizer.param_groups[0]["lr"] == 0
    assert named(model, (X, T), optimizer) == []
    assert named(model, (X, T), optimizer, overfit_steps=60) == []


def test_a_model_that_has_learned_takes_small_steps():
    model = network()
    optimizer = sgd(model, lr=0.5, momentum=0.9, weight_decay=1e-3)
    for _ in range(200):
        optimizer.zero_grad()
        CE(model(X), T).backward()
        optimizer.step()
    optimizer.param_groups[0]["lr"] = 1e-6
    assert named(model, (X, T), optimizer) == []


def test_an_optimizer_that_needs_a_closure_makes_no_step():
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4)
    assert named(model, (X, T), optimizer) == []
    assert named(model, (X, T), optimizer, overfit_steps=60) == []


def test_steps_without_any_gradient_are_no_rate_that_is_too_low():
    model = nn.Sequential(network(), nn.Threshold(-100.0, 0.0))
    model[0][2].bias.data.fill_(-1000.0)
    optimizer = adam(model)
    assert "rate_too_low" not in named(model, (X, T), optimizer)


def test_gradients_that_are_there():
    model = network()
    first = adam(model)
    CE(model(X), T).backward()
    assert named(model, (X, T), first) == ["gradients_left"]
    assert named(model, (X, T)) == []
    assert named(model, (X, T), sgd(model)) == []  # which has no state by which to tell
    first.step()
    assert named(model, (X, T), first) == []
    first.zero_grad()
    assert named(model, (X, T), adam(model)) == []


def scaled(column, factor):
    inputs = X.clone()
    inputs[:, column] *= factor
    return inputs


@pytest.mark.parametrize(
    ("inputs", "make", "first"),
    [
        (1e4 * X, sgd, "inputs_unscaled"),
        (scaled(3, 1e6), adam, "inputs_unscaled"),
        (3e9 + 1000 * X, adam, "inputs_lose_precision"),
        (3e10 + X, adam, "inputs_lose_precision"),
        (X[:1].expand(B, 12), adam, "same_inputs"),
        (torch.cat([X[:, :5], torch.arange(7.0).expand(B, 7)], 1), adam, "features_constant"),
        (X[:, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]], adam, "features_repeated"),
    ],
)
def test_inputs(inputs, make, first):
    model = network()
    found = named(model, (inputs, T), make(model))
    assert found[0] == first
    assert set(found) <= {first, "inputs_unscaled", "step_too_large", "start_too_large"}


@pytest.mark.parametrize(
    "inputs",
    [
        (X > 1).float(),  # words
        torch.cat([X[:, :5], torch.zeros(B, 7)], 1),
        torch.cat([X[:, :5].sigmoid(), torch.zeros(B, 7)], 1) - 0.4242,  # a background
        X[:, [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4]],
        3 * X + 5,
    ],
)
def test_inputs_that_are_sound(inputs):
    model = network()
    assert named(model, (inputs, T), adam(model)) == []


def test_raw_pixels_before_a_batch_normalisation_are_sound():
    model = nn.Sequential(nn.BatchNorm1d(12), network())
    assert named(model, (500 * X, T), adam(model)) == []
    assert named(model, (500 * X, T)) == []


def test_targets_of_a_large_scale():
    model = network(1)
    targets = 1e5 * X[:, :1] + 2e5
    assert named(model, (X, targets), adam(model), nn.MSELoss()) == ["targets_unscaled"]
    assert named(model, (X, X[:, :1]), adam(model), nn.MSELoss()) == []
    assert not wild(WatchedProgram(Evidence()))


def test_saturated_at_the_start():
    model = network(activation=nn.Tanh)
    model[0].weight.data.mul_(100)
    assert named(model, (X, T), adam(model)) == ["saturated_at_start"]


@pytest.mark.parametrize(
    ("validation", "count"),
    [
        (torch.randn(100, 12), 0),
        (torch.cat([X[:9], torch.randn(91, 12)]), 9),
        (torch.cat([X[:1], torch.randn(91, 12)]), 0),  # chance
        (torch.cat([X[:9], torch.randn(91, 12)]).double(), 9),
    ],
)
def test_validation_examples_of_the_training(validation, count):
    found = mlr.check(network(), CE, (X, T), validation=(validation, T))
    assert [one.rule for one in found] == ["validation_in_training"][: count > 0]
    if count:
        assert found[0].sentence.startswith(
            "9 of the 100 validation examples are in this batch of 32"
        )


def test_examples_of_few_values_are_there_twice_by_chance():
    inputs = torch.randint(0, 2, (B, 3)).float()
    model = network(inputs=3)
    assert named(model, (inputs, T), validation=(inputs, T)) == []


def test_one_batch_is_learned():
    model = network()
    assert named(model, (X, T), overfit_steps=40) == []
    assert named(model, (X, T), adam(model, lr=0.01), overfit_steps=40) == []
    same = mlr.check(model, CE, (X[:1].expand(B, 12), T), overfit_steps=40)
    assert [one.rule for one in same] == ["same_inputs", "batch_not_learned"]
    low = mlr.check(model, CE, (X, T), adam(model, lr=1e-5), overfit_steps=50)
    assert [one.rule for one in low] == ["batch_not_learned"]
    assert "after 50 steps with its optimizer" in low[0].sentence
    assert "Adam at lr=1e-3" in same[1].sentence


def test_learning_is_that_of_torch():
    model, twin = network(), network()
    seen = mlr.check(model, CE, (X, T), adam(model), overfit_steps=15)
    optimizer, losses = adam(twin), []
    for _ in range(15):
        optimizer.zero_grad()
        loss = CE(twin(X), T)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    found = seen.run.entries["program"]["rehearsal"]
    assert found["first_loss"] == pytest.approx(losses[0], rel=1e-6)
    assert found["last_loss"] == pytest.approx(losses[-1], rel=1e-5)


class Words(nn.Module):
    """As a model of transformers: named inputs, and outputs that hold loss and logits."""

    def __init__(self, softmax=False):
        super().__init__()
        self.body, self.softmax = network(), softmax

    def forward(self, features, mask=None, labels=None):
        logits = self.body(features if mask is None else features * mask)
        given = logits.softmax(1) if self.softmax else logits
        return Output(
            loss=None if labels is None else F.cross_entropy(given, labels), logits=logits
        )


class Output(dict):
    """Mapping with attributes."""

    __getattr__ = dict.get


class Pair(nn.Module):
    """Two inputs."""

    def __init__(self):
        super().__init__()
        self.body = network()

    def forward(self, x, y):
        return self.body(x * y)


ONES = torch.ones(B, 12)


@pytest.mark.parametrize(
    ("model", "loss", "batch"),
    [
        (Words(), None, {"features": X, "labels": T}),
        (Words(), None, {"features": X, "mask": ONES, "labels": T}),
        (Words(), CE, {"features": X, "mask": ONES, "labels": T}),
        (Words(), CE, ({"features": X, "mask": ONES}, T)),
        (Pair(), CE, (X, ONES, T)),
        (Pair(), CE, ((X, ONES), T)),
        (Pair(), CE, [[X, ONES], T]),
        (Pair(), CE, {"x": X, "y": ONES, "target": T}),
    ],
)
def test_batches_in_their_natural_forms(model, loss, batch):
    optimizer = adam(model)
    assert named(model, batch, optimizer, loss, overfit_steps=40) == []
    optimizer.param_groups[0]["lr"] = 0.0
    assert named(model, batch, optimizer, loss) == ["rate_too_low"]


def test_a_fault_within_a_model_that_returns_its_loss():
    found = named(Words(softmax=True), {"features": X, "labels": T}, loss=None)
    assert found == ["softmax_before_cross_entropy"]


def test_a_loss_of_several_outputs():
    class Coder(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(12, 4), nn.Linear(4, 12)

        def forward(self, x):
            mean = self.one(x)
            return self.two(mean), mean

    def loss(outputs, targets):
        return F.mse_loss(outputs[0], targets) + outputs[1].square().mean()

    model = Coder()
    assert named(model, (X, X), adam(model), loss, overfit_steps=40) == []


@pytest.mark.parametrize(
    ("targets", "model"),
    [
        (torch.randint(0, 5, (4, 6, 6)), nn.Conv2d(1, 5, 3, padding=1)),
        (torch.randint(0, 5, (4, 6)), nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 5, 31))),
    ],
)
def test_classes_on_the_second_axis(targets, model):
    inputs = torch.rand(4, 1, 6, 6)
    assert named(model, (inputs, targets), adam(model)) == []
    found = mlr.check(nn.Sequential(model, nn.Softmax(dim=1)), CE, (inputs, targets))
    assert [one.rule for one in found] == ["softmax_before_cross_entropy"]
    assert "rows of the outputs sum to 1;" in found[0].evidence
    most = torch.tensor([1.0, 0, 0, 0, 0]).softmax(0)[0]
    assert f"no class can get more than {100 * most:.0f} %" in found[0].sentence
    assert found[0].certain


def test_certain_needs_a_second_witness():
    """The graph shows a softmax; outputs, loss and last layer do not."""
    weight = torch.tensor([1.0, 2.0, 3.0])

    def loss(z, t):
        return F.cross_entropy(z.softmax(1), t, weight=weight)

    one = mlr.check(network(), loss, (X, T))[0]
    assert (one.rule, one.certain) == ("softmax_before_cross_entropy", False)
    plain = mlr.check(network(), lambda z, t: CE(z.softmax(1), t), (X, T))[0]
    assert (plain.rule, plain.certain) == ("softmax_before_cross_entropy", True)
    layer = mlr.check(
        nn.Sequential(network(), nn.Softmax(1)), nn.CrossEntropyLoss(weight=weight), (X, T)
    )[0]
    assert (layer.rule, layer.certain) == ("softmax_before_cross_entropy", True)


def test_zero_gradients_of_a_step_function():
    class Rounded(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = network()

        def forward(self, x):
            return self.body(x).round()

    model = Rounded()
    assert named(model, (X, T), adam(model)) == ["zero_gradient_function"]


def test_what_cannot_be_read_or_copied():
    with pytest.raises(mlr.core.checks.InputError, match="none of them names targets"):
        mlr.check(network(), CE, {"x": X})
    with pytest.raises(mlr.core.checks.InputError, match="The model returns no loss"):
        mlr.check(network(), None, (X, T))
    with pytest.raises(mlr.core.checks.InputError, match=r"nn\.LazyLinear"):
        mlr.check(nn.LazyLinear(3), CE, (X, T))
    model = network()
    model.kept = model(X)  # a tensor with a graph
    optimizer = adam(model)
    assert named(model, (X, T), optimizer) == []
    with pytest.raises(mlr.core.checks.InputError, match="cannot be copied"):
        mlr.check(model, CE, (X, T), optimizer, overfit_steps=10)
