"""The exact formulas, one for each legal pair: the heart of mlr, and its table of types.

Each formula computes losses and dL/dz of logits directly, arranged so that nothing
cancels where the result is small. `elementwise`, `simplex` and `gaussian` hold the arithmetic,
`steps` the forms for speed; the further heads and losses have a table of their own, `further`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mlr.heads import ClippedLinear, Gaussian, Head, Linear, Sigmoid, Softmax
from mlr.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    GaussianNll,
    Loss,
    Matching,
    SquaredError,
)
from mlr.objectives import elementwise as e
from mlr.objectives import gaussian as g
from mlr.objectives import simplex as s
from mlr.objectives import steps
from mlr.objectives.formula import Formula
from mlr.objectives.further import FURTHER, Entry


def _formula(losses: Any, gradient: Any, step: Formula | None = None, **further: Any) -> Formula:
    """A formula of functions that take `pairs`: in float64 for float32, in pairs for float64.

    Args:
        losses: (z, t, pairs) → (…).
        gradient: (z, t, pairs) → (…, K).
        step: what a training step calls instead.
        **further: of `Formula`.
    """
    accurate, precise = (
        Formula(partial(losses, pairs=pairs), partial(gradient, pairs=pairs))
        for pairs in (False, True)
    )
    of_step = step or accurate
    return Formula(of_step.losses, of_step.gradient, accurate=accurate, precise=precise, **further)


LINEAR_SE = _formula(
    e.linear_se_losses, e.linear_se_gradient, quick=steps.linear_se_quick, always_quick=True
)
CLIPPED_SE = _formula(e.clipped_se_losses, e.clipped_se_gradient)
CLIPPED_BCE = _formula(e.clipped_bce_losses, e.clipped_bce_gradient)
CLIPPED_CE = _formula(e.clipped_ce_losses, e.clipped_ce_gradient)
CLIPPED_MATCHING = _formula(e.clipped_matching_losses, e.clipped_matching_gradient)
SIGMOID_SE = _formula(
    e.sigmoid_se_losses,
    e.sigmoid_se_gradient,
    Formula(steps.sigmoid_se_losses, steps.sigmoid_se_gradient),
    hard=Formula(steps.sigmoid_se_losses_hard, steps.sigmoid_se_gradient_hard),
    doubtful=e.sigmoid_doubtful,
)
SIGMOID_BCE = _formula(
    e.sigmoid_bce_losses,
    e.sigmoid_bce_gradient,
    Formula(steps.sigmoid_bce_losses, steps.sigmoid_bce_gradient),
    hard=Formula(steps.sigmoid_bce_losses_hard, steps.sigmoid_bce_gradient_hard),
    doubtful=e.sigmoid_doubtful,
    quick=steps.sigmoid_bce_quick,
)
SIGMOID_CE = _formula(
    e.sigmoid_ce_losses,
    e.sigmoid_ce_gradient,
    Formula(steps.sigmoid_ce_losses, steps.sigmoid_ce_gradient),
    hard=SIGMOID_BCE.hard,
    doubtful=e.sigmoid_ce_doubtful,
)
SOFTMAX_SE = _formula(
    s.softmax_se_losses, s.softmax_se_gradient, steady=False, doubtful=s.softmax_doubtful
)
SOFTMAX_BCE = _formula(
    s.softmax_bce_losses, s.softmax_bce_gradient, steady=False, doubtful=s.softmax_doubtful
)
SOFTMAX_CE = _formula(
    s.softmax_ce_losses,
    s.softmax_ce_gradient,
    Formula(steps.softmax_ce_losses, steps.softmax_ce_gradient),
    doubtful=s.softmax_ce_doubtful,
    quick=steps.softmax_ce_quick,
    one_hot=True,
)

EXACT: dict[tuple[type[Head], type[Loss]], Entry] = {
    (Linear, SquaredError): LINEAR_SE,
    (ClippedLinear, SquaredError): CLIPPED_SE,
    (ClippedLinear, BinaryCrossEntropy): CLIPPED_BCE,
    (ClippedLinear, CrossEntropy): CLIPPED_CE,
    (Sigmoid, SquaredError): SIGMOID_SE,
    (Sigmoid, BinaryCrossEntropy): SIGMOID_BCE,
    (Sigmoid, CrossEntropy): SIGMOID_CE,
    (Softmax, SquaredError): SOFTMAX_SE,
    (Softmax, BinaryCrossEntropy): SOFTMAX_BCE,
    (Softmax, CrossEntropy): SOFTMAX_CE,
    # a head's matching loss is, for the classic three, the loss everyone knows
    (Linear, Matching): LINEAR_SE,
    (ClippedLinear, Matching): CLIPPED_MATCHING,
    (Sigmoid, Matching): SIGMOID_BCE,
    (Softmax, Matching): SOFTMAX_CE,
    # every other pair, and all pairs of the other heads
    **FURTHER,
}
EXACT[Gaussian, GaussianNll] = g.GAUSSIAN_NLL
# a head that gives no standard deviation has σ = 1: the squared error, and a constant
EXACT |= {
    (head, GaussianNll): g.of_deviation_one(formula)
    for (head, loss), formula in EXACT.items()
    if loss is SquaredError and isinstance(formula, Formula)
}
