"""Remedies that other runs have tried: which these are, and if it was in vain."""

from __future__ import annotations

import pytest

from mlr.analysis.explain import explain
from mlr.analysis.explain.diagnose import helped, tried
from tests.analysis.explain.sides import run

NAN = float("nan")
OWN = {
    **{"pair": "softmax+ce", "config.batch_size": 32, "config.seed": 0},
    **{"config.optimizer": {"_target_": "SGD", "lr": 1.0}, "config.data": {"label_noise": 0.5}},
    "config.model": {"_target_": "Linear", "weight": 3, "widths": [4]},
}


def set_to(key, value):
    """The same configuration but for one setting."""
    group, _, name = key.partition(".")
    return OWN | {f"config.{group}": {**OWN[f"config.{group}"], name: value}}


RATE = set_to("optimizer.lr", 0.1)


def found(own, other, remedy, typed=(), others=(), **choices):
    """True if the other run is one that tried the remedy."""
    mine, one = run("own", own, *typed), run("other", other, *others, choices=choices)
    return tried([mine, one], [mine], remedy) == [one]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (RATE, True),
        (OWN, False),
        (set_to("optimizer.lr", 0.2), False),
        (set_to("optimizer.lr", 0.1 * (1 + 9e-7)), True),
        (set_to("optimizer.lr", 0.1 * (1 + 1.1e-6)), False),
        (set_to("optimizer.lr", "0.1?"), False),
        (RATE | {"status": "diverged"}, True),
        (RATE | {"pair": "sigmoid+ce"}, False),
        (RATE | {"pair": "softmax+se"}, False),
        (RATE | {"config.batch_size": 64}, False),
        (RATE | {"config.optimizer": {"_target_": "Adam", "lr": 0.1}}, False),
        (RATE | {"config.optimizer": {"_target_": "SGD", "lr": 0.1, "momentum": 0}}, False),
        *(
            (RATE | {f"config.{key}": 7}, True)
            for key in ("seed", "probes", "checkpoint", "device", "sweep", "objective_metric")
        ),
    ],
)
def test_a_run_that_differs_by_the_remedy_alone_has_tried_it(other, expected):
    assert found(OWN, other, "optimizer.lr=0.1") is expected


@pytest.mark.parametrize(
    ("remedy", "other", "expected"),
    [
        ("data.label_noise=0", set_to("data.label_noise", 0.0), True),
        ("data.label_noise=0", set_to("data.label_noise", 1e-9), False),
        ("optimizer.lr=0.1 batch_size=64", RATE | {"config.batch_size": 64}, True),
        ("optimizer.lr=0.1 batch_size=64", RATE, False),
        ("data.path=a=b", set_to("data.path", "a=b"), True),
        ("model.weight=null", set_to("model.weight", None), True),
        ("model.weight=null", OWN, False),
        ("model.widths=[16,32]", set_to("model.widths", [16, 32]), True),
        ("model.widths=[16,32]", set_to("model.widths", [16, 33]), False),
        ("head=sigmoid loss=bce", OWN | {"pair": "sigmoid+bce", "config.head": {"k": 1}}, True),
        ("head=sigmoid loss=bce", OWN | {"pair": "sigmoid+ce"}, False),
        ("head=sigmoid loss=bce", OWN | {"pair": "softmax+bce"}, False),
        ("loss=se", OWN | {"pair": "softmax+se", "config.loss": {"k": 1}}, True),
        ("loss=se", OWN | {"pair": "softmax+se", "config.losses": {"k": 1}}, False),
        ("head=probit", OWN | {"pair": "probit+ce"}, True),
        ("head=probit", OWN | {"pair": "probit+se"}, False),
    ],
)
def test_settings_of_any_kind_are_compared(remedy, other, expected):
    assert found(OWN, other, remedy) is expected


@pytest.mark.parametrize(
    ("chosen", "words", "expected"),
    [("mlp", [], True), ("linear", [], False), ("linear", ["model=mlp"], True)],
)
def test_another_part_has_options_of_its_own(chosen, words, expected):
    typed = ["model=linear", "model.weight=3"]
    other = OWN | {"config.model": {"_target_": "Mlp", "activation": "relu"}}
    assert found(OWN, other, "model=mlp", typed, words, model=chosen) is expected


def ended(accuracy=None, trained=None, validated=None, loss=None, **more):
    """Final numbers, those that are given."""
    tags = ("accuracy/val", "accuracy/train", "loss/val", "loss/train")
    return dict(zip(tags, (accuracy, trained, validated, loss), strict=True)) | more


DIVERGED = {"status": "diverged"}


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        # errors of 1 and of 0.9
        ([ended(0.0)], [ended(0.1)], True),
        ([ended(0.0)], [ended(0.099)], False),
        ([ended(None, 0.0)], [ended(None, 0.1)], True),
        ([ended(None, 0.0)], [ended(None, 0.099)], False),
        ([ended(0.5, 0.0)], [ended(0.5, 1.0)], False),  # of the validation, where there is one
        ([ended(0.5, loss=1.0)], [ended(0.5, loss=0.0)], False),
        # mean errors of 0.9 and of 0.8, or of 0.82: more than 0.81
        ([ended(0.0), ended(0.2)], [ended(0.1), ended(0.3)], True),
        ([ended(0.0), ended(0.2)], [ended(0.06), ended(0.3)], False),
        ([ended(0.0)], [ended(NAN), ended(0.5)], True),
        ([ended(0.5)], [ended(NAN), ended(0.5)], False),
        ([ended(NAN)], [ended(0.1)], True),
        ([ended(0.5, 0.0)], [ended(NAN, 0.5)], True),
        # losses only tell where the pair is the same
        ([ended(validated=1.0)], [ended(validated=0.9)], True),
        ([ended(validated=1.0)], [ended(validated=0.909)], False),
        ([ended(validated=1.0)], [ended(validated=0.909, pair="softmax+bce")], True),
        ([ended(loss=1.0)], [ended(loss=0.9)], True),
        ([ended(loss=1.0)], [ended(loss=0.909)], False),
        ([ended(validated=1.0, loss=1.0)], [ended(validated=1.0, loss=0.1)], False),
        ([ended()], [ended()], True),
        ([ended(0.5)], [ended(0.9) | DIVERGED], False),
        ([ended(0.5)], [ended(0.9) | DIVERGED, ended(0.9)], True),
    ],
)
def test_a_remedy_helps_if_a_tenth_of_the_errors_is_gone(own, others, expected):
    mine, theirs = (
        [run(str(n), {"pair": "softmax+ce"} | one) for n, one in enumerate(runs)]
        for runs in (own, others)
    )
    assert helped(mine, theirs) is expected


LOST = {"pair": "softmax+ce", "status": "diverged", "classes.count": [5, 5]}


def rated(rate, **told):
    """A run that diverged, unless it is told otherwise."""
    typed = f"optimizer.lr={rate:g}"
    return run(typed, LOST | {"config.optimizer.lr": rate} | told, typed)


def advised(*runs):
    """Rule and remedy of the first cell."""
    (one,) = [one for one in explain(runs) if runs[0].name in one.runs]
    return one.rule, one.remedy


def test_a_rate_that_was_tried_in_vain_is_not_advised():
    """A tenth of it, else a hundredth, else a thousandth, else none."""
    first = rated(10)
    well = ended(0.9, 0.9, status="done")
    assert advised(first, rated(5)) == ("lr_too_high", "optimizer.lr=1")
    assert advised(first, rated(1, status="failed")) == ("lr_too_high", "optimizer.lr=1")
    assert advised(first, rated(1, **well)) == ("lr_too_high", "optimizer.lr=1")
    assert advised(first, rated(1)) == ("lr_too_high", "optimizer.lr=0.1")
    assert advised(first, rated(1), rated(0.1)) == ("lr_too_high", "optimizer.lr=0.01")
    assert advised(first, rated(1), rated(0.01)) == ("lr_too_high", "optimizer.lr=0.1")
    assert advised(first, rated(1), rated(0.1), rated(0.01)) == ("lr_too_high", "")


def test_where_every_remedy_was_tried_in_vain_the_next_fault_is_told():
    over = {"accuracy/train": 1.0, "accuracy/val": 0.5, "loss/train": 0.1, "loss/val": 2.0}
    first = rated(10, **over)
    assert advised(first, rated(1), rated(0.1)) == ("lr_too_high", "optimizer.lr=0.01")
    assert advised(first, rated(1), rated(0.1), rated(0.01)) == (
        "overfitting",
        "patience=5 optimizer.weight_decay=0.001",
    )
    decay = ["optimizer.lr=10", "patience=5", "optimizer.weight_decay=0.001"]
    same = {**LOST, "config.patience": 5, "config.optimizer": {"lr": 10, "weight_decay": 0.001}}
    vain = [rated(1), rated(0.1), rated(0.01), run("decay", same, *decay)]
    assert advised(first, *vain) == ("lr_too_high", "")


def test_a_fault_that_no_override_mends_is_told_all_the_same():
    never = rated(10, refused={"update": 1, "tensor": "a logit"})
    assert advised(never, rated(1)) == ("not_finite", "")


CLIPPED = {
    **{"pair": "clipped_linear+se", "wrong": 0.7, "stuck_zero": 0.68, "accuracy/val": 0.1},
    "classes.count": [5, 5],
}


@pytest.mark.parametrize(
    ("others", "remedy"),
    [
        ({"sigmoid+bce": 0.9}, "head=sigmoid loss=bce, or loss=matching"),
        ({"sigmoid+bce": 0.12}, "loss=matching"),
        ({"clipped_linear+matching": 0.12}, "head=sigmoid loss=bce"),
        ({"sigmoid+bce": 0.12, "clipped_linear+matching": 0.12}, ""),
        ({"sigmoid+se": 0.12}, "head=sigmoid loss=bce, or loss=matching"),
    ],
)
def test_an_alternative_that_was_tried_in_vain_is_left_out(others, remedy):
    runs = [run(pair, {"pair": pair, "accuracy/val": right}) for pair, right in others.items()]
    assert advised(run("own", CLIPPED), *runs) == ("clipped_dead", remedy)


def test_each_cell_is_compared_with_the_others_by_all_of_its_runs():
    """The first has 0.9 of errors and another none: 0.45 in the mean, of which 0.44 is 0.98."""
    own = [
        run(f"{right}", CLIPPED | {"accuracy/val": right}, f"seed={right}") for right in (0.1, 1)
    ]
    other = run("other", {"pair": "sigmoid+bce", "accuracy/val": 0.56}, "seed=0")
    (one,) = explain([*own, other])
    assert one.remedy == "loss=matching"
    other = run("other", {"pair": "sigmoid+bce", "accuracy/val": 0.6}, "seed=0")
    (one,) = explain([*own, other])
    assert one.remedy == "head=sigmoid loss=bce, or loss=matching"
