"""Loss and gradient of pairs of head and loss against the logit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from mlr.analysis.formatting import display_pair
from mlr.analysis.plots.style import canvas, legend, pair_styles
from mlr.core.checks import InputError
from mlr.objectives import Objective
from mlr.objectives.display import REACH, curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HIGHEST, _STEEPEST = 8.0, 3.0
"""A larger loss, or |dL/dz|, of one of several pairs leaves its axes."""


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
        both = list(found.values())
        axes[0].set_ylim(*_shown([[one.losses for one in own] for own in both], _HIGHEST))
        axes[1].set_ylim(*_shown([[one.gradient for one in own] for own in both], _STEEPEST))
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


def _shown(found: Sequence[Sequence[Tensor]], most: float) -> tuple[float, float]:
    """Choose limits of the curves of each pair: of several, one that is far larger is cut off."""
    values = np.concatenate([curve.numpy() for own in found for curve in own])
    low, high = values.min(), values.max()
    if len(found) > 1:
        low, high = max(low, -most), min(high, most)
    room = 0.05 * (high - low) or 1.0
    return low - room, high + room
