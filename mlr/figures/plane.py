"""Decision regions in the plane of two features, and the training examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlr.figures import canvas

if TYPE_CHECKING:
    from mlr.figures.seen import Array, Moment

CAPTION = (
    "Which class is predicted where; the stronger the colour, the surer, and the dark line is the "
    "decision boundary. Points are training examples in the colour of their class, crosses those "
    "that are predicted wrongly."
)
CELLS = 160
"""Cells of the grid in each direction."""
_MOST_POINTS = 600
_STRENGTH = 0.55  # of the surest colour: points must stand out against it


@dataclass(frozen=True)
class DecisionPlane:
    """Predictions on a grid, and examples."""

    x: tuple[float, float]  # limits
    y: tuple[float, float]  # limits
    classes: NDArray[np.int64]  # predicted (CELLS, CELLS), rows from the lowest y up
    sureness: Array  # 0 where undecided to 1 where sure, likewise
    leads: Array  # (boundaries, CELLS, CELLS), of which each is 0 on a decision boundary
    points: Array  # training examples (M, 2)
    labels: NDArray[np.int64]  # their classes (M,)
    right: NDArray[np.bool_]  # True if predicted rightly (M,)
    names: tuple[str, ...]  # of the classes


def collect(moment: Moment) -> DecisionPlane | None:
    """Predict on the grid; None unless there are two features and few classes."""
    import torch

    data, seen = moment.experiment.data, moment.train
    count = data.classes
    flat = int(np.prod(data.feature_shape)) == 2
    if count is None or count > len(canvas.CLASSES) or not flat:
        return None
    assert seen.labels is not None
    assert seen.right is not None
    points = seen.features.reshape(len(seen.labels), 2)
    low, high = points.min(0), points.max(0)
    x, y = (canvas.padded(low[axis], high[axis], 0.08) for axis in (0, 1))
    across, up = (_middles(ends, CELLS) for ends in (x, y))
    grid = np.stack(np.meshgrid(across, up), -1).reshape(-1, *data.feature_shape)
    logits = moment.network(torch.from_numpy(grid))
    head = moment.experiment.objective.head
    y_hat = head(logits).double().numpy()
    some = slice(0, _MOST_POINTS)
    return DecisionPlane(
        x,
        y,
        head.classify(logits).numpy().reshape(CELLS, CELLS),
        sureness(y_hat).reshape(CELLS, CELLS),
        leads(y_hat).T.reshape(-1, CELLS, CELLS),
        points[some],
        seen.labels[some],
        seen.right[some],
        tuple(moment.class_names(10)),
    )


def _middles(ends: tuple[float, float], cells: int) -> Array:
    return np.linspace(*ends, 2 * cells + 1)[1::2]


def sureness(predictions: Array) -> Array:
    """Map predictions y (…, K) to sureness (…): 0 if all classes are equal, 1 if one has all."""
    y = predictions.clip(0, 1)
    if y.shape[-1] == 1:
        return np.abs(2 * y[..., 0] - 1)
    even = 1 / y.shape[-1]
    return ((y.max(-1) - even) / (1 - even)).clip(0, 1)


def leads(predictions: Array) -> Array:
    """Return by how much each class's y leads the largest other (N, K); y − ½ for one output."""
    count = predictions.shape[1]
    if count == 1:
        return predictions - 0.5
    others = [np.delete(predictions, own, 1).max(1) for own in range(count)]
    return predictions - np.stack(others, 1)


def frames(moments: Sequence[Moment], titles: Sequence[str]) -> list[canvas.Figure]:
    """Draw moments of one run, whose axes are those of its data; none if it does not suit it."""
    found = [collect(one) for one in moments]
    shown = zip(found, titles, strict=True)
    return [draw(one, title) for one, title in shown if one is not None]


def draw(found: DecisionPlane, title: str) -> canvas.Figure:
    """Draw the plane in the classes' colours."""
    from matplotlib.colors import to_rgb

    numbers = [str(number) for number in range(len(found.names))]
    word = "class " if list(found.names) == numbers and len(numbers) <= 4 else ""
    keys = list(zip((f"● {word}{name}" for name in found.names), canvas.CLASSES, strict=False))
    wrong = ~found.right
    figure = canvas.new_figure(title, [*keys, (f"✕ {wrong.sum()} wrong", canvas.INK)])
    axes = canvas.new_axes(
        figure, canvas.BODY, x=found.x, y=found.y, labels=("feature 0", "feature 1")
    )
    palette = np.array([to_rgb(colour) for colour in canvas.CLASSES])
    share = _STRENGTH * found.sureness[..., None]
    colours = 1 - share * (1 - palette[found.classes])
    axes.imshow(
        colours, extent=(*found.x, *found.y), origin="lower", aspect="auto", interpolation="nearest"
    )
    axes.grid(False)
    across, up = (
        _middles(ends, size)
        for ends, size in zip((found.x, found.y), found.classes.T.shape, strict=True)
    )
    for lead in found.leads:
        if lead.min() < 0 < lead.max():
            axes.contour(across, up, lead, [0], colors=canvas.INK, linewidths=1.3)
    for number, colour in enumerate(canvas.CLASSES[: len(found.names)]):
        own = found.labels == number
        axes.plot(
            *found.points[own & found.right].T, "o", color=colour, ms=3.6, mec="white", mew=0.5
        )
        for edge, width in ((canvas.INK, 2.8), (colour, 1.4)):
            axes.plot(*found.points[own & wrong].T, "x", color=edge, ms=6, mew=width)
    return figure
