"""What an anatomy says of the training examples, against loops over them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.func import functional_call

from mlr.data.base import Dataset, Split
from mlr.models import Mlp
from mlr.objectives import Objective
from mlr.probes import ProbeSettings
from mlr.training import SGD, train
from mlr.training.anatomy_report import data_report
from mlr.training.examples import MOST_TRAINING_EXAMPLES
from mlr.training.neighbours import same_class_as_nearest
from mlr.training.run_objectives import RunObjectives
from tests.training.conftest import dataset, experiment, split

THRESHOLD = 0.05
PROBES = ProbeSettings(threshold=THRESHOLD)


def examples(run, parameters):
    """Logits, targets and dL/dz of the training split, one example a row."""
    module = torch.nn.utils.stateless._functional_call
    features, labels = run.data.train.features, run.data.train.targets
    z = module(run.module, parameters, (features,))
    if run.data.classes is None:
        t = labels.double()
    else:
        t = labels.double().unsqueeze(1) if z.shape[1] == 1 else torch.eye(z.shape[1])[labels]
    t = t.double()
    z = z.detach().requires_grad_()
    losses = run.objective.loss(run.objective.head(z), t)
    (grads,) = torch.autograd.grad(losses.sum(), z)
    return z.detach(), t, grads, losses.detach()


def mean(values):
    return sum(values) / len(values) if values else None


def plain(run, parameters):
    z, t, grads, losses = examples(run, parameters)
    y, size = run.objective.head(z), grads.norm(dim=1).tolist()
    labels = run.data.train.targets.tolist()
    single = z.shape[1] == 1
    found = [int(row[0] >= 0.5) if single else int(row.argmax()) for row in y]
    wrong = [a != b for a, b in zip(found, labels, strict=True)]
    sure = [max(row) if not single else max(row[0], 1 - row[0]) for row in y.tolist()]
    own = [row[0 if single else label] for row, label in zip(grads.tolist(), labels, strict=True)]
    past = [
        g * (2 * label - 1) > 0 if single else g > 0 for g, label in zip(own, labels, strict=True)
    ]
    count = len(labels)
    numbers = {
        "loss": float(losses.mean()),
        "wrong": sum(wrong) / count,
        "zero": sum(s == 0 for s in size) / count,
        "stuck": sum(s < THRESHOLD and w for s, w in zip(size, wrong, strict=True)) / count,
        "stuck_zero": sum(s == 0 and w for s, w in zip(size, wrong, strict=True)) / count,
        "surprise": sum(c >= 0.9 and w for c, w in zip(sure, wrong, strict=True)) / count,
        "right_pull": sum(s * s for s, w, p in zip(size, wrong, past, strict=True) if p and not w)
        / sum(s * s for s in size),
        "gradient": [sorted(size)[round(q * (count - 1))] for q in (0.1, 0.25, 0.5, 0.75, 0.9)],
    }
    level = [0 if c < 0.6 else 1 if c < 0.9 else 2 for c in sure]
    by = {"edges": [0.6, 0.9]}
    for side, flag in (("wrong", True), ("right", False)):
        chosen = [
            [s for s, w, at in zip(size, wrong, level, strict=True) if w is flag and at == one]
            for one in range(3)
        ]
        by |= {f"count_{side}": [len(c) for c in chosen], f"grad_{side}": [mean(c) for c in chosen]}
    members = [[i for i, label in enumerate(labels) if label == k] for k in range(run.data.classes)]
    numbers["confidence"] = by
    numbers["classes"] = {
        "count": [len(m) for m in members],
        "recall": [mean([not wrong[i] for i in m]) for m in members],
        "grad": [mean([abs(own[i]) for i in m]) for m in members],
        "grad_wrong": [mean([abs(own[i]) for i in m if wrong[i]]) for m in members],
    }
    numbers["logits"] = binned(against_others(run, z), t, grads)
    return numbers


def against_others(run, z):
    if run.objective.head.name != "softmax":
        return z
    others = [torch.cat((z[:, :k], z[:, k + 1 :]), 1).logsumexp(1) for k in range(z.shape[1])]
    return z - torch.stack(others, 1)


def binned(z, t, grads):
    edges = list(range(-10, 11))
    count, pull = ([[0] * 22 for _ in range(2)] for _ in range(2))
    rows = zip(z.flatten().tolist(), t.flatten().tolist(), grads.flatten().tolist(), strict=True)
    for logit, target, gradient in rows:
        bin = sum(edge <= logit for edge in edges)
        count[int(target)][bin] += 1
        pull[int(target)][bin] += gradient
    means = [
        [g / n if n else None for g, n in zip(gs, ns, strict=True)]
        for gs, ns in zip(pull, count, strict=True)
    ]
    return {"edges": edges, "count": count, "grad": means}


def assert_near(found, expected, name=""):
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert_near(found[key], value, f"{name}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), name
        for one, other in zip(found, expected, strict=True):
            assert_near(one, other, name)
    elif expected is None:
        assert found is None, name
    else:
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-9), name


@pytest.mark.parametrize(
    ("head", "loss", "classes"),
    [
        ("clipped_linear", "se", 2),
        ("sigmoid", "se", 2),
        ("linear", "se", 3),
        ("softmax", "ce", 3),
        ("sigmoid", "bce", 3),
    ],
)
@pytest.mark.parametrize("widths", [[5], [12]])
def test_every_number_is_that_of_a_loop_over_the_examples(head, loss, classes, widths):
    runs = [
        experiment(
            head=head,
            loss=loss,
            data=dataset(classes, 61),
            model=Mlp(widths=widths, init="torch", init_scale=2.0),
            optimizer=SGD(lr=0.1),
            probes=PROBES,
            seed=seed,
        )
        for seed in range(3)
    ]
    for run, result in zip(runs, train(runs), strict=True):
        expected = plain(run, result.parameters)
        start = plain(run, {n: p.detach() for n, p in run.module.named_parameters()})
        found = result.anatomy
        assert found["examples"] == 61
        assert_near(found["start"], {name: start[name] for name in ("loss", "wrong", "stuck")})
        assert result.metrics["loss/train"] == pytest.approx(expected.pop("loss"), rel=1e-9)
        assert_near(found, expected)
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        assert result.metrics["stuck/fraction"] == pytest.approx(expected["stuck"])
        assert result.metrics["accuracy/train"] == pytest.approx(1 - expected["wrong"])


WITH_OUTPUTS = replace(PROBES, prediction=True)


@pytest.mark.parametrize(("head", "classes"), [("sigmoid", 2), ("softmax", 3)])
def test_the_outputs_are_told_by_their_target(head, classes):
    run = experiment(head=head, loss="se", data=dataset(classes, 61), probes=WITH_OUTPUTS)
    (result,) = train([run])
    with torch.no_grad():
        z = functional_call(run.module, result.parameters, (run.data.train.features,))
        y = run.objective.head(z.double())
    labels = run.data.train.targets
    t = labels[:, None] if y.shape[1] == 1 else torch.eye(classes)[labels]
    for target in (0, 1):
        mean_output = y[t == target].mean().item()
        found = result.metrics[f"prediction/target_{target}"]
        assert found == pytest.approx(mean_output, rel=1e-5)


@pytest.mark.parametrize(("head", "loss"), [("linear", "se"), ("gaussian", "gaussian_nll")])
def test_the_outputs_of_a_regression_have_a_mean(head, loss):
    rate = SGD(lr=0.001)
    run = experiment(head=head, loss=loss, data=dataset(None), probes=WITH_OUTPUTS, optimizer=rate)
    (result,) = train([run])
    with torch.no_grad():
        z = functional_call(run.module, result.parameters, (run.data.train.features,))
    own = run.objective.head(z.double())[:, : run.data.train.targets.shape[1]].mean().item()
    assert result.metrics["prediction/mean"] == pytest.approx(own, rel=1e-5)


def test_the_nearest_example_tells_what_could_be_learned():
    """Clusters on the diagonals, which no line separates; and labels drawn at random."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.tensor([[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    features = corners.repeat(30, 1) + 0.1 * torch.randn(120, 2, generator=generator)
    labels = torch.tensor([0, 0, 1, 1]).repeat(30)
    assert same_class_as_nearest(features, labels) == 1
    apart = (features[:, None] - features[None]).norm(dim=2) + 9 * torch.eye(120)
    drawn = torch.randint(0, 2, (120,), generator=generator)
    own = sum(int(drawn[row.argmin()]) == int(k) for row, k in zip(apart, drawn, strict=True))
    assert same_class_as_nearest(features, drawn) == pytest.approx(own / 120)
    assert math.isnan(same_class_as_nearest(features[:1], labels[:1]))


def test_it_is_looked_for_only_where_little_was_learned():
    part = split(60, 2, 1, 2)
    data = Dataset("made", part, part, part, 2)
    run = experiment(data=data, optimizer=SGD(lr=0.5), epochs=40, model=Mlp(widths=[30]))
    results = train([run, replace(run, optimizer=SGD(lr=1e-9))])
    for result in results:
        counts = result.anatomy["classes"]["count"]
        little = result.anatomy["wrong"] > 0.7 * (1 - max(counts) / sum(counts))
        assert ("neighbours" in result.anatomy["data"]) is little
    assert ["neighbours" in result.anatomy["data"] for result in results] == [False, True]


def test_regression_has_no_wrong_examples():
    (result,) = train([experiment(head="gaussian", loss="gaussian_nll", data=dataset(None))])
    assert set(result.anatomy) == {"examples", "zero", "saturated", "start", "gradient", "data"}
    assert set(result.anatomy["start"]) == {"loss", "zero", "saturated"}


def test_a_diverged_run_says_nothing_instead_of_nan():
    run = experiment(head="linear", loss="se", optimizer=SGD(lr=1e9), epochs=40)
    (result,) = train([run])
    assert result.status == "diverged"
    json.dumps(result.anatomy, allow_nan=False)


def test_a_large_split_is_judged_by_a_part_of_it():
    count = MOST_TRAINING_EXAMPLES + 500
    parts = [split(size, 2, 1, 2) for size in (count, 50, 50)]
    run = experiment(data=Dataset("large", *parts, 2), epochs=1, batch_size=500)
    (result,) = train([run])
    assert result.anatomy["examples"] == MOST_TRAINING_EXAMPLES
    assert sum(result.anatomy["classes"]["count"]) == MOST_TRAINING_EXAMPLES
    looked_at = np.sum(result.anatomy["logits"]["count"])
    assert 900 <= looked_at <= 1024


def test_what_is_said_of_the_features():
    features = torch.tensor([[1.0, 5.0, 0.0], [3.0, 5.0, 10.0], [2.0, 5.0, 20.0]])
    said = data_report(features)
    assert said["mean"] == pytest.approx(features.mean().item(), rel=1e-5)
    assert said["std"] == pytest.approx(features.std(correction=0).item(), rel=1e-5)
    assert said["largest"] == 20
    low, high = math.sqrt(2 / 3), 10 * math.sqrt(2 / 3)  # the second one is constant
    assert said["feature_std"] == pytest.approx(
        [low + 0.05 * (high - low), (low + high) / 2, high - 0.05 * (high - low)], rel=1e-5
    )


def test_more_than_a_hundred_classes_are_not_told_apart():
    classes = 101
    targets = torch.arange(303) % classes
    part = Split(torch.randn(303, 2, generator=torch.Generator().manual_seed(0)), targets)
    data = Dataset("many", part, part, part, classes)
    run = experiment(
        head="softmax", loss="ce", data=data, objective=Objective("softmax", "ce"), epochs=1
    )
    (result,) = train([run])
    assert "classes" not in result.anatomy


def test_a_softmax_is_a_sigmoid_of_its_logit_against_the_others():
    """So that with cross-entropy dL/dz, bin by bin, lies on the sigmoid's curve."""
    z = 3 * torch.randn(7, 5, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    objectives = RunObjectives([Objective("softmax", "ce")] * 7, signed=False)
    torch.testing.assert_close(objectives.margins(z).sigmoid(), z.softmax(-1))
    alone = RunObjectives([Objective("sigmoid", "bce")] * 7, signed=False)
    assert alone.margins(z) is z
