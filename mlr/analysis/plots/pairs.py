"""Loss and gradient of pairs of head and loss against the logit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from mlr.analysis.formatting import display_pair
from mlr.analysis.plots.style import canvas, legend, pair_styles
from mlr.core.checks import InputError
from mlr.objectives import Objective
from mlr.objectives.display import REACH, PairCurve, curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HIGHEST = 8.0
"""A larger loss of one of several pairs leaves its axes."""


def pair_curves(pairs: str | Iterable[str | Objective]) -> Figure:
    """Draw loss and dL/dz of pairs against the logit of an example with target 1, and target 0.

    Of several outputs it is the logit of the first one, where the others are 0.

    Args:
        pairs: names, as in `sigmoid+se`, or objectives; one name alone will do.

    Raises:
        InputError: a name is no pair, or an illegal one.
    """
    every = [pairs] if isinstance(pairs, str) else list(pairs)
    objectives = [objective_of(one) if isinstance(one, str) else one for one in every]
    found = {
        f"{one.head.name}+{one.loss.name}": curves(one.head, one.kernel, one.outputs)
        for one in objectives
    }
    if not found:
        raise InputError("There is no pair to draw; name one, as in sigmoid+se.")
    styles = pair_styles(found)
    with canvas(2, 2, (4.0, 2.6), sharex=True, sharey="col") as (figure, axes):
        for row, target in enumerate((1, 0)):
            loss, gradient = axes[2 * row : 2 * row + 2]
            for pair, own in found.items():
                curve = next(one for one in own if one.target == target)
                name = display_pair(pair)
                loss.plot(curve.logits, curve.losses, **styles[pair].line, label=name)
                gradient.plot(curve.logits, curve.gradient, **styles[pair].line)
            loss.set(ylabel=f"loss, target {target}", xlim=(-REACH, REACH))
            gradient.set(ylabel=f"dL/dz, target {target}")
            gradient.axhline(0, color="black", linewidth=0.8, zorder=1)
        for one in axes[2:]:
            one.set_xlabel("logit z")
        axes[0].set_ylim(*_losses_shown(list(found.values())))
        legend(figure, axes[0].get_legend_handles_labels()[0])
        return figure


def objective_of(pair: str) -> Objective:
    """Return the objective of a name as `sigmoid+se`.

    Raises:
        InputError: it names no pair, or an illegal one.
    """
    head, plus, loss = pair.partition("+")
    if not (head and plus and loss):
        raise InputError(f"{pair} is no pair; write head+loss, as in sigmoid+se.")
    return Objective(head, loss, strict=False)


def _losses_shown(found: list[list[PairCurve]]) -> tuple[float, float]:
    """Choose limits: of several pairs, one whose loss is far larger would make the others flat."""
    values = np.concatenate([curve.losses for own in found for curve in own])
    top = values.max() if len(found) == 1 else min(values.max(), _HIGHEST)
    room = 0.05 * (top - values.min()) or 1.0
    return values.min() - room, top + room
