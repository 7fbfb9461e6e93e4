"""What is read off curves."""

from __future__ import annotations

import numpy as np
import pytest

from mlr.app.explain import course
from mlr.app.explain.facts import Facts
from tests.app.explain.made import falling, run


def facts(tmp_path, **curves):
    named = {key.replace("__", "/"): value for key, value in curves.items()}
    return Facts(run(tmp_path / "run", curves=falling() | named))


def test_one_odd_batch_is_no_peak_but_three_are(tmp_path):
    losses = np.full(20, 2.34)
    losses[5] = 100.0
    assert course.peak(facts(tmp_path / "a", loss__train=losses)) == pytest.approx(1.0)
    losses[4:7] = 23.4
    assert course.peak(facts(tmp_path / "b", loss__train=losses)) == pytest.approx(10.0)


def test_a_steady_fall_does_not_leap(tmp_path):
    smooth = facts(tmp_path / "a", loss__val=np.exp(-np.linspace(0, 5, 20)))
    assert course.leaps(smooth) == pytest.approx(0, abs=1e-6)
    up_and_down = np.tile([1.0, np.e], 10)
    leaps = course.leaps(facts(tmp_path / "b", loss__val=up_and_down))
    assert leaps == pytest.approx(1.0, rel=0.01)


def test_how_a_curve_falls(tmp_path):
    straight = course.fall(facts(tmp_path / "a", loss__val=np.linspace(2.0, 1.0, 21)[:20]))
    assert straight.steady == 1
    assert straight.late == pytest.approx(9 / 10)
    assert straight.whole == pytest.approx(0.475)
    done = course.fall(facts(tmp_path / "b", loss__val=2 * np.exp(-np.linspace(0, 10, 20)) + 1))
    assert done.late < 0.01


def test_few_validations_are_replaced_by_the_training_loss(tmp_path):
    few = np.full(24, np.nan)
    few[-1] = 1.0
    curves = {tag: np.resize(values, 24) for tag, values in falling().items()}
    losses = np.linspace(2.3, 2.0, 24)
    one = run(tmp_path / "run", curves=curves | {"loss/val": few, "loss/train": losses})
    assert course.fall(Facts(one)).steady == 1


def test_the_first_layer_beside_the_last(tmp_path):
    one = facts(tmp_path, **{"grad_norm/hidden1": np.full(20, 0.2)})
    assert one.layers == ["output", "hidden1"]  # in the order of the table
    assert course.layer_share(one) == pytest.approx(np.full(20, 5.0))
    assert len(course.layer_share(facts(tmp_path / "b"))) == 0


def test_who_only_gets_better_does_not_lead(tmp_path):
    better = np.linspace(0.1, 0.9, 20)
    fast = facts(tmp_path / "a", accuracy__train=better, accuracy__val=better)
    assert course.held_out_lead(fast) <= 0
    ahead = facts(tmp_path / "b", accuracy__train=np.full(20, 0.7), accuracy__val=np.full(20, 0.9))
    assert course.held_out_lead(ahead) == pytest.approx(0.2)
