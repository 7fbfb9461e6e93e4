"""Final diagnostics besides the numbers that `test_final_numbers` recomputes."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from mlr.data.base import Dataset, Split
from mlr.models import Mlp
from mlr.objectives import Objective
from mlr.training import SGD, train
from mlr.training.background import Background
from mlr.training.diagnostics_report import (
    best_threshold,
    data_report,
    numbers,
    same_class_as_nearest,
)
from mlr.training.examples import Examples
from mlr.training.run_objectives import RunObjectives
from mlr.training.step import Program
from tests.training.conftest import dataset, experiment, split


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
    """By 2,100 examples drawn without regard to their order, the first 1,024 of them closely."""
    parts = [split(size, 2, 1, 2) for size in (10_500, 50, 50)]
    run = experiment(data=Dataset("large", *parts, 2), epochs=2, batch_size=500)
    (result,) = train([run])
    chosen = Examples(Program([run], Background(0)), "train").thinned()
    assert len(chosen) == len(chosen.unique()) == 2_100
    assert 0 <= int(chosen.min()) < 50 < 10_450 < int(chosen.max()) < 10_500
    part = run.data.train
    weight, bias = (result.parameters[f"output.{name}"] for name in ("weight", "bias"))
    z, t = (part.features[chosen] @ weight.T + bias)[:, 0], part.targets[chosen].double()
    losses = binary_cross_entropy_with_logits(z, t, reduction="none")
    assert result.metrics["loss/train"] == pytest.approx(losses.mean().item(), rel=1e-9)
    wrong = (z >= 0) != (t == 1)
    assert result.anatomy["wrong"] == pytest.approx(wrong.double().mean().item(), rel=1e-5)
    assert result.anatomy["examples"] == 2_100
    assert result.anatomy["classes"]["count"] == [int((t == k).sum()) for k in (0, 1)]
    assert np.sum(result.anatomy["logits"]["count"]) == 1024


@pytest.mark.parametrize(
    ("examples", "updates", "judged"),
    [
        *((2_000, 1, None), (2_001, 1, 2_000), (60_000, 39, 2_000), (60_000, 400, 4_000)),
        *((60_000, 2_000, 10_000), (10_000, 2_000, None), (3_000, 300, None), (3_000, 299, 2_990)),
    ],
)
def test_a_tenth_of_what_the_updates_saw_is_judged(examples, updates, judged):
    """Of updates of 100 examples, at least 2,000 and at most 10,000 examples; None: all."""
    parts = [split(size, 1, 1, 2) for size in (examples, 5, 5)]
    run = experiment(data=Dataset("some", *parts, 2), steps=updates, batch_size=100)
    chosen = Examples(Program([run], Background(0)), "train").thinned()
    assert (None if chosen is None else len(chosen)) == judged


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
    objectives = RunObjectives([Objective("softmax", "ce")] * 7)
    torch.testing.assert_close(objectives.margins(z).sigmoid(), z.softmax(-1))
    alone = RunObjectives([Objective("sigmoid", "bce")] * 7)
    assert alone.margins(z) is z


@pytest.mark.parametrize(
    ("most", "share"), [(9, 1 / 3), (6, 1 / 3), (5, 2 / 3), (3, 2 / 3), (2, 0)]
)
def test_of_many_examples_evenly_spread_ones_are_compared(monkeypatch, most, share):
    """All of them, every second one at 0, 9 and 20, or every third one at 0 and 11."""
    monkeypatch.setattr("mlr.training.diagnostics_report.MOST_ROWS", most)
    features = torch.tensor([0.0, 1, 9, 11, 20, 22]).view(6, 1, 1)
    labels = torch.tensor([0, 1, 0, 1, 1, 1])
    assert same_class_as_nearest(features, labels) == pytest.approx(share)


def tried(logits, labels):
    """The fewest wrong over all thresholds, one after the other."""
    shares = []
    for threshold in [*logits.unique().tolist(), float("inf")]:
        found = (logits >= threshold).to(labels.dtype)
        shares.append(float((found != labels).double().mean()))
    return min(shares)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("digits", [0, 1, 8])  # 0 and 1: many logits are equal
def test_no_threshold_leaves_fewer_wrong(digits, dtype):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 40, generator=generator, dtype=dtype).round(decimals=digits)
    logits[3, :3] = -torch.inf
    labels = (torch.rand(5, 40, generator=generator) < 0.4).to(dtype)
    at, wrong = best_threshold(logits, labels)
    for lane in range(5):
        assert wrong[lane] == pytest.approx(tried(logits[lane], labels[lane]))
        found = (logits[lane] >= at[lane]).double()
        assert (found != labels[lane]).double().mean() == pytest.approx(float(wrong[lane]))


@pytest.mark.parametrize("nan", [torch.nan, -torch.nan])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_logits_that_are_no_numbers_lie_beyond_all_others(nan, dtype):
    logits = torch.tensor([[nan, 1.0, 2.0, -1.0, torch.inf, nan]], dtype=dtype)
    at, wrong = best_threshold(logits, torch.tensor([[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]]))
    assert (at.item(), wrong.item()) == (2.0, pytest.approx(1 / 6))
    at, wrong = best_threshold(logits, torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0, 1.0]]))
    assert at.isnan()
    assert wrong.item() == 0


def test_of_one_class_alone():
    logits, ones = torch.tensor([[1.0, 2.0, 3.0]]), torch.ones(1, 3)
    assert best_threshold(logits, ones)[1].item() == 0
    at, wrong = best_threshold(logits, 1 - ones)
    assert (at.item(), wrong.item()) == (float("inf"), 0.0)


def test_a_separable_line():
    at, wrong = best_threshold(torch.tensor([[0.4, 0.1, 0.9]]), torch.tensor([[1.0, 0.0, 1.0]]))
    assert (round(at.item(), 6), wrong.item()) == (0.4, 0.0)


@pytest.mark.parametrize(("classes", "there"), [(2, True), (3, False), (None, False)])
def test_runs_of_one_output_tell_it(classes, there):
    kinds = {"head": "linear", "loss": "se", "data": dataset(classes, 61)}
    runs = [experiment(**kinds, optimizer=SGD(lr=0.01), seed=seed) for seed in range(2)]
    for result in train(runs):
        assert ("boundary" in result.anatomy) is there
        if there:
            assert 0 <= result.anatomy["boundary"]["wrong"] <= result.anatomy["wrong"] + 1e-9


def test_numbers_are_those_of_python():
    rng = np.random.default_rng(0)
    between = (rng.integers(100_000, 1_000_000, 500) + 0.5) / 10.0 ** rng.integers(0, 25, 500)
    sizes = 10 ** rng.uniform(-30, 30, 500)
    edges = [0.0, 5e-324, 1e-300, 999_999.5, 9.9999949999, 9.999995, 1e6, 999_999.0, 1e22, 1e300]
    for values in (between, sizes, -sizes.astype(np.float32), np.array(edges), np.arange(50) / 64):
        expected = [float(f"{one:.6g}") for one in values.tolist()]
        assert numbers(values) == expected
        whole = [one.is_integer() for one in values.tolist()]
        assert [type(one) is int for one in numbers(values)] == whole


def test_numbers_are_rounded_and_only_whole_ones_lose_their_point():
    found = numbers(np.array([[0.12345678, 1.0, -0.0], [np.nan, 0.99999999, 1234567.5]]))
    assert repr(found) == "[[0.123457, 1, 0], [None, 1.0, 1234570.0]]"
    assert repr(numbers(np.float32(0.1))) == "0.1"
