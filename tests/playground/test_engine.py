"""The engine of the page computes what mlr computes."""

import math
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import torch

from mlr.core.seeds import derive_seed
from mlr.data import Moons
from mlr.lecture.lab import Lab
from mlr.models import Linear, Mlp
from mlr.objectives import Objective
from mlr.playground.material import DATA, OFFERED_HEADS, OFFERED_LOSSES
from mlr.training.shuffling import Orders
from tests.playground.engine import handed, needs_node, run, trained

pytestmark = needs_node
LEGAL = [
    (data, head, loss)
    for data, classes in (("moons", "2"), ("blobs3", "3"))
    for head in OFFERED_HEADS
    for loss in OFFERED_LOSSES
    if loss not in handed()["refused"][classes].get(head, {})
]
"""Every pair that the page plays."""


def test_initial_values_are_those_of_torch():
    cases = [
        {"init": init, "widths": widths, "seed": seed}
        for init in ("torch", "glorot", "he", "lecun", "normal", "zeros")
        for widths, seed in (([], 0), ([3], 1), ([8, 5], 2), ([16], 3), ([17, 2], 19))
    ]
    jobs = [
        {"setting": one | {"head": "sigmoid", "loss": "bce"}, "name": "moons", "steps": 0}
        for one in cases
    ]
    for one, found in zip(cases, trained(jobs), strict=True):
        model = Mlp(one["widths"], init=one["init"]) if one["widths"] else Linear(init=one["init"])
        module = model.construct((2,), 1, one["seed"], "float64")
        for name, value in module.state_dict().items():
            ours = np.array(found["parameters"][name])
            np.testing.assert_allclose(ours, value.numpy().ravel(), rtol=0, atol=1e-15)


def test_orders_are_those_of_the_training():
    cases = [(seed, epoch, count) for seed in (0, 7) for epoch in (0, 1, 300) for count in COUNTS]
    script = "done(given.map(([s, e, n]) => Array.from(engine.orderOf(keysOf(s).order, e, n))))"
    for (seed, epoch, count), found in zip(cases, run(script, cases), strict=True):
        assert found == Orders([seed], count).epoch(epoch)[0].tolist()


COUNTS = (1, 2, 180, 256, 257, 480, 600)


def test_kernels_are_those_of_python():
    grid = [-1000, -745, -40, -12.5, -3, -2.5, -1, -0.25, 0, 0.3, 0.5, 1, 2, 3, 7, 36, 40.5, 1000]
    cases = []
    assert len(LEGAL) == 86
    for data, head, loss in LEGAL:
        outputs = 1 if (head not in ("softmax", "sparsemax") and data == "moons") else 3
        rows = [[z] for z in grid] if outputs == 1 else [[z, 0.4, -1.1] for z in grid]
        rows = rows if outputs == 1 else [*rows, *([0.2, -z / 2, z] for z in grid)]
        labels = [0, 1] if outputs == 1 else [0, 1, 2]
        for label in labels:
            target = [float(label)] if outputs == 1 else [float(k == label) for k in range(3)]
            cases.append({"head": head, "loss": loss, "z": rows, "t": target})
    script = """
    done(given.map(({head, loss, z, t}) => z.map((row) => {
      const g = new Float64Array(row.length);
      return [engine.KERNELS[head][loss](row, t, g), Array.from(g)];
    })));
    """
    wrong = []
    for case, found in zip(cases, run(script, cases), strict=True):
        objective = Objective(case["head"], case["loss"], outputs=len(case["t"]))
        z = torch.tensor(case["z"], dtype=torch.float64)
        t = torch.tensor(case["t"], dtype=torch.float64).expand_as(z).contiguous()
        expected = objective(z, t), objective.gradient(z, t)
        ours = (
            torch.tensor([float(one) for one, _ in found], dtype=torch.float64),
            torch.tensor([[float(x) for x in g] for _, g in found], dtype=torch.float64),
        )
        for one, other in zip(ours, expected, strict=True):
            if not torch.allclose(one, other, rtol=1e-13, atol=1e-300, equal_nan=True):
                worst = int((one - other).abs().flatten().argmax())
                wrong.append((case["head"], case["loss"], case["t"], worst, one, other))
    assert not wrong, wrong[:2]


def test_updates_are_those_of_torch():
    """Autograd, nn.Module and torch.optim.SGD, in the orders of the training."""
    steps, batch = 40, 32
    pairs = [("moons", *pair) for pair in (("sigmoid", "se"), ("linear", "hinge"))]
    pairs += [("blobs3", *pair) for pair in (("softmax", "ce"), ("sparsemax", "matching"))]
    jobs = [
        {
            "setting": {"head": head, "loss": loss, "widths": [5, 3], "activation": activation}
            | {"momentum": 0.9, "lr": 0.05, "seed": 4},
            "name": data,
            "steps": steps,
        }
        for data, head, loss in pairs
        for activation in ("relu", "tanh", "sigmoid")
    ]
    for job, found in zip(jobs, trained(jobs), strict=True):
        setting, split = job["setting"], DATA[job["name"]].source.load(0).train
        objective = Objective(setting["head"], setting["loss"])
        classes = handed()["data"][job["name"]]["classes"]
        outputs = objective.head.outputs(classes)
        model = Mlp([5, 3], activation=setting["activation"])
        module = model.construct((2,), outputs, 4, "float64")
        features = split.features.double()
        targets = objective.head.encode(split.targets, outputs).double()
        optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
        orders, losses = Orders([4], len(features)), []
        per_epoch = math.ceil(len(features) / batch)
        for step in range(steps):
            order = orders.epoch(step // per_epoch)[0].astype(np.int64)
            start = step % per_epoch * batch
            rows = torch.from_numpy(order)[start : start + batch]
            loss = objective(module(features[rows]), targets[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        np.testing.assert_allclose(found["losses"], losses, rtol=1e-12, atol=1e-15)
        for name, value in module.state_dict().items():
            ours = np.array(found["parameters"][name])
            np.testing.assert_allclose(ours, value.numpy().ravel(), rtol=1e-12, atol=1e-12)


def test_slide_30_takes_as_many_updates_in_the_page():
    script = """
    const data = {features: [1], targets: [0], count: 1, columns: 1, outputs: 1};
    done(["se", "bce"].map((loss) => {
      const setting = {...given, head: "sigmoid", loss, widths: []};
      const own = new engine.Training(setting, data, keysOf(0));
      while (!own.judge(0).right) own.update();
      return own.step;
    }));
    """
    # w and b move alike: z ← z − 2 · ½ · dL/dz, from 12 to below 0
    setting = {"activation": "relu", "init": "torch", "scale": 1, "weight": 6, "bias": 6}
    setting |= {"lr": 0.5, "momentum": 0, "batch": 1}
    assert run(script, setting) == [162799, 13]


def test_a_diverged_training_stops_before_the_bad_update():
    script = """
    const setting = {...given, head: "linear", loss: "se", widths: []};
    const own = new engine.Training(setting, examples("blobs", "linear"), keysOf(0));
    while (!own.diverged) own.update();
    const step = own.step;
    own.update();
    done([step, own.step, Number.isFinite(own.layers[0].weight[0])]);
    """
    setting = {"activation": "relu", "init": "torch", "scale": 1, "weight": None, "bias": None}
    setting |= {"lr": 1000, "momentum": 0, "batch": 32}
    step, later, finite = run(script, setting)
    assert 10 < step == later
    assert finite


def test_evaluation_counts_wrong_and_stuck_examples():
    script = """
    const setting = {...given, head: "sigmoid", loss: "se", widths: []};
    const data = {features: [1, 2, -1, -2], targets: [0, 1, 0, 1], count: 4, columns: 1,
      outputs: 1};
    done(new engine.Training(setting, data, keysOf(0)).evaluate(0.01));
    """
    # z = 4x: right are 1 and 2, wrong with a gradient 0.017 the first, 0.0003 the last
    setting = {"activation": "relu", "init": "torch", "scale": 1, "weight": 4, "bias": 0}
    found = run(script, setting | {"lr": 1, "momentum": 0, "batch": 4})
    y = 1 / (1 + np.exp(-4.0 * np.array([1, 2, -1, -2])))
    t = np.array([0, 1, 0, 1])
    sizes = np.abs((y - t) * y * (1 - y))
    assert found["accuracy"] == 0.5
    assert found["stuck"] == 0.25
    assert found["loss"] == pytest.approx(np.mean(0.5 * (y - t) ** 2), rel=1e-12)
    assert found["wrong"] == pytest.approx(sizes[[0, 3]].mean(), rel=1e-12)
    assert found["right"] == pytest.approx(sizes[[1, 2]].mean(), rel=1e-12)


@pytest.mark.slow
@pytest.mark.long
def test_trajectories_of_every_legal_pair(tmp_path: Path):
    """200 updates of `mlr train` to 1e-12, of both nets.

    Where a logarithm of a clipped output is steep, rounding grows: there the difference is at most
    a hundred times the one that a last digit of the initial weights makes.
    """
    steps, rate = 200, 0.001
    jobs, runs = [], []
    for number, ((data, head), group) in enumerate(groupby(LEGAL, lambda one: one[:2])):
        losses = [loss for _, _, loss in group]
        for model, widths in (("linear", []), ("mlp", [8])):
            runs += Lab(tmp_path / f"{number}_{model}").sweep(
                *(f"head={head}", f"loss={','.join(losses)}", f"model={model}", "model.init=he"),
                *([f"model.widths={widths}"] if widths else []),
                *(f"optimizer.lr={rate}", "optimizer.momentum=0.5", f"steps={steps}"),
                *("dtype=float64", *DATA[data].overrides),
            )
            for loss in losses:
                setting = {"head": head, "loss": loss, "widths": widths, "lr": rate}
                setting |= {"momentum": 0.5}
                jobs.append({"setting": setting, "name": data, "steps": steps})
    moved = [
        trained(
            [{**job, "setting": job["setting"] | {"scale": 1 + digits * 2**-52}} for job in jobs]
        )
        for digits in (1, -1, 2, -3)
    ]
    wrong, steep = [], 0
    for job, run_, found, *others in zip(jobs, runs, trained(jobs), *moved, strict=True):
        theirs = {name: value.numpy().ravel() for name, value in run_.parameters.items()}
        at, losses = run_.series["loss/train"]
        kept = at < steps
        assert kept.sum() > 100
        ours = np.array(found["losses"])[at[kept].astype(int)]
        off = max(_apart(found["parameters"], theirs), np.abs(ours / losses[kept] - 1).max())
        own = max(_apart(found["parameters"], other["parameters"]) for other in others)
        steep += own > 1e-14
        if off > max(1e-12, 100 * own):
            wrong.append((job["name"], job["setting"], off, own))
    assert not wrong, wrong
    assert len(jobs) == 172
    assert steep < 30


def _apart(ours: dict, theirs: dict) -> float:
    """Largest difference of parameters, relative where they are above 1."""
    pairs = [(np.array(ours[name]), np.array(theirs[name])) for name in ours]
    return max((np.abs(one - two) / np.maximum(np.abs(two), 1)).max() for one, two in pairs)


def test_flipped_labels_are_those_of_the_data():
    script = """
    const {order, by} = material.data.moons.flips, labels = bytes(material.data.moons.labels);
    const rows = new Uint16Array(bytes(order).buffer);
    done(given.map((share) => {
      const own = Array.from(labels);
      for (let n = 0; n < Math.round(share * own.length); n++) {
        own[rows[n]] = (labels[rows[n]] + bytes(by)[n]) % 2;
      }
      return own;
    }));
    """
    shares = [0.05, 0.1, 0.25, 0.4]
    for share, found in zip(shares, run(script, shares), strict=True):
        split = Moons(n=800, seed=0, label_noise=share).load(0).train
        assert found == split.targets.tolist()


def test_keys_are_those_of_the_run():
    assert handed()["keys"]["3"]["order"] == str(derive_seed(3, "order"))
    assert list(handed()["keys"]) == [str(seed) for seed in range(20)]
