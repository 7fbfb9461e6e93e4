"""Every probe of a real training against autograd: one example, one parameter at a time."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from mlr.models import Linear, Mlp
from mlr.probes import ProbeSettings
from mlr.probes.settings import NAMES
from mlr.training import SGD, Adam, module_plan
from mlr.training.log import run_tags
from mlr.training.shuffling import Orders
from tests.training.conftest import dataset, experiment
from tests.training.test_log import recorded
from tests.training.twin import optimizer

THRESHOLD = 0.05
EVERYTHING = ProbeSettings(
    points="every:1", **dict.fromkeys(NAMES, True), histograms=0, threshold=THRESHOLD
)
PAIRS = [
    ("linear", "se", 2),
    ("clipped_linear", "se", 2),
    ("clipped_linear", "matching", 2),
    ("sigmoid", "se", 2),
    ("sigmoid", "bce", 3),
    ("softmax", "se", 3),
    ("softmax", "bce", 3),
    ("softmax", "ce", 3),
    ("gaussian", "gaussian_nll", None),
]
MODELS = {
    "linear": Linear(),
    "lanes": Mlp(widths=[5, 4], activation="tanh", init="torch"),
    "narrow": Mlp(widths=[12, 9], activation="relu"),
}


class Branches(nn.Module):
    """No nn.Sequential, with a ReLU in place and a part of the parameters out of use."""

    def __init__(self, features: int, outputs: int):
        super().__init__()
        self.first = nn.Linear(features, 6)
        self.relu = nn.ReLU(inplace=True)
        self.last = nn.Linear(6, outputs, bias=False)
        self.idle = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.relu(self.first(x)))


class Images(nn.Module):
    """A convolution before the dense layers."""

    def __init__(self, features: int, outputs: int):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 2)
        self.tanh = nn.Tanh()
        self.last = nn.Linear(4 * (features - 1), outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.tanh(self.conv(x.unsqueeze(1))).flatten(1))


class Twin:
    """A plain float64 loop that looks at everything by autograd."""

    def __init__(self, run):
        self.run, self.module = run, copy.deepcopy(run.module).double()
        self.optimizer = optimizer(run.optimizer, self.module.parameters())
        self.layers = {}
        for name, _ in self.module.named_parameters():
            self.layers.setdefault(name.rpartition(".")[0], []).append(name)
        self.previous = None

    def losses(self, z, t):
        objective = self.run.objective
        if objective.loss.matches_head:
            # of the clipped unit, whose loss at z = t is 0
            return objective.head.potential(z) - (z * t).sum(-1) + 0.5 * t.square().sum(-1)
        return objective.loss(objective.head(z), t)

    def gradients(self, x, t):
        """∂ mean L/∂θ by name; zeros where the loss does not hang on a parameter."""
        names, parameters = zip(*self.module.named_parameters(), strict=True)
        found = torch.autograd.grad(
            self.losses(self.module(x), t).mean(), parameters, allow_unused=True
        )
        return {
            name: torch.zeros_like(own) if grad is None else grad
            for name, own, grad in zip(names, parameters, found, strict=True)
        }

    def norm(self, values, names):
        return math.sqrt(sum(float(values[name].square().sum()) for name in names))

    def step(self, x, t, labels):
        """Numbers of one batch by tag, then the update."""
        numbers = self.at_the_output(x, t, labels)
        whole = self.gradients(x, t)
        singles = [self.gradients(x[i : i + 1], t[i : i + 1]) for i in range(len(x))]
        before = {name: value.detach().clone() for name, value in self.module.named_parameters()}
        numbers |= self.in_the_network(whole, singles, before)
        numbers |= self.of_units(x)
        for name, parameter in self.module.named_parameters():
            parameter.grad = whole[name].clone()
        if self.run.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.run.max_grad_norm)
        self.optimizer.step()
        after = dict(self.module.named_parameters())
        for layer, names in self.layers.items():
            change = {name: after[name].detach() - before[name] for name in names}
            weight = self.norm(before, names)
            numbers[f"grad_to_weight/{layer}"] = self.norm(whole, names) / weight
            numbers[f"update_to_weight/{layer}"] = self.norm(change, names) / weight
        return numbers

    def in_the_network(self, whole, singles, before):
        everything = list(whole)
        numbers = {"grad_norm/total": self.norm(whole, everything)}
        if self.previous is not None:
            dot = sum(float((whole[name] * self.previous[name]).sum()) for name in everything)
            sizes = self.norm(whole, everything) * self.norm(self.previous, everything)
            numbers["grad_cosine/total"] = dot / sizes
        self.previous = whole
        dense = {
            layer: names
            for layer, names in self.layers.items()
            if isinstance(self.module.get_submodule(layer), nn.Linear) and layer != "idle"
        }
        for layer, names in self.layers.items():
            numbers[f"grad_norm/{layer}"] = self.norm(whole, names)
        everywhere = [name for names in dense.values() for name in names]
        for label, names in [*dense.items(), ("total", everywhere)]:
            squares = [self.norm(single, names) ** 2 for single in singles]
            signal, count = self.norm(whole, names) ** 2, len(singles)
            variance = (sum(squares) - count * signal) / (count - 1)
            numbers[f"grad_snr/{label}"] = signal / (variance / count)
        sizes = [math.sqrt(square) for square in squares]
        return numbers | {
            "sample_grad/mean": sum(sizes) / len(sizes),
            "sample_grad/max": max(sizes),
        }

    def at_the_output(self, x, t, labels):
        head, loss = self.run.objective.head, self.run.objective.loss
        z = self.module(x).detach().requires_grad_()
        (grads,) = torch.autograd.grad(self.losses(z, t).sum(), z)
        y = head(z)
        jacobian = torch.stack(
            [
                torch.autograd.grad(y[:, k].sum(), z, retain_graph=True)[0]
                for k in range(y.shape[1])
            ],
            dim=1,
        )
        slopes = jacobian.diagonal(dim1=1, dim2=2)
        sizes, y = grads.norm(dim=1), y.detach().requires_grad_()
        numbers = {
            "loss/train": self.losses(z, t).mean(),
            "logit_grad/mean": sizes.mean(),
            "logit_grad/max": sizes.max(),
            "saturation/fraction": (slopes.abs() < THRESHOLD).double().mean(),
            "zero_grad/fraction": (sizes == 0).double().mean(),
        }
        for name, quantile in {"q10": 0.1, "median": 0.5, "q90": 0.9}.items():
            numbers[f"logit_grad/{name}"] = sizes.quantile(quantile)
        pushes = None
        if not loss.matches_head:
            (pushes,) = torch.autograd.grad(loss(y, t).sum(), y)
        if labels is None:
            numbers |= {"slope/head": slopes.abs().mean(), "slope/loss": pushes.abs().mean()}
            numbers["prediction/mean"] = y[:, : t.shape[1]].mean()
        else:
            numbers |= self.of_classes(labels, sizes, grads, y, slopes, pushes)
            for target in (0, 1):
                if (t == target).any():
                    numbers[f"prediction/target_{target}"] = y[t == target].mean()
        return {tag: float(value.detach()) for tag, value in numbers.items()}

    def of_classes(self, labels, sizes, grads, y, slopes, pushes):
        single = y.shape[1] == 1
        found = (y[:, 0] >= 0.5).long() if single else y.argmax(1)
        sure = torch.maximum(y[:, 0], 1 - y[:, 0]) if single else y.amax(1)
        right, rows = found == labels, torch.arange(len(y))
        own = torch.zeros_like(labels) if single else labels
        numbers = {
            "accuracy/train": right.double().mean(),
            "stuck/fraction": (~right & (sizes < THRESHOLD)).double().mean(),
            "stuck/zero": (~right & (sizes == 0)).double().mean(),
        }
        bounds = {"low": (-math.inf, 0.6), "middle": (0.6, 0.9), "high": (0.9, math.inf)}
        for side, chosen in (("wrong", ~right), ("right", right)):
            if chosen.any():
                numbers[f"logit_grad/{side}"] = sizes[chosen].mean()
                numbers[f"slope/head_{side}"] = slopes[rows, own].abs()[chosen].mean()
                if pushes is not None:
                    numbers[f"slope/loss_{side}"] = pushes[rows, own].abs()[chosen].mean()
            for level, (low, high) in bounds.items():
                there = chosen & (sure >= low) & (sure < high)
                if there.any():
                    tag = f"logit_grad_confidence/{side}_{level}"
                    numbers[tag] = sizes[there].mean()
        for k in labels.unique().tolist():
            numbers[f"logit_grad_class/{k}"] = grads[rows, own].abs()[labels == k].mean()
        return numbers

    def of_units(self, x):
        seen = {}
        hooks, maker = [], None
        for name, part in self.module.named_children():
            if isinstance(part, (nn.ReLU, nn.Tanh)):

                def look(one, _, a, layer=maker):
                    # written in a, for a ReLU in place has lost its z
                    slope = (a > 0).double() if isinstance(one, nn.ReLU) else 1 - a.square()
                    seen[f"dead_units/{layer}"] = (a == 0).all(0).double().mean()
                    seen[f"flat_units/{layer}"] = (slope < THRESHOLD).double().mean()

                hooks.append(part.register_forward_hook(look))
            maker = name
        self.module(x)
        for hook in hooks:
            hook.remove()
        return {tag: float(value.detach()) for tag, value in seen.items()}


def assert_twins(folder, run, rel, absolute):
    (table,), twin = recorded(folder, [run]), Twin(run)
    features, given = run.data.train.features, run.data.train.targets
    order = torch.from_numpy(Orders([run.seed], len(features)).epoch(0)[0].astype(int))
    outputs = run.objective.outputs
    compared = set()
    for step in range(run.total_steps):
        chosen = order.split(run.batch_size)[step]
        x, labels = features[chosen].double(), given[chosen]
        if run.data.classes is None:
            t, labels = labels.double(), None
        else:
            t = (
                labels.double().unsqueeze(1)
                if outputs == 1
                else torch.eye(outputs)[labels].double()
            )
        expected = twin.step(x, t, labels)
        row = table[step]
        found = {tag: value for tag, value in row.items() if tag in set(run_tags(run))}
        silent = {tag for tag in found if tag.startswith(("nonfinite", "predicted_std"))}
        silent |= {"learning_rate", "loss/val", "accuracy/val", "loss/test", "predicted_std/val"}
        assert set(found) - silent == {t for t, v in expected.items() if not math.isnan(v)}
        for tag, value in expected.items():
            if tag in found:
                compared.add(tag)
                assert found[tag] == pytest.approx(value, rel=rel, abs=absolute), (step, tag)
    return compared


def run_of(head, loss, classes, dtype, **changes):
    settings = {"steps": 3, "batch_size": 16, "probes": EVERYTHING, "dtype": dtype} | changes
    return experiment(head=head, loss=loss, data=dataset(classes), **settings)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("head", "loss", "classes"), PAIRS)
def test_float64_numbers_are_those_of_autograd_to_1e_12(tmp_path, head, loss, classes, model):
    run = run_of(head, loss, classes, "float64", model=MODELS[model], optimizer=SGD(lr=0.001))
    compared = assert_twins(tmp_path / "run", run, rel=1e-12, absolute=1e-15)
    assert {"grad_snr/total", "grad_cosine/total", "update_to_weight/output"} <= compared


@pytest.mark.parametrize("model", ["lanes", "narrow"])
def test_gradients_are_measured_before_they_are_clipped_and_updates_after(tmp_path, model):
    changes = {"model": MODELS[model], "optimizer": SGD(lr=0.1), "max_grad_norm": 0.05}
    run = run_of("softmax", "ce", 3, "float64", **changes)
    assert_twins(tmp_path / "run", run, rel=1e-10, absolute=1e-15)


@pytest.mark.parametrize("kind", [Branches, Images])
@pytest.mark.parametrize(
    ("head", "loss", "classes", "parts"),
    [(*pair, 1 + number) for number, pair in enumerate(PAIRS[3:6])],
)
def test_other_modules_are_looked_into_alike(
    tmp_path, monkeypatch, head, loss, classes, parts, kind
):
    """Of a whole batch, and of one in two parts."""
    monkeypatch.setattr(module_plan, "WORTH", 1)
    monkeypatch.setattr(module_plan, "PART", 1)
    monkeypatch.setattr(module_plan, "MOST_PARTS", parts)
    outputs = 1 if classes == 2 else classes
    torch.manual_seed(0)
    module = kind(3, outputs).double()
    run = run_of(head, loss, classes, "float64", module=module, optimizer=Adam(lr=0.1))
    assert module_plan.plan_of(run).parts == min(2, parts)
    compared = assert_twins(tmp_path / "run", run, rel=1e-12, absolute=1e-15)
    hidden = {Branches: "first", Images: "conv"}[kind]
    assert {f"dead_units/{hidden}", "grad_snr/last", "sample_grad/max"} <= compared


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("head", "loss", "classes"), PAIRS)
def test_float32_numbers_are_those_of_autograd_to_1e_6(tmp_path, head, loss, classes, model):
    # of the first step only: from there on the twin's parameters are others by rounding
    for seed in range(3):
        run = run_of(head, loss, classes, "float32", model=MODELS[model], seed=seed, steps=1)
        run.module.float()
        # dL/dz is a difference of numbers about 1, which float32 has to 6e-8
        assert_twins(tmp_path / str(seed), run, rel=1e-6, absolute=1.2e-7)
