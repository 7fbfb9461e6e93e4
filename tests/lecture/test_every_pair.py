"""Measurements of every head with every loss."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mlr.lecture.slides.every_pair import (
    WINDOW,
    PairMeasurements,
    _of_gradients,
    _sentence,
    mean_direction,
)


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
    nine = PairMeasurements.of(
        [[STUCK, STUCK], [LEARNS, run([1.0] * 20, [0.0] * 20, 1.0, 0.8)]], 0.5
    )
    # the first seed has WINDOW right batches in the end, the other from the start
    first, other = 2.0 * (5 + WINDOW - 1), 2.0 * (WINDOW - 1)
    assert nine.updates[1] == (first + other) / 2
    assert nine.accuracy == 0.8
    assert nine.direction == 0.5
    assert nine.left == 0


def test_the_start_is_that_of_all_runs():
    nine = PairMeasurements.of([[STUCK], [LEARNS]], 1.0)
    assert nine.gradient == 2
    assert nine.without == pytest.approx(0.15 / (1 - 0.375))


def test_shares_are_of_one_batch():
    """The last accuracy is of the whole split, and no batch's."""
    other = run([0.25] * 20, [0.75] * 20, 3.0, 0.2)
    other.series["accuracy/train"][1][-1] = 0.9
    assert PairMeasurements.of([[other]], 1.0).left == 1


def test_a_pair_that_never_gets_there():
    nine = PairMeasurements.of([[STUCK]], 1.0)
    assert nine.updates == (inf, inf)
    assert nine.left == pytest.approx(0.3 / 0.75)


LOGITS = torch.tensor([[3.0, -1.0, 0.5], [0.5, -2.0, -1.0]], dtype=torch.float64)
"""Of class 1: predicted wrongly; of class 2: predicted wrongly, only the first output inside."""


def by_hand(gradients, errors):
    """Mean cosine of vectors, those of length 0 left out."""
    pairs = [(g, e) for g, e in zip(gradients, errors, strict=True) if np.linalg.norm(g) > 0]
    return np.mean([g @ e / np.linalg.norm(g) / np.linalg.norm(e) for g, e in pairs])


def test_the_direction_is_a_cosine_with_the_error():
    z, t = LOGITS.numpy(), np.eye(3)[[1, 2]]
    starts = [(LOGITS, torch.tensor([1, 2]))]
    y = 1 / (1 + np.exp(-z))
    expected = by_hand((y - t) * y * (1 - y), y - t)
    assert mean_direction("sigmoid", "se", starts) == pytest.approx(expected, rel=1e-12)
    # cross-entropy of the right class only: it never pulls the wrong outputs down
    assert mean_direction("sigmoid", "ce", starts) == pytest.approx(
        by_hand(t * (y - 1), y - t), rel=1e-12
    )
    assert mean_direction("sigmoid", "bce", starts) == pytest.approx(1, rel=1e-12)
    clipped = z.clip(0, 1)
    inside = (z >= 0) & (z <= 1)
    expected = by_hand((clipped - t) * inside, clipped - t)
    assert mean_direction("clipped_linear", "se", starts) == pytest.approx(expected, rel=1e-12)


def test_right_examples_and_those_without_gradient_do_not_count():
    right = (torch.tensor([[4.0, 0.0, 0.0]]), torch.tensor([0]))
    dead = (torch.tensor([[4.0, -1.0, -2.0]]), torch.tensor([1]))
    starts = [(LOGITS, torch.tensor([1, 2]))]
    for pair in (("clipped_linear", "se"), ("clipped_linear", "bce")):
        assert mean_direction(*pair, [*starts, right, dead]) == mean_direction(*pair, starts)


def nine(**changed):
    """Build nine pairs: clipped + BCE has the largest gradient and never learns."""
    logs = [("sigmoid", "bce"), ("softmax", "bce"), ("softmax", "ce")]
    cells = {}
    for head in ("clipped_linear", "sigmoid", "softmax"):
        for loss in ("se", "bce", "ce"):
            dead = 0.0 if head != "clipped_linear" else 0.86 if loss == "ce" else 0.24
            learns = (head, loss) in logs
            cells[head, loss] = PairMeasurements(
                gradient=1.2 if learns else 0.1,
                without=dead,
                direction=1.0 if learns else 0.3,
                left=1.0 if dead else 0.0,
                updates=(86, 500) if learns else (inf, inf),
                accuracy=0.95 if learns else 0.1,
            )
    cells["clipped_linear", "bce"] = replace(cells["clipped_linear", "bce"], gradient=15.62)
    return cells | {tuple(name.split("__")): cell for name, cell in changed.items()}


def held(cells):
    return {claim.text.partition(":")[0]: claim.holds for claim in _of_gradients(cells)}


def test_the_size_of_the_gradient_alone_does_not_decide():
    sentence = _sentence(nine())
    for shown in ("its size", "direction", "15.62", "never", "24 %", "86 %", "cosine of only 0.30"):
        assert shown in sentence
    assert all(held(nine()).values())


def test_claims_of_the_nine_cells_can_fail():
    learner = replace(nine()["clipped_linear", "bce"], updates=(86, inf))
    assert not held(nine(clipped_linear__bce=learner))["size alone does not decide"]
    askew = replace(nine()["softmax", "ce"], direction=0.5)
    assert not held(nine(softmax__ce=askew))["direction"]
    aligned = replace(nine()["sigmoid", "ce"], direction=0.9)
    assert not held(nine(sigmoid__ce=aligned))["and ≤ 0.4 for clipped outputs and for sigmoid + CE"]
