"""Predictions of a regression against its one feature or against the targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mlr.figures import canvas

if TYPE_CHECKING:
    from mlr.figures.seen import Array, Moment

CAPTION = (
    "One feature: the prediction over the training points; the band is two predicted standard "
    "deviations, of heads that predict one. More features: targets against predictions, on the "
    "diagonal where they agree. The first target where there are several."
)
_GRID = 121


@dataclass(frozen=True)
class RegressionFit:
    """Points and a curve."""

    labels: tuple[str, str]  # of the axes
    grid: Array  # x of the curve (G,)
    mean: Array  # the curve (G,)
    spread: Array | None  # predicted standard deviation along it (G,); None if none is
    x: Array  # of the points (M,)
    y: Array  # of the points (M,)

    @property
    def limits(self) -> tuple[float, float]:
        """Limits of y over points and curve."""
        every = np.concatenate([self.y, self.mean])
        return canvas.padded(every.min(), every.max())


def collect(moment: Moment) -> RegressionFit | None:
    """Collect the fit; None for several labels, and for classes of several features or outputs."""
    import torch

    data, seen = moment.experiment.data, moment.train
    one = int(np.prod(data.feature_shape)) == 1
    if data.multilabel or (data.classes is not None and not (one and seen.logits.shape[1] == 1)):
        return None
    targets, head = moment.told(seen.targets)[:, 0], moment.experiment.objective.head
    if not one:
        means = moment.points(seen.predictions)[:, 0]
        ends = np.array([min(means.min(), targets.min()), max(means.max(), targets.max())])
        return RegressionFit(("prediction y", "target t"), ends, ends, None, means, targets)
    x = seen.features.reshape(-1)
    grid = np.linspace(*canvas.padded(x.min(), x.max()), _GRID)
    features = torch.from_numpy(grid).reshape(-1, *data.feature_shape)
    predictions = head(moment.network(features)).double()
    spread = head.std(predictions)[:, 0].numpy() if moment.experiment.spread else None
    if spread is not None and data.target_scaling is not None:
        spread = spread * data.target_scaling.divisor[0]
    points = moment.points(predictions.numpy())[:, 0]
    return RegressionFit(
        ("feature x", "prediction y and target t"), grid, points, spread, x, targets
    )


def frames(moments: Sequence[Moment], titles: Sequence[str]) -> list[canvas.Figure]:
    """Draw moments of one run with the same axes; none if the figure does not suit it."""
    found = [one for one in map(collect, moments) if one is not None]
    if not found:
        return []
    x = canvas.over([(float(one.grid[0]), float(one.grid[-1])) for one in found])
    y = canvas.over([one.limits for one in found])
    return [draw(one, title, x, y) for one, title in zip(found, titles, strict=True)]


def draw(
    found: RegressionFit,
    title: str,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
) -> canvas.Figure:
    """Draw the points, and the curve on top; `x` and `y` are limits if not its own."""
    along = found.labels[0] == "feature x"
    keys = [("● training", canvas.SKY), ("— " + ("prediction" if along else "y = t"), canvas.WRONG)]
    if found.spread is not None:
        keys.append(("▬ ± 2σ predicted", canvas.ORANGE))
    figure = canvas.new_figure(title, keys)
    axes = canvas.new_axes(
        figure,
        canvas.BODY,
        x=x or (float(found.grid[0]), float(found.grid[-1])),
        y=y or found.limits,
        labels=found.labels,
    )
    if found.spread is not None:
        low, high = found.mean - 2 * found.spread, found.mean + 2 * found.spread
        axes.fill_between(found.grid, low, high, color=canvas.ORANGE, alpha=0.35, linewidth=0)
    axes.plot(found.x, found.y, "o", color=canvas.SKY, markersize=3, alpha=0.7)
    axes.plot(found.grid, found.mean, color=canvas.WRONG, linewidth=2)
    return figure
