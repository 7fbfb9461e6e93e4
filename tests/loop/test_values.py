"""Every number of a watched loop against its twin: one example at a time, by plain autograd."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.data.base import Dataset, Split
from mlr.objectives import Objective
from mlr.probes.settings import presets
from mlr.training import SGD, Experiment
from mlr.training.log import run_tags
from tests.loop.loops import batches, module, table, train

TOLERANCES = [(torch.float32, 1e-6), (torch.float64, 1e-12)]
RATE = 0.1


def norm(tensors):
    return math.sqrt(sum(t.double().square().sum().item() for t in tensors))


def twin(model, inputs, targets, previous):
    """Numbers of one step of softmax and cross-entropy, before its update, in float64."""
    model = copy.deepcopy(model).double()
    inputs = inputs.double()
    parts = {name: list(model[int(name)].parameters()) for name in ("0", "3")}
    every = [p for part in parts.values() for p in part]
    grads, right, sure, own, losses, single = [], [], [], [], [], []
    for x, t in zip(inputs, targets, strict=True):
        z = model(x[None])
        loss = F.cross_entropy(z, t[None])
        grads.append(torch.autograd.grad(loss, z, retain_graph=True)[0][0])
        single.append(torch.autograd.grad(loss, every))
        y = z.detach().softmax(-1)[0]
        right.append(bool(z.argmax() == t))
        sure.append(y.max().item())
        own.append((y[t] * (1 - y[t])).item())
        losses.append(loss.item())
    pulls = np.array([g.norm().item() for g in grads])
    right, sure, own = np.array(right), np.array(sure), np.array(own)
    mean = [torch.stack(each).mean(0) for each in zip(*single, strict=True)]
    hidden = model[1](model[0](inputs))
    y = model(inputs).softmax(-1)
    found = {
        "loss/train": np.mean(losses),
        "accuracy/train": right.mean(),
        "logit_grad/mean": pulls.mean(),
        "logit_grad/q10": np.quantile(pulls, 0.1),
        "logit_grad/median": np.median(pulls),
        "logit_grad/q90": np.quantile(pulls, 0.9),
        "logit_grad/max": pulls.max(),
        "logit_grad/wrong": pulls[~right].mean(),
        "logit_grad/right": pulls[right].mean(),
        "saturation/fraction": ((y * (1 - y)) < 0.01).double().mean().item(),
        "zero_grad/fraction": 0.0,
        "stuck/fraction": (pulls[~right] < 0.01).sum() / len(pulls),
        "stuck/zero": 0.0,
        "slope/head_wrong": own[~right].mean(),
        "slope/head_right": own[right].mean(),
        "sample_grad/mean": np.mean([norm(g) for g in single]),
        "sample_grad/max": max(norm(g) for g in single),
        "grad_norm/total": norm(mean),
        "dead_units/0": (hidden == 0).all(0).double().mean().item(),
        "flat_units/0": (hidden == 0).double().mean().item(),
        "nonfinite/logits": 0.0,
        "nonfinite/logit_grad": 0.0,
        "learning_rate": RATE,
    }
    one_hot = np.eye(3)[np.array(targets.tolist())] == 1
    found["prediction/target_1"] = y.double().detach().numpy()[one_hot].mean()
    found["prediction/target_0"] = y.double().detach().numpy()[~one_hot].mean()
    for k in range(3):
        of_class = [abs(g[k].item()) for g, t in zip(grads, targets, strict=True) if t == k]
        found[f"logit_grad_class/{k}"] = np.mean(of_class)
    for side, chosen in (("wrong", ~right), ("right", right)):
        levels = {"low": sure < 0.6, "middle": (sure >= 0.6) & (sure < 0.9), "high": sure >= 0.9}
        for level, members in levels.items():
            if (chosen & members).any():
                found[f"logit_grad_confidence/{side}_{level}"] = pulls[chosen & members].mean()
    spans = {"0": slice(0, 2), "3": slice(2, 4), "total": slice(0, 4)}
    for name, span in spans.items():
        total = sum(norm(g[span]) ** 2 for g in single)
        signal, count = norm(mean[span]) ** 2, len(single)
        variance = (total - count * signal) / (count - 1)
        found[f"grad_snr/{name}"] = signal * count / variance
        if name != "total":
            weight = norm(parts[name])
            found[f"grad_norm/{name}"] = norm(mean[span])
            found[f"grad_to_weight/{name}"] = norm(mean[span]) / weight
            found[f"update_to_weight/{name}"] = RATE * norm(mean[span]) / weight
            found[f"nonfinite/{name}"] = 0.0
    if previous is not None:
        dot = sum((a * b).sum().item() for a, b in zip(mean, previous, strict=True))
        found["grad_cosine/total"] = dot / norm(mean) / norm(previous)
    return found, mean


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_every_number_equals_its_twin(tmp_path, dtype, tolerance):
    model = module(dtype=dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    data = list(batches(4, 48, dtype))
    expected, previous = [], None
    probe = GradientProbe(
        model, optimizer, tmp_path / "run", head="softmax", settings="full", schedule="every:1"
    )
    for inputs, targets in data:
        numbers, previous = twin(model, inputs, targets, previous)
        expected.append(numbers)
        train(model, optimizer, probe, data=[(inputs, targets)])
    probe.close()
    rows = table(tmp_path / "run")
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    for row, numbers in zip(rows, expected, strict=True):
        there = {tag for tag, number in row.items() if not math.isnan(number)} - {"step", "epoch"}
        assert there == set(numbers)
        for tag, number in numbers.items():
            # differences of near numbers lose digits: variances, dot products, updates
            digits = 100 if tag.startswith(("grad_snr", "grad_cosine", "update")) else 1
            rel = tolerance * digits
            assert row[tag] == pytest.approx(number, rel=rel, abs=tolerance * 1e-3), tag


def test_the_tags_are_those_of_mlrs_own_trainings(tmp_path):
    features, labels = torch.randn(40, 5), torch.arange(40) % 3
    split = Split(features, labels)
    model = nn.Sequential()
    model.add_module("hidden1", nn.Linear(5, 8))
    model.add_module("relu1", nn.ReLU())
    model.add_module("output", nn.Linear(8, 3))
    experiment = Experiment(
        objective=Objective("softmax", "ce"), module=model,
        data=Dataset("d", split, split, split, 3), optimizer=SGD(lr=0.1), epochs=1,
        batch_size=8, seed=0, probes=presets()["full"],
    )  # fmt: skip
    of_training = [
        tag for tag in run_tags(experiment) if not tag.endswith(("/val", "/test"))
    ]  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, tmp_path / "run", head="softmax", settings="full") as p:
        train(model, optimizer, p)
    own = [
        tag
        for tag in table(tmp_path / "run")[0]
        if tag not in ("step", "epoch") and not tag.endswith("/val")
    ]
    # how the loss depends on predictions, a loop does not tell
    assert own == [tag for tag in of_training if not tag.startswith("slope/loss")]


def recorded(folder, loss_of, targets, head=None, classes=3, **more):
    """One step on fixed inputs."""
    model = module(classes=classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    inputs = torch.randn(12, 5, generator=torch.Generator().manual_seed(3))
    with GradientProbe(
        model, optimizer, folder, head=head, settings="full", schedule="every:1", **more
    ) as p:
        train(model, optimizer, p, loss_of, [(inputs, targets)])
    (row,) = table(folder)
    return row


def same(one, other, rel=1e-6):
    assert one.keys() == other.keys()
    for tag, number in one.items():
        assert other[tag] == pytest.approx(number, rel=rel, nan_ok=True), tag


def test_a_sum_is_told_as_a_mean_but_for_the_parameters(tmp_path):
    targets = torch.arange(12) % 3
    mean = recorded(tmp_path / "mean", F.cross_entropy, targets, "softmax")
    of_sum = recorded(
        tmp_path / "sum", lambda z, t: F.cross_entropy(z, t, reduction="sum"), targets, "softmax",
        reduction="sum",
    )  # fmt: skip
    for tag, number in mean.items():
        if tag.startswith(("grad_norm", "grad_to", "update_to")):
            number *= 12
        if not tag.startswith("grad_snr"):
            assert of_sum[tag] == pytest.approx(number, rel=2e-6, nan_ok=True), tag


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_groups_and_accumulated_batches_are_told_as_plain_autograd_has_them(tmp_path, reduction):
    """Two rates and a momentum, two backward passes an update, of which the last is watched."""
    model, plain = module(dtype=torch.float64), module(dtype=torch.float64)
    optimizer, own = (
        torch.optim.SGD(
            [
                {"params": one[0].parameters(), "lr": 0.1},
                {"params": one[3].parameters(), "lr": 0.02, "momentum": 0.9},
            ]
        )
        for one in (model, plain)
    )
    data, expected, previous = list(batches(6, 8, torch.float64)), [], None
    with GradientProbe(
        *(model, optimizer, tmp_path / "run"), head="softmax", settings="full", schedule="every:1",
        reduction=reduction, accumulate=2,
    ) as probe:  # fmt: skip
        for pair in (data[0:2], data[2:4], data[4:6]):
            optimizer.zero_grad(set_to_none=False)  # the memory of each gradient is used again
            own.zero_grad()
            for inputs, targets in pair:
                logits = model(inputs)
                loss = F.cross_entropy(logits, targets, reduction=reduction)
                probe.watch(logits, targets, loss)
                (loss / 2 if reduction == "mean" else loss).backward()
                each = F.cross_entropy(plain(inputs), targets, reduction="none")
                if inputs is pair[1][0]:
                    single = [
                        torch.autograd.grad(one, list(plain.parameters()), retain_graph=True)
                        for one in each
                    ]
                (each.sum() / (16 if reduction == "mean" else 1)).backward()
            optimizer.step()
            sizes = np.array([norm(g) for g in single])
            row = {"loss/train": each.mean().item(), "learning_rate": 0.1}
            row |= {"sample_grad/mean": sizes.mean(), "sample_grad/max": sizes.max()}
            gradient = [p.grad.clone() for p in plain.parameters()]
            before = [p.detach().clone() for p in plain.parameters()]
            own.step()
            row["grad_norm/total"] = norm(gradient)
            for name, span in (("0", slice(0, 2)), ("3", slice(2, 4))):
                moved = [p - q for p, q in zip(plain.parameters(), before, strict=True)][span]
                row[f"grad_norm/{name}"] = norm(gradient[span])
                row[f"update_to_weight/{name}"] = norm(moved) / norm(before[span])
                row[f"grad_to_weight/{name}"] = norm(gradient[span]) / norm(before[span])
            if previous is not None:
                dot = sum((a * b).sum().item() for a, b in zip(gradient, previous, strict=True))
                row["grad_cosine/total"] = dot / norm(gradient) / norm(previous)
            previous = gradient
            expected.append(row)
    rows = table(tmp_path / "run")
    assert len(rows) == len(expected) == 3
    assert math.isnan(rows[0]["grad_cosine/total"])
    for row, numbers in zip(rows, expected, strict=True):
        assert {tag: row[tag] for tag in numbers} == pytest.approx(numbers, rel=1e-10)


def of_units(folder, layer, kind, inputs):
    """Dead and flat shares of a layer's units, with inputs as weights of its outputs."""
    model = nn.Sequential(layer, kind(), nn.Flatten(), nn.LazyLinear(3))
    model(inputs)
    targets = torch.arange(len(inputs)) % 3
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    with GradientProbe(model, optimizer, folder, settings="full", schedule="every:1") as probe:
        train(model, optimizer, probe, data=[(inputs, targets)])
    (row,) = table(folder)
    return row["dead_units/0"], row["flat_units/0"]


def test_a_unit_is_dead_if_it_is_exactly_0_for_the_whole_batch(tmp_path):
    """A time axis has the units of each time alike, one of images has a unit at each place."""
    dense = nn.Linear(3, 3, bias=False)
    dense.weight.data = torch.eye(3)
    # never on, on by 1e-30 once, on once
    inputs = torch.tensor([[-1.0, -1, 0], [-2, 1e-30, -1], [0, 0, 2], [-1, -1, -1]])
    assert of_units(tmp_path / "a", dense, nn.ReLU, inputs) == pytest.approx((1 / 3, 10 / 12))
    # tanh: 0 is as silent as a ReLU's; slopes 1 − tanh² below 0.01 are those beyond ±3
    inputs = torch.tensor([[0.0, 2, 4], [0, -2, -4], [0, 0, 1]])
    assert of_units(tmp_path / "b", dense, nn.Tanh, inputs) == pytest.approx((1 / 3, 2 / 9))
    # two texts of two words: the second unit is on at one word
    words = torch.tensor([[[-1.0, -1, 1], [-1, -1, 1]], [[-1, 2, 1], [-1, -1, 1]]])
    assert of_units(tmp_path / "c", dense, nn.ReLU, words) == pytest.approx((1 / 3, 7 / 12))
    kernel = nn.Conv1d(1, 1, 1, bias=False)
    kernel.weight.data[:] = 1
    pixels = torch.tensor([[[-1.0, -1, 1]], [[-1, 3, -1]]])
    assert of_units(tmp_path / "d", kernel, nn.ReLU, pixels) == pytest.approx((1 / 3, 4 / 6))


def test_one_hot_targets_are_classes_to_a_head_of_probabilities(tmp_path):
    targets = torch.arange(12) % 3
    indices = recorded(tmp_path / "a", F.cross_entropy, targets, "softmax")
    floats = recorded(tmp_path / "b", F.cross_entropy, F.one_hot(targets, 3).float(), "softmax")
    same(indices, floats)


def test_one_output_has_two_classes_whatever_the_shape_of_targets(tmp_path):
    targets = (torch.arange(12) % 2).float()
    flat = lambda z, t: F.binary_cross_entropy_with_logits(z[:, 0], t.float().flatten())  # noqa: E731
    rows = [
        recorded(tmp_path / str(n), flat, t, "sigmoid", classes=1)
        for n, t in enumerate((targets, targets[:, None], targets.long(), targets.bool()))
    ]
    for row in rows[1:]:
        same(rows[0], row)
    unheaded = recorded(tmp_path / "none", flat, targets.long(), classes=1)
    for tag, number in unheaded.items():
        assert number == pytest.approx(rows[0][tag], rel=1e-6, nan_ok=True), tag
    assert not any(tag.startswith(("saturation", "slope")) for tag in unheaded)
    assert "logit_grad/wrong" in unheaded


@pytest.mark.parametrize("head", [None, "linear"])
def test_numbers_are_regressed_on(tmp_path, head):
    row = recorded(tmp_path / "run", F.mse_loss, torch.randn(12, 3), head)
    assert not any("wrong" in tag or "accuracy" in tag for tag in row)
    assert row["logit_grad/mean"] > 0
    assert ("saturation/fraction" in row) == (head is not None)


def test_further_axes_are_further_examples(tmp_path):
    model, targets = module(), torch.arange(12).view(4, 3) % 3
    inputs = torch.randn(4, 3, 5)
    rows = []
    for n, (x, t) in enumerate(((inputs, targets), (inputs.view(12, 5), targets.view(12)))):
        own = copy.deepcopy(model)
        optimizer = torch.optim.SGD(own.parameters(), lr=RATE)
        loss_of = lambda z, t: F.cross_entropy(z.flatten(0, -2), t.flatten())  # noqa: E731
        with GradientProbe(own, optimizer, tmp_path / str(n), head="softmax", settings="full") as p:
            train(own, optimizer, p, loss_of, [(x, t)])
        rows += table(tmp_path / str(n))
    for tag, number in rows[0].items():
        # four texts of three words are other examples than twelve words
        if not tag.startswith(("sample_grad", "grad_snr")):
            assert rows[1][tag] == pytest.approx(number, rel=1e-6, nan_ok=True), tag


def test_a_class_that_is_absent_has_no_number(tmp_path):
    row = recorded(tmp_path / "run", F.cross_entropy, torch.zeros(12, dtype=torch.long), "softmax")
    assert math.isnan(row["logit_grad_class/2"])


def test_large_batches_are_measured_in_part(tmp_path, monkeypatch):
    monkeypatch.setattr("mlr.loop.batch.MOST_NUMBERS", 18)
    targets = torch.arange(12) % 3
    row = recorded(tmp_path / "part", F.cross_entropy, targets, "softmax")
    assert row["accuracy/train"] * 6 == pytest.approx(round(row["accuracy/train"] * 6))


def test_levels_are_ordered_classes(tmp_path):
    """Of a head of K − 1 outputs, given as class numbers or as levels."""
    numbers = torch.arange(12) % 4
    levels = (numbers[:, None] > torch.arange(3)).float()
    bce = lambda z, t: F.binary_cross_entropy_with_logits(z, levels)  # noqa: E731
    indices = recorded(tmp_path / "a", bce, numbers, "coral")
    same(indices, recorded(tmp_path / "b", bce, levels, "coral"))
    inputs = torch.randn(12, 5, generator=torch.Generator().manual_seed(3))
    z = module(classes=3)(inputs)
    right = ((z >= 0).sum(1) == numbers).double().mean().item()
    assert indices["accuracy/train"] == pytest.approx(right)
    assert "logit_grad_class/3" in indices
    y = z.sigmoid().detach().double()
    # the mean of each example's own mean, of those that have such an output
    reached = (y * levels).sum(1) / levels.sum(1)
    assert indices["prediction/target_1"] == pytest.approx(reached[numbers > 0].mean().item())
    rising = recorded(tmp_path / "c", bce, levels.flip(1), "coral")
    assert "accuracy/train" not in rising


def watched_logits(classes):
    """Logits of `recorded` before its update."""
    inputs = torch.randn(12, 5, generator=torch.Generator().manual_seed(3))
    return module(classes=classes)(inputs).detach().requires_grad_()


def asked(z, numbers):
    """CORN's questions k ≤ class + 1, each by torch."""
    levels = (numbers[:, None] > torch.arange(3)).to(z.dtype)
    costs = F.binary_cross_entropy_with_logits(z, levels, reduction="none")
    return (costs * (numbers[:, None] >= torch.arange(3))).sum(1)


def between_thresholds(z, numbers):
    """−log of the difference of neighbouring levels of a cumulative head."""
    steps = -F.softplus(z[:, :1] - z[:, 1:])
    y = torch.cat([z[:, :1], steps], 1).cumsum(1).sigmoid()
    ends = torch.ones_like(z[:, :1])
    shares = torch.cat([ends, y], 1) - torch.cat([y, 0 * ends], 1)
    return -shares.gather(1, numbers[:, None])[:, 0].log()


def test_ordered_heads_of_a_loop_are_measured_by_their_own_loss(tmp_path):
    numbers = torch.arange(12) % 4
    for head, each in (("corn", asked), ("cumulative", between_thresholds)):
        row = recorded(tmp_path / head, lambda z, t, each=each: each(z, t).mean(), numbers, head)
        z = watched_logits(3)
        costs = each(z, numbers)
        (slopes,) = torch.autograd.grad(costs.sum(), z)
        if head == "corn":
            levels = z.sigmoid().cumprod(1)
        else:
            levels = torch.cat([z[:, :1], -F.softplus(z[:, :1] - z[:, 1:])], 1).cumsum(1).sigmoid()
        right = (levels >= 0.5).sum(1) == numbers
        assert row["loss/train"] == pytest.approx(costs.mean().item(), rel=1e-6)
        assert row["accuracy/train"] == pytest.approx(right.double().mean().item())
        assert row["logit_grad/mean"] == pytest.approx(slopes.norm(dim=1).mean().item(), rel=1e-5)
        for k in range(4):
            # of the first level that is not reached, or the last
            own = slopes[numbers == k, min(k, 2)].abs().mean().item()
            assert row[f"logit_grad_class/{k}"] == pytest.approx(own, rel=1e-5)


def of_gaussian(z, t):
    return F.gaussian_nll_loss(z[:, :1], t, (2 * z[:, 1:]).exp(), full=True, eps=1e-12)


def test_heads_of_densities_of_a_loop_tell_their_mean_and_deviation(tmp_path):
    t = torch.poisson(torch.full((12, 1), 3.0), generator=torch.Generator().manual_seed(1))
    for head, outputs, cost in (("gaussian", 2, of_gaussian), ("poisson", 1, F.poisson_nll_loss)):
        row = recorded(tmp_path / head, cost, t, head, classes=outputs)
        z = watched_logits(outputs)
        (slopes,) = torch.autograd.grad(12 * cost(z, t), z)
        mean, deviation = (
            (z[:, 0], z[:, 1].exp()) if head == "gaussian" else (z.exp(), z.exp().sqrt())
        )
        expected = {
            "loss/train": cost(z, t),
            "prediction/mean": mean.mean(),
            "predicted_std/train": deviation.mean(),
            "logit_grad/mean": slopes.norm(dim=1).mean(),
            "logit_grad/max": slopes.norm(dim=1).max(),
        }
        for tag, number in expected.items():
            assert row[tag] == pytest.approx(number.item(), rel=1e-5), (head, tag)
        assert not any(tag.startswith(("accuracy", "logit_grad_class")) for tag in row)
