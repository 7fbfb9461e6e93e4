"""Curves of trainings that learn nothing, and of others that look a little like them."""

from __future__ import annotations

from math import inf, log, nan

import numpy as np
import pytest

from tests.diagnosis.curves.made import decay, findings, noisy

SOUND = decay(2.3, 0.1, 200)


def test_a_sound_training_has_no_finding():
    assert findings(train=noisy(SOUND, 0.02), val=decay(2.3, 0.15, 20), lr=np.full(200, 0.1)) == {}


def test_a_loss_that_is_nan_from_the_first_value_on():
    found = findings(train=[nan] * 20)["not_finite"]
    assert "not finite from its first value on" in found.sentence
    assert found.certain
    assert "train/loss is not finite from step 50 on, 20 values" in found.evidence


def test_a_loss_that_grows_until_it_is_nan():
    found = findings(train=[2.0, 1.0, 3.0, 50.0, 1e6, inf, nan, nan], lr=[0.5] * 8)["not_finite"]
    assert "grew without bound" in found.sentence
    assert found.evidence == ("train/loss is not finite from step 750 on; 1e+06 before, lowest 1")
    assert found.remedy.startswith("lr=0.05  # was 0.5")


def test_a_loss_that_is_suddenly_nan():
    found = findings(train=[*SOUND[:50], nan, nan])["not_finite"]
    assert "did not grow before" in found.sentence
    assert "detect_anomaly" in found.remedy


@pytest.mark.parametrize(("count", "certain"), [(1, False), (9, True)])
def test_single_losses_that_are_not_finite(count, certain):
    values = SOUND.copy()
    values[50 : 50 + count] = nan
    found = findings(train=values)["not_finite"]
    assert f"{count} of 200" in found.sentence
    assert found.certain is certain
    assert "step 255 for the first time" in found.evidence


def test_a_placeholder_before_the_first_validation_is_no_fault():
    assert findings(train=SOUND, val=[nan, *decay(2.3, 0.15, 20)]) == {}
    assert "not_finite" in findings(train=SOUND, val=[1.0, nan, *decay(2.3, 0.15, 20)])
    assert "not_finite" in findings(train=[nan, *SOUND])


def test_a_rate_of_0():
    assert findings(train=noisy(np.full(50, 2.3), 0.01), lr=[0.0] * 50).keys() == {"no_rate"}
    assert "no_rate" not in findings(train=SOUND, lr=[0.0] * 199 + [0.1])


def test_a_loss_that_rises_far_above_its_start():
    values = np.concatenate([np.linspace(2.3, 60, 50), np.full(150, 2.5)])
    found = findings(train=noisy(values, 0.05))["rises"]
    assert "rises to 2" in found.sentence
    assert "learning rate is too high" in found.sentence


def test_a_loss_that_stays_far_above_its_start():
    found = findings(train=noisy([1.0, *np.full(99, 60)], 0.5))
    assert "rises to 57.2 times" in found["rises"].sentence


def test_a_spike_that_is_made_good_is_no_fault():
    values = SOUND.copy()
    values[3:9] = 40
    assert "rises" not in findings(train=values)


def test_a_loss_that_falls_and_rises_again():
    values = np.concatenate([decay(2.3, 0.5, 100), np.linspace(0.5, 2.2, 100)])
    found = findings(train=noisy(values, 0.05))["rises"]
    assert "rises again, from 0.5" in found.sentence
    assert "rises" not in findings(train=np.concatenate([SOUND, np.full(99, 0.3)]))


def test_batches_of_one_example_do_not_rise():
    """Losses of an exponential distribution, whose means stand still after a short fall."""
    for seed in range(20):
        draws = np.random.default_rng(seed).exponential(size=1000)
        assert findings(train=draws * decay(1.0, 0.4, 1000)) == {}
        assert "rises" not in findings(train=draws[:30])


def test_a_negative_loss_of_a_classification():
    low = findings(train=[-0.1, -0.3, -0.5, -0.7, -0.8, -0.85], acc=[0.1, 0.3, 0.5, 0.6, 0.8, 0.8])
    assert "nll_loss of probabilities" in low["below_zero"].sentence
    deep = findings(train=[2.0, 1.0, -3.0, -9.0, -20.0, -40.0], acc=[0.5] * 6)
    assert "a sign is wrong" in deep["below_zero"].sentence
    assert "-3 at step 500, lowest -40" in deep["below_zero"].evidence


def test_a_negative_loss_without_accuracy_is_a_remark():
    found = findings(train=noisy(decay(1.0, -3.0, 100), 0.01))
    assert found.keys() == {"negative"}
    assert "density" in found["negative"].sentence


def test_an_accuracy_that_does_not_change():
    loss = noisy(np.full(200, 2.31), 0.02)
    found = findings(train=loss, val_acc=[0.09, *[0.1135] * 19])["one_class"]
    assert "which 11 % of them have" in found.sentence
    assert "val_acc 0.1135 19 times from step 100 to step 1,000" in found.evidence
    assert "one_class" not in findings(train=loss, val_acc=np.linspace(0.1, 0.2, 20))


@pytest.mark.parametrize(("loss", "expected"), [(0.47, True), (0.40, False), (0.2, False)])
def test_constant_outputs_have_a_least_cross_entropy(loss, expected):
    """−0.83 ln 0.83 − 0.17 ln 0.17 = 0.456: a lower loss is not that of constant outputs."""
    found = findings(train=decay(0.69, loss, 100, speed=40), val_acc=[0.83] * 20)
    assert ("one_class" in found) is expected


def test_a_spike_at_once_does_not_count_as_the_start():
    values = noisy([2.3, 60, 60, 60, *np.full(196, 2.3)], 0.02)
    assert "one_class" in findings(train=values, val_acc=[0.1] * 20)


def test_a_high_accuracy_that_stands_still_is_no_fault():
    assert findings(train=decay(0.3, 0.19, 100), val_acc=[0.95] * 20) == {}


def test_the_loss_and_the_accuracy_of_chance():
    loss, right = noisy(np.full(200, log(10)), 0.02), noisy(np.full(200, 0.1), 0.01)
    found = findings(train=loss, acc=right)["chance"]
    assert "stays at ln 10 = 2.3 and the accuracy at 1/10" in found.sentence
    assert "chance" not in findings(train=loss, acc=right + 0.2)  # many classes, well predicted
    assert "chance" not in findings(train=loss + 0.2, acc=right)
    assert "chance" not in findings(train=loss)


def test_a_rate_that_is_gone_before_the_end():
    rate = np.concatenate([np.full(50, 0.1), np.zeros(150)])
    found = findings(train=noisy(decay(2.3, 1.8, 200), 0.01), lr=rate)["rate_gone"]
    assert "the last 75 % of the training teach nothing" in found.sentence
    assert "lr 0.1 at most, 0 from step 255 on" in found.evidence
    assert found.certain


@pytest.mark.parametrize(
    "rate",
    [
        0.1 * (1 + np.cos(np.linspace(0, np.pi, 200))) / 2,
        np.repeat([0.1, 0.01, 0.001, 0.0001], 50),
        0.1 * 0.95 ** np.arange(100),
        np.linspace(0.1, 0, 100),
    ],
)
def test_schedules_are_sound(rate):
    assert "rate_gone" not in findings(train=SOUND, lr=rate)


def test_a_loss_that_hardly_falls():
    found = findings(train=noisy(np.linspace(2.32, 2.29, 200), 0.02), lr=np.full(200, 1e-5))["flat"]
    assert "cannot tell these apart" in found.sentence
    assert found.remedy.startswith("lr=0.0001  # was 1e-05")
    assert not found.certain


def test_a_loss_whose_fall_noise_may_hide_is_not_called_flat():
    for seed in range(20):
        assert "flat" not in findings(train=noisy(np.linspace(1.0, 0.97, 40), 0.3, seed))


@pytest.mark.parametrize(
    "others",
    [
        {"val": np.linspace(2.3, 1.9, 20)},
        {"acc": noisy(np.linspace(0.85, 0.87, 20), 0.01)},
        {"val_acc": np.linspace(0.1, 0.3, 20)},
    ],
)
def test_a_flat_loss_next_to_something_that_is_learned(others):
    flat = noisy(np.full(200, 2.3), 0.02)
    assert "flat" in findings(train=flat)
    assert "flat" not in findings(train=flat, **others)


def test_a_validation_loss_that_leaps():
    late = np.tile([0.8, 2.4], 10)
    found = findings(train=noisy(decay(2.3, 0.6, 200), 0.05), val=late)["leaps"]
    assert "typically by a factor of 3" in found.sentence
    assert "from 0.8 to 2.4; start 2." in found.evidence
    assert "leaps" not in findings(train=SOUND, val=late / 20)  # small already
    assert "leaps" not in findings(train=SOUND, val=noisy(np.full(20, 0.8), 0.05))


def test_means_of_batches_that_leap():
    """Losses of single batches may leap; means of 16 and more may not."""
    rng = np.random.default_rng(0)
    slow = np.tile(np.repeat([0.8, 2.4], 16), 20)
    assert "leaps" in findings(train=slow)
    assert "leaps" not in findings(train=np.exp(rng.normal(size=640)))
