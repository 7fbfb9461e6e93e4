"""Curves of trainings that learn, but not long enough, too long, or in jumps."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mlr.diagnosis.curves import REMARKS, RULES
from mlr.diagnosis.curves.course import fractions, noise, parts
from tests.diagnosis.curves.made import decay, findings, logged, noisy


def test_a_loss_that_falls_to_the_end():
    found = findings(train=noisy(np.linspace(2.3, 1.2, 200), 0.05), val=np.linspace(2.3, 1.3, 10))
    assert found.keys() == {"cut_short"}
    assert found["cut_short"].evidence == "val_loss: means of fifths 2.24, 2.02, 1.8, 1.58, 1.36"
    assert "too few steps" in found["cut_short"].sentence


@pytest.mark.parametrize(("speed", "expected"), [(0.5, True), (1.2, True), (2.2, False)])
def test_an_exponential_fall_is_cut_short_if_a_fifth_of_it_is_to_come(speed, expected):
    """At the rate 1.6, e^-1.6 = 20 % of the fall is left."""
    found = findings(train=2.3 * np.exp(-speed * np.linspace(0, 1, 200)))
    assert ("cut_short" in found) is expected


def test_more_is_to_come_where_most_examples_are_wrong():
    curves = {"train": decay(2.3, 1.0, 200, speed=1.8), "acc": np.linspace(0.1, 0.3, 20)}
    assert "cut_short" in findings(**curves)
    curves["acc"] = np.linspace(0.1, 0.6, 20)
    assert "cut_short" not in findings(**curves)


@pytest.mark.parametrize(
    "curves",
    [
        {"train": np.linspace(2.3, 0.01, 200)},  # nearly nothing is left
        {"train": np.linspace(2.3, 1.2, 200), "val": decay(2.3, 1.4, 20)},
        {"train": noisy(np.linspace(1.0, 0.8, 200), 0.5)},
        {  # most was learned before the first validation
            "train": noisy([*np.full(8, 1.0), *np.linspace(0.26, 0.22, 192)], 0.1),
            "val": np.linspace(0.26, 0.22, 20),
        },
        {"train": np.linspace(0.4, 0.38, 200), "acc": np.linspace(0.88, 0.9, 20)},
    ],
)
def test_losses_that_are_not_cut_short(curves):
    assert "cut_short" not in findings(**curves)


def test_a_model_that_overfits():
    val = np.concatenate([np.linspace(2.0, 1.0, 10), np.linspace(1.02, 1.6, 15)])
    train = decay(2.3, 0.01, 250, speed=4)
    found = findings(train=train, val=val)["overfits"]
    assert "lowest at step 400 and rises" in found.sentence
    assert found.certain
    assert found.evidence.startswith("val_loss 1.02 at step 400, 1.56 at step 1,000; meanwhile")
    at = re.search(r"meanwhile train/loss from (\S+) to", found.evidence)[1]
    assert float(at) == pytest.approx(train[99], rel=0.03)  # of 250, at step 400
    assert "best.pt" in found.remedy
    gaining = findings(train=train, val=val, val_acc=np.linspace(0.2, 0.7, 25))["overfits"]
    assert "in confidence, not in accuracy" in gaining.sentence
    assert "val_acc from 0.3" in gaining.evidence
    losing = findings(train=train, val=val, val_acc=[*np.linspace(0.2, 0.7, 10), *[0.6] * 15])
    assert "confidence" not in losing["overfits"].sentence


@pytest.mark.parametrize(
    "curves",
    [
        {"val": [*np.linspace(2.0, 1.0, 10), *np.linspace(1.0, 1.15, 15)]},
        {"val": [*np.linspace(2.0, 1.0, 22), 1.2, 1.4, 1.6]},  # at the end only
        {"val": noisy(np.full(25, 1.0), 0.2)},
        {  # the training loss rises, too
            "val": [*np.linspace(2.0, 1.0, 10), *np.linspace(1.02, 1.6, 15)],
            "train": np.interp(np.linspace(0, 1, 100), [0, 0.4, 1], [2.3, 1.0, 1.1]),
        },
    ],
)
def test_models_that_do_not_overfit(curves):
    assert "overfits" not in findings(**{"train": decay(2.3, 0.3, 250, speed=4), **curves})


def test_the_place_of_the_minimum_is_known_where_validations_count_epochs():
    run = logged(train=decay(2.3, 0.01, 250), val=np.arange(25.0))
    train, val = run.curves["loss/train"], run.curves["loss/val"]
    own, others = fractions(train, val)
    assert (own[-1], others[-1]) == (1000, 1000)
    epochs = type(val)(val.tag, np.arange(25), val.values)
    own, others = fractions(train, epochs)
    assert own[99] == pytest.approx(others[9])
    assert (own[-1], others[-1]) == (1, 1)


def test_a_lead_of_the_training_accuracy():
    curves = {"acc": np.linspace(0.1, 1.0, 20), "val_acc": np.linspace(0.1, 0.7, 20)}
    found = findings(train=decay(2.3, 0.01, 200), **curves)["overfits"]
    assert "98 % of the training examples are right" not in found.sentence
    assert "95 % of the training examples are right at the end, and 67 %" in found.sentence
    heart = {"train": decay(2.3, 0.01, 200), "val": decay(2.3, 0.9, 20)}
    assert "overfits" in findings(**heart, **curves)
    assert "overfits" not in findings(**{**heart, "train": decay(2.3, 0.3, 200)}, **curves)
    curves["val_acc"] = np.linspace(0.1, 0.9, 20)
    assert "overfits" not in findings(**heart, **curves)


def test_a_rate_that_jumps_up():
    loss = np.concatenate([decay(1.0, 0.2, 100), np.full(100, 0.4)])
    rate = np.repeat([0.01, 0.1], 100)
    found = findings(train=noisy(loss, 0.01), lr=rate)["rate_jump"]
    assert "rises at step 505" in found.sentence
    assert "lr from 0.01 to 0.1; train/loss from 0.1" in found.evidence
    good = np.concatenate([decay(1.0, 0.2, 100), decay(0.4, 0.1, 100)])
    assert "rate_jump" not in findings(train=noisy(good, 0.001), lr=rate)
    assert "rate_jump" not in findings(train=noisy(loss, 0.01), lr=np.full(200, 0.1))


def test_a_loss_that_waits_for_a_lower_rate_is_a_remark():
    loss = np.concatenate([decay(2.3, 1.0, 100, speed=20), np.full(50, 0.5)])
    rate = np.repeat([0.1, 0.01], [100, 50])
    found = findings(train=loss, lr=rate)
    assert found.keys() == {"late_drop"}
    assert "lowered at step 673" in found["late_drop"].sentence
    assert "train/loss from 1 to 0.5" in found["late_drop"].evidence
    falling = np.concatenate([np.linspace(2.3, 1.0, 100), np.full(50, 0.5)])
    assert "late_drop" not in findings(train=falling, lr=rate)
    assert "late_drop" not in findings(train=loss, lr=np.full(150, 0.1))


def test_a_validation_that_is_better_is_a_remark():
    loss = {"train": noisy(decay(2.3, 0.6, 200), 0.05), "val": decay(2.0, 0.4, 20)}
    found = findings(**loss)
    assert found.keys() == {"val_better"}
    assert "median of train/loss 0.6" in found["val_better"].evidence
    assert findings(train=loss["train"], val=decay(2.0, 0.55, 20)) == {}
    right = {"acc": noisy(np.full(20, 0.7), 0.01), "val_acc": noisy(np.full(20, 0.8), 0.01, 1)}
    assert findings(train=loss["train"], **right).keys() == {"val_better"}
    crossed = np.tile([0.66, 0.9, 0.9], 7)[:20]
    assert "val_better" not in findings(train=loss["train"], acc=right["acc"], val_acc=crossed)


def test_one_fault_is_reported_and_every_remark():
    assert not RULES.keys() & REMARKS.keys()
    val = np.concatenate([np.linspace(1.5, 0.6, 5), np.linspace(0.6, 0.4, 20)])
    found = findings(train=np.full(250, np.nan), val=val, lr=np.zeros(9))
    assert list(found) == ["not_finite"]


def test_noise_is_that_around_a_trend():
    rng = np.random.default_rng(0)
    assert noise(np.linspace(9, 1, 50)) == pytest.approx(0, abs=1e-9)
    spread = noise(np.linspace(9, 1, 20_000) + 0.3 * rng.normal(size=20_000))
    assert spread == pytest.approx(0.3, rel=0.05)
    assert parts(np.arange(4.0), 9).tolist() == [0, 1, 2, 3]
