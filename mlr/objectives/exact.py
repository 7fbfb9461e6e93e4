"""The exact formulas, one for each legal pair: the heart of mlr, and its only table of types.

Each formula computes losses and dL/dz of logits directly, arranged so that nothing
cancels where the result is small. `elementwise` and `simplex` hold the arithmetic.
"""

from __future__ import annotations

from functools import partial

from mlr.heads import ClippedLinear, Head, Linear, Sigmoid, Softmax
from mlr.losses import BinaryCrossEntropy, CrossEntropy, Loss, Matching, SquaredError
from mlr.objectives import elementwise as e
from mlr.objectives import simplex as s
from mlr.objectives.formula import Formula
from mlr.objectives.further import FURTHER, Entry

LINEAR_SE = Formula(e.linear_se_losses, e.linear_se_gradient, wide=False)
CLIPPED_SE = Formula(e.clipped_se_losses, e.clipped_se_gradient, wide=False)
CLIPPED_BCE = Formula(e.clipped_bce_losses, e.clipped_bce_gradient)
CLIPPED_CE = Formula(e.clipped_ce_losses, e.clipped_ce_gradient)
CLIPPED_MATCHING = Formula(e.clipped_matching_losses, e.clipped_matching_gradient, wide=False)
SIGMOID_SE = Formula(
    e.sigmoid_se_losses,
    e.sigmoid_se_gradient,
    hard=Formula(e.sigmoid_se_losses_hard, e.sigmoid_se_gradient_hard),
    precise=Formula(e.sigmoid_se_losses_precise, e.sigmoid_se_gradient_precise),
)
SIGMOID_BCE = Formula(
    e.sigmoid_bce_losses,
    e.sigmoid_bce_gradient,
    hard=Formula(e.sigmoid_bce_losses_hard, e.sigmoid_bce_gradient_hard),
    precise=Formula(e.sigmoid_bce_losses, e.sigmoid_bce_gradient_precise),
)
SIGMOID_CE = Formula(
    e.sigmoid_ce_losses,
    e.sigmoid_ce_gradient,
    hard=SIGMOID_BCE.hard,
    precise=Formula(e.sigmoid_ce_losses, e.sigmoid_ce_gradient_precise),
)
SOFTMAX_SE = Formula(
    s.softmax_se_losses,
    s.softmax_se_gradient,
    steady=False,
    precise=Formula(s.softmax_se_losses_precise, partial(s.softmax_se_gradient, precise=True)),
)
SOFTMAX_BCE = Formula(
    s.softmax_bce_losses,
    s.softmax_bce_gradient,
    steady=False,
    precise=Formula(
        partial(s.softmax_bce_losses, precise=True), partial(s.softmax_bce_gradient, precise=True)
    ),
)
SOFTMAX_CE = Formula(
    s.softmax_ce_losses,
    s.softmax_ce_gradient,
    precise=Formula(partial(s.softmax_ce_losses, precise=True), s.softmax_ce_gradient_precise),
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
