"""An objective in a notebook."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch.nn import functional as F

from mlr.objectives import KERNELS, Objective, display
from mlr.objectives.display import PairCurve, curves
from tests.looping import looped


def drawn(objective: Objective) -> list[PairCurve]:
    return curves(objective.head, objective.kernel, objective.outputs)


def test_curves_of_the_first_target():
    one, zero = drawn(Objective("sigmoid", "bce"))
    middle, end = 300, 600
    assert one.logits[middle] == 0
    assert one.losses[middle].item() == pytest.approx(math.log(2), rel=1e-15)
    assert one.gradient[middle] == -0.5
    assert zero.gradient[end].item() == pytest.approx(1 / (1 + math.exp(-6)), rel=1e-15)


def test_another_output_is_the_class_where_the_first_target_is_0():
    one, zero = drawn(Objective("softmax", "ce", outputs=3))
    assert one.losses[300].item() == pytest.approx(math.log(3), rel=1e-15)
    assert zero.losses[300].item() == pytest.approx(math.log(3), rel=1e-15)
    assert one.gradient[300].item() == pytest.approx(1 / 3 - 1, rel=1e-15)
    assert zero.gradient[300].item() == pytest.approx(1 / 3, rel=1e-15)


def test_a_mean_of_a_gaussian():
    one, zero = drawn(Objective("gaussian", "gaussian_nll"))
    assert one.gradient[300] == -1
    assert zero.gradient[300] == 0
    assert zero.losses[300].item() == pytest.approx(0.5 * math.log(2 * math.pi), rel=1e-15)


def test_what_a_notebook_shows():
    shown = Objective("clipped_linear", "matching")._repr_html_()
    assert shown.startswith("<div><b>head=clipped_linear loss=matching</b>")
    assert shown.count("<svg") == 1
    assert not re.search("<(script|!DOCTYPE)", shown)


def test_the_pair_is_drawn_whatever_weights_are_set(monkeypatch):
    """Weights of smoothed_ce are computed by another kernel, of smoothed targets."""
    drawn_kernels = []
    monkeypatch.setattr(display, "html", lambda head, loss, kernel, outputs: kernel)
    for weight in (None, [1.0, 2.0, 3.0]):
        drawn_kernels.append(Objective("softmax", "smoothed_ce", weight=weight)._repr_html_())
    z, t = torch.tensor([[2.0, 1.0, -1.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    plain, weighted = (kernel.losses(z, t).item() for kernel in drawn_kernels)
    expected = F.cross_entropy(z, torch.tensor([0]), label_smoothing=0.1).item()
    assert plain == weighted == pytest.approx(expected, rel=1e-6)


@looped("head, loss", [*KERNELS])
def test_every_pair_is_drawn(head, loss):
    objective = Objective(head(), loss(), strict=False)
    for curve in drawn(objective):
        assert curve.losses.isfinite().all()
        assert curve.gradient.isfinite().all()
