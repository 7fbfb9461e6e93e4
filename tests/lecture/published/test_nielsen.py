from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlr.lecture.published.nielsen import ComparedSeries, _costs, _counts, compare_curves
from mlr.lecture.published.stored_runs import (
    SERIES,
    STORED_RUNS,
    ScaledImages,
    SideBySide,
    initial_parameters,
    orders,
    replay,
)
from tests.lecture.published.support import images, need_curves, need_mnist

TINY = tuple(
    replace(curve, hidden=hidden, images=40, epochs=2, earlier=earlier, stored=SERIES)
    for curve, hidden, earlier in zip(STORED_RUNS[:3], (3, 5, 4), (0, 0, 2), strict=True)
)


def test_there_are_eight_runs_and_their_orders_follow_one_another():
    assert len(set(STORED_RUNS)) == 8
    assert {len(curve.draws) - 1 for curve in STORED_RUNS if curve.earlier == 30} == {1}
    first, second = orders(50, 0, 2)
    assert sorted(first) == sorted(second) == list(range(50))
    assert [list(order) for order in orders(50, 1, 1)] == [second]


def test_the_order_is_that_of_python_2():
    """Its shuffle swapped with int(random() · (i + 1)), from the end."""
    generator, expected = random.Random(12345678), list(range(6))
    for i in reversed(range(1, 6)):
        j = int(generator.random() * (i + 1))
        expected[i], expected[j] = expected[j], expected[i]
    assert next(orders(6, 0, 1)) == expected


def test_each_initialisation_redraws_all():
    once, again = STORED_RUNS[0], STORED_RUNS[1]
    generator = np.random.RandomState(12345678)
    drawn = generator.randn(30 + 10 + 30 * 784 + 10 * 30 + 30)
    np.testing.assert_array_equal(initial_parameters(once).hidden_bias, drawn[:30])
    weights = initial_parameters(once).hidden_weight.ravel()
    np.testing.assert_array_equal(weights, drawn[40 : 40 + 23520] / 28)
    np.testing.assert_array_equal(initial_parameters(again).hidden_bias, drawn[-30:])
    large = initial_parameters(replace(once, draws=("large",)))
    np.testing.assert_array_equal(large.output_weight.ravel(), drawn[40 + 23520 : -30])


def plain(curve, data):
    """The same run by torch's autograd and its own loss, alone."""
    b1, b2, w1, w2 = (torch.from_numpy(part).requires_grad_() for part in initial_parameters(curve))

    def logits(pixels):
        return torch.sigmoid(pixels @ w1.T + b1) @ w2.T + b2

    def loss(part):
        return torch.nn.functional.binary_cross_entropy_with_logits(
            logits(part.pixels), part.targets, reduction="none"
        ).sum(1)

    found = {name: [] for name in SERIES}
    for order in orders(curve.images, curve.earlier, curve.epochs):
        for batch in torch.tensor(order).split(10):
            part = ScaledImages(data["train"].pixels[batch], data["train"].targets[batch], batch)
            decay = curve.decay / (2 * curve.images) * ((w1**2).sum() + (w2**2).sum())
            gradients = torch.autograd.grad(loss(part).mean() + decay, (b1, b2, w1, w2))
            with torch.no_grad():
                for parameter, gradient in zip((b1, b2, w1, w2), gradients, strict=True):
                    parameter -= curve.rate * gradient
        for split, part in (("evaluation", data[curve.evaluation]), ("training", data["train"])):
            squares = (w1**2).sum() + (w2**2).sum()
            cost = loss(part).mean() + curve.decay / (2 * len(part)) * squares
            right = (logits(part.pixels).argmax(1) == part.labels).sum()
            found[f"{split} cost"].append(cost.item())
            found[f"{split} count"].append(right.item())
    return found


def test_runs_side_by_side_are_each_as_if_alone():
    splits = {"train": images(40), "val": images(30, seed=1)}
    updates = []
    found = replay(TINY, splits, None, updates.append)
    assert sorted(updates) == [4, 4, 8, 8]  # an epoch of one run, and of two that see the same
    data = {name: ScaledImages.of(split) for name, split in splits.items()}
    for curve in TINY:
        alone = plain(curve, data)
        for name in SERIES:
            assert found[curve][name] == pytest.approx(alone[name], rel=1e-12), (curve, name)


def test_an_interrupt_does_not_wait_for_the_others():
    """Two programs: the first is of two runs and is interrupted, the other would never end."""
    first = [replace(curve, earlier=2) for curve in TINY[:2]]
    endless = replace(TINY[0], epochs=10**9)

    def interrupt(updates):
        if updates == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay([*first, endless], {"train": images(40), "val": images(30)}, None, interrupt)


def test_outputs_listen_to_their_own_run_only():
    network, data = SideBySide(TINY[:2]), ScaledImages.of(images(10))
    network.update(data.pixels, data.targets)
    assert network.output_weight[network.units[0], 10:].abs().max() == 0
    assert network.output_weight[network.units[1], :10].abs().max() == 0


def test_a_difference_is_reported():
    equal = ComparedSeries(STORED_RUNS[0], "training cost", [1.0, 0.5], [1.0, 0.5])
    off = equal._replace(ours=[1.0, 0.5 + 1e-8])
    assert _costs([equal]).holds
    assert not _costs([equal, off]).holds
    assert "off by 10⁻⁸" in _costs([equal, off]).measured
    counts = ComparedSeries(STORED_RUNS[2], "evaluation count", [9270, 9300], [9270, 9301])
    assert not _counts([counts]).holds
    assert _counts([counts]).measured == "1 of 2 counts of right images are equal"


@pytest.mark.slow
@pytest.mark.parametrize(("large", "epochs"), [(False, 25), (True, 1)])
def test_the_stored_curves_come_again(monkeypatch, large, epochs):
    """The first epochs; `lecture.py published nielsen_curves` makes all of them."""
    need_mnist(monkeypatch)
    need_curves(monkeypatch)
    curves = [curve for curve in STORED_RUNS if (curve.images > 1000) == large]
    answer = compare_curves(curves, epochs)
    assert [claim for claim in answer.claims if not claim.holds] == []
