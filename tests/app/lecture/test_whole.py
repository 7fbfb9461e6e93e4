"""What is measured of the nine cells."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace

import numpy as np
import pytest

from mlr.app.lecture.whole import WINDOW, Nine


def run(right, stuck, wrong_gradient, accuracy):
    """A stand-in for a trained run, logged at every second update."""
    steps = 2.0 * np.arange(len(right))
    series = {
        # with its last point, of the whole split
        "accuracy/train": (np.append(steps, steps[-1] + 1), np.append(right, right[-1])),
        "stuck/fraction": (steps, np.array(stuck)),
        "logit_grad/wrong": (steps[:1], np.array([wrong_gradient])),
    }
    return SimpleNamespace(series=series, metrics={"accuracy/test": accuracy})


LEARNS = run([0.5] * 5 + [1.0] * 15, [0.0] * 20, 1.0, 0.9)
STUCK = run([0.25] * 20, [0.3] * 20, 3.0, 0.2)


def test_the_best_rate_and_the_worst_seed_count():
    nine = Nine.of([[STUCK, STUCK], [LEARNS, run([1.0] * 20, [0.0] * 20, 1.0, 0.8)]])
    # the first seed has WINDOW right batches in the end, the other from the start
    first, other = 2.0 * (5 + WINDOW - 1), 2.0 * (WINDOW - 1)
    assert nine.updates[1] == (first + other) / 2
    assert nine.accuracy == 0.8
    assert nine.left == 0


def test_the_start_is_that_of_all_runs():
    nine = Nine.of([[STUCK], [LEARNS]])
    assert nine.gradient == 2
    assert nine.without == pytest.approx(0.15 / (1 - 0.375))


def test_shares_are_of_one_batch():
    """The last accuracy is of the whole split, and no batch's."""
    other = run([0.25] * 20, [0.75] * 20, 3.0, 0.2)
    other.series["accuracy/train"][1][-1] = 0.9
    assert Nine.of([[other]]).left == 1


def test_a_pair_that_never_gets_there():
    nine = Nine.of([[STUCK]])
    assert nine.updates == (inf, inf)
    assert nine.left == pytest.approx(0.3 / 0.75)
