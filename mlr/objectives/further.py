"""The table of the further pairs: all but those of the classic heads and losses with each other.

Where a loss has a scalar, a function of head and loss stands for the formula.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from mlr.heads import (
    ClippedLinear,
    ComplementaryLogLog,
    HardSigmoid,
    Head,
    Linear,
    Probit,
    Sigmoid,
    Softmax,
    Sparsemax,
)
from mlr.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    GeneralisedCrossEntropy,
    Hinge,
    Loss,
    Matching,
    SmoothedCrossEntropy,
    SquaredError,
)
from mlr.objectives import choices as c
from mlr.objectives import outputs as o
from mlr.objectives import sides as s
from mlr.objectives.costs import LOGARITHM, focal, generalised
from mlr.objectives.formula import Formula, TensorFunction

Entry: TypeAlias = Formula | Callable[[Any, Any], Formula]
"""A formula, or what makes it of a head and a loss."""


def _unchanged(formula: Formula) -> Formula:
    return formula


def _classic(
    sides: s.SidesOf, wrap: Callable[[Formula], Formula] = _unchanged
) -> dict[type[Loss], Entry]:
    return {
        SquaredError: wrap(o.squared(sides)),
        BinaryCrossEntropy: wrap(o.of_classes(sides, LOGARITHM, both=True)),
        CrossEntropy: wrap(o.of_classes(sides, LOGARITHM)),
    }


def _further(
    sides: s.SidesOf, wrap: Callable[[Formula], Formula] = _unchanged
) -> dict[type[Loss], Entry]:
    return {
        AbsoluteError: wrap(o.absolute(sides)),
        Hinge: wrap(o.hinge(sides)),
        Focal: lambda _, loss: wrap(o.of_classes(sides, focal(loss.gamma))),
        GeneralisedCrossEntropy: lambda _, loss: wrap(o.of_classes(sides, generalised(loss.q))),
        SmoothedCrossEntropy: lambda _, loss: wrap(
            o.of_classes(sides, LOGARITHM, weigh=loss.smoothed)
        ),
    }


def _matching(losses: TensorFunction, sides: s.SidesOf) -> dict[type[Loss], Entry]:
    return {Matching: Formula(losses, partial(o.error_gradient, sides), steady=False)}


ROWS: dict[type[Head], dict[type[Loss], Entry]] = {
    Linear: {Hinge: o.hinge(s.linear_sides)},
    ClippedLinear: _further(s.clipped_sides),
    Sigmoid: _further(s.sigmoid_sides),
    Softmax: {
        AbsoluteError: Formula(c.absolute_losses, c.absolute_gradient, steady=False),
        Hinge: Formula(c.hinge_losses, c.hinge_gradient, steady=False),
        Focal: lambda _, loss: c.of_classes(focal(loss.gamma)),
        GeneralisedCrossEntropy: lambda _, loss: c.of_classes(generalised(loss.q)),
        SmoothedCrossEntropy: lambda _, loss: c.of_classes(LOGARITHM, loss.smoothed),
    },
    HardSigmoid: {
        **_classic(s.hard_sigmoid_sides),
        **_further(s.hard_sigmoid_sides),
        **_matching(o.hard_sigmoid_matching_losses, s.hard_sigmoid_sides),
    },
    Probit: {
        **_classic(s.probit_sides),
        **_further(s.probit_sides),
        **_matching(o.probit_matching_losses, s.probit_sides),
    },
    ComplementaryLogLog: {
        **_classic(s.cloglog_sides),
        **_further(s.cloglog_sides),
        **_matching(o.cloglog_matching_losses, s.cloglog_sides),
    },
    Sparsemax: {
        **_classic(s.sparsemax_sides, c.projected),
        **_further(s.sparsemax_sides, c.projected),
        **_matching(c.sparsemax_matching_losses, s.sparsemax_sides),
    },
}

FURTHER: dict[tuple[type[Head], type[Loss]], Entry] = {
    (head, loss): entry for head, row in ROWS.items() for loss, entry in row.items()
}
