"""The numbers of one run, each against a literal one."""

from __future__ import annotations

import numpy as np
import pytest

from mlr.core.text import approx_percent
from tests.analysis.explain.made import run
from tests.analysis.explain.sides import facts

INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("share", "written"),
    [
        *((0, "0 %"), (0.0000001, "under 0.1 %"), (0.000499, "under 0.1 %"), (0.0005, "0.1 %")),
        *(
            (0.0123, "1.2 %"),
            (0.0994, "9.9 %"),
            (0.09949999999999999, "10 %"),
            (0.1, "10 %"),
            (0.68, "68 %"),
        ),
        *((0.9849, "98 %"), (0.99, "99 %"), (0.9901, "99.0 %"), (0.9994, "99.9 %")),
        *((0.99999, "99.9 %"), (1, "100 %"), (1.5, "150 %"), (-0.25, "-25 %")),
    ],
)
def test_a_share_in_percent(share, written):
    assert approx_percent(share) == written


def test_a_number_of_the_anatomy():
    told = facts({"wrong": 0.25, "start": {"loss": 2, "wrong": None}, "stuck": True})
    assert (told.anatomy("wrong"), told.anatomy("start", "loss")) == (0.25, 2)
    for keys in (("start", "wrong"), ("none",), ("none", "loss"), ("start",)):
        assert np.isnan(told.anatomy(*keys))
    assert np.isnan(facts({}).anatomy("wrong"))


def test_rows_of_the_anatomy():
    told = facts({"classes.recall": [0.5, None, 1], "logits.count": [[1, 2], [3, 4]]})
    assert told.row("classes", "recall") == pytest.approx([0.5, NAN, 1], nan_ok=True)
    assert told.logit_counts.tolist() == [[1, 2], [3, 4]]
    for none in (told.row("classes", "grad"), told.row("confidence", "a"), facts({}).row("a", "b")):
        assert none.tolist() == []
    assert facts({}).logit_counts.shape == facts({"logits": {}}).logit_counts.shape == (2, 0)


def test_a_series_is_where_there_is_a_value(tmp_path):
    curves = {"loss/val": [NAN, 2.0, INF, NAN, 4.0], "loss/train": [1.0] * 5}
    one = facts({f"curve.{tag}": values for tag, values in curves.items()})
    steps, values = one.points("loss/val")
    assert (steps.tolist(), values.tolist()) == ([10, 20, 40], [2, INF, 4])
    assert values.dtype == np.float64
    for none in (one.points("loss/test"), facts({}).points("loss/val")):
        assert [part.tolist() for part in none] == [[], []]
    steps, values = type(one)(run(tmp_path / "run", curves=curves)).points("loss/val")  # as written
    assert (steps.tolist(), values.tolist()) == ([10, 20, 40], [2, INF, 4])


@pytest.mark.parametrize(
    ("told", "diverged"),
    [
        ({"status": "diverged", "loss/train": 0.1}, True),
        ({"loss/train": NAN}, True),
        ({"loss/train": INF}, True),
        ({"loss/train": 0.1, "loss/val": NAN}, False),
        ({}, False),
    ],
)
def test_a_run_without_a_finite_loss_has_diverged(told, diverged):
    assert facts(told).diverged is diverged


def test_layers_are_named_in_the_order_of_the_table():
    norms = ("total", "hidden1", "hidden2", "output")
    told = facts({"curve.loss/train": [1], **{f"curve.grad_norm/{name}": [1] for name in norms}})
    assert told.layers == ["hidden1", "hidden2", "output"]
    assert facts({}).layers == []


def test_a_class_has_its_label_or_its_number():
    assert facts({"classes.labels": ["setosa", "virginica"]}).class_name(1) == "'virginica'"
    assert facts({}).class_name(0) == "0"


def test_settings():
    told = facts({"config.optimizer": {"lr": 0.5, "name": "SGD", "beta": None}, "config.data": 3})
    assert told.setting("optimizer", "lr") == 0.5
    for missing in (("optimizer", "name"), ("optimizer", "beta"), ("data", "lr"), ("none", "lr")):
        assert np.isnan(told.setting(*missing))
    assert (told.part("data"), told.part("none")) == ({}, {})
    takes = [told.takes("optimizer", "beta"), told.takes("optimizer", "momentum")]
    assert takes == [True, False]
    assert told.takes("data", "lr")  # nothing is known of it
    assert told.takes("none", "lr")


def test_the_configuration_of_a_run_like_it_is_enough():
    like = facts({"config.optimizer.lr": 0.25}).run
    own = facts({"config.optimizer.lr": 0.5, "steps": 7}).run
    assert type(facts({}))(own, like).setting("optimizer", "lr") == 0.25
    assert type(facts({}))(own, like).updates == 7
    assert np.isnan(facts({}).updates)


def test_the_highest_rate_of_any_update():
    assert facts({"curve.learning_rate": [0.125, NAN, 0.5, 0.25]}).reached_rate == 0.5
    assert np.isnan(facts({}).reached_rate)


HALVES = {"pair": "softmax+se", "classes.count": [500, 500]}
"""Chance is wrong for half of the examples, and costs ½ (½·½ + ½·½) = 0.25."""


@pytest.mark.parametrize(
    ("told", "unlearned"),
    [
        # nine tenths of the error, and of the loss
        (HALVES | {"wrong": 0.45, "loss/train": 0.225}, True),
        (HALVES | {"wrong": 0.449, "loss/train": 0.225}, False),
        (HALVES | {"wrong": 0.45, "loss/train": 0.224}, False),
        # chance is the most frequent class: 0.9 · 0.25 of [750, 250]
        (HALVES | {"wrong": 0.225, "classes.count": [750, 250], "loss/train": 0.2}, True),
        (HALVES | {"wrong": 0.224, "classes.count": [750, 250], "loss/train": 0.2}, False),
        # by the error alone where the loss of a constant is not known
        (HALVES | {"pair": "softmax+hinge", "wrong": 0.45, "loss/train": 0.0}, True),
        (HALVES | {"pair": "softmax+hinge", "wrong": 0.449, "loss/train": 9.0}, False),
        (HALVES | {"wrong": None, "loss/train": 0.225}, True),
        (HALVES | {"pair": "softmax+hinge", "wrong": 0.45, "classes.count": [1, 1]}, True),
        # nobody knows how many there are of a class
        (HALVES | {"classes.count": [500, 500, None], "wrong": 0.1, "loss/train": 0.01}, False),
        (HALVES | {"classes.count": [500, 500, None], "wrong": 1.0, "loss/train": 9.0}, False),
        # one class, and none
        (HALVES | {"classes.count": [500, 0], "wrong": 1.0, "loss/train": 9.0}, False),
        ({"pair": "linear+se", "wrong": 1.0, "loss/train": 9.0}, False),
    ],
)
def test_a_run_that_is_no_better_than_a_constant_has_not_learned(told, unlearned):
    assert facts(told).unlearned is unlearned


FEW = {"examples": 1000, "confidence.count_wrong": [60, 30, 10]}


@pytest.mark.parametrize(
    ("told", "stuck"),
    [
        # (60 + 10) / 1000 where the mean gradients are at most 0.01
        (FEW | {"stuck": 0.05, "confidence.grad_wrong": [0.01, 0.0101, 0.0]}, 0.07),
        (FEW | {"stuck": 0.08, "confidence.grad_wrong": [0.01, 0.0101, 0.0]}, 0.08),
        (FEW | {"stuck": 0.05, "confidence.grad_wrong": [0.01, None, None]}, 0.06),
        (FEW | {"stuck": 0.05}, 0.05),
        (FEW | {"stuck": 0.05, "confidence.grad_wrong": [0.0, 0.0]}, 0.05),
        (FEW | {"confidence.grad_wrong": [0.0, 0.0, 0.0]}, NAN),
        ({"stuck": 0.05}, 0.05),
    ],
)
def test_wrong_examples_with_next_to_no_gradient(told, stuck):
    assert facts(told).stuck == pytest.approx(stuck, nan_ok=True)


EDGE = [1, 2, 4, 8, 16, 32, 100, *([0] * 8), 37, 64, 128, 256, 512, 1024, 2048]
"""Logits of target 0 in 22 bins, of which 6 at either end are flat: 63 and 4032 of 4232."""
ONES = [10] * 6 + [68] * 10 + [10] * 5 + [38]
"""Of target 1: 60 and 88 of 828."""


@pytest.mark.parametrize(
    ("told", "saturated"),
    [
        # (63 + 4032 + 60 + 88) / (4232 + 828)
        ({"pair": "sigmoid+se", "saturated": 0.5}, 4243 / 5060),
        ({"pair": "softmax+se", "saturated": 0.5}, 4243 / 5060),
        ({"pair": "softmax+se", "saturated": 0.9}, 0.9),
        ({"pair": "clipped_linear+se", "saturated": 0.5}, 0.5),
        ({"pair": "sigmoid+se", "saturated": 0.5, "logits": {}}, 0.5),
        ({"pair": "sigmoid+se", "saturated": 0.5, "logits.count": [[0] * 22, [0] * 22]}, 0.5),
        ({"pair": "sigmoid+se", "saturated": 0.5, "logits.count": [[1, *[0] * 21], [0] * 22]}, 1),
        ({"pair": "sigmoid+se"}, NAN),
    ],
)
def test_outputs_on_the_flat_part_of_a_head(told, saturated):
    assert facts({"logits.count": [EDGE, ONES]} | told).saturated == pytest.approx(
        saturated, nan_ok=True
    )


@pytest.mark.parametrize(
    ("metrics", "found"),
    [
        ({"accuracy/train": 1.0, "accuracy/val": 0.5, "accuracy/test": 0.75}, 0.625),
        ({"accuracy/val": 0.5}, 0.5),
        ({"accuracy/val": NAN, "accuracy/test": 0.75}, 0.75),
        ({"accuracy/train": 1.0}, NAN),
    ],
)
def test_the_accuracy_on_what_was_not_trained_on(metrics, found):
    assert facts(metrics).held_out == pytest.approx(found, nan_ok=True)
