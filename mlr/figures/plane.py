"""Decision regions in the plane of two features, and the training examples."""

from __future__ import annotations

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
    across, up = (np.linspace(*ends, 2 * CELLS + 1)[1::2] for ends in (x, y))  # middles of cells
    grid = np.stack(np.meshgrid(across, up), -1).reshape(-1, *data.feature_shape)
    logits = moment.network(torch.from_numpy(grid))
    head = moment.experiment.objective.head
    some = slice(0, _MOST_POINTS)
    return DecisionPlane(
        x,
        y,
        head.classify(logits).numpy().reshape(CELLS, CELLS),
        sureness(head(logits).double().numpy()).reshape(CELLS, CELLS),
        points[some],
        seen.labels[some],
        seen.right[some],
        tuple(moment.class_names(10)),
    )


def sureness(predictions: Array) -> Array:
    """Map predictions y (…, K) to sureness (…): 0 if all classes are equal, 1 if one has all."""
    y = predictions.clip(0, 1)
    if y.shape[-1] == 1:
        return np.abs(2 * y[..., 0] - 1)
    even = 1 / y.shape[-1]
    return ((y.max(-1) - even) / (1 - even)).clip(0, 1)


def boundary(classes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Find the cells (rows, columns) whose upper or right neighbour has another class."""
    found = np.zeros(classes.shape, bool)
    found[:-1] |= classes[:-1] != classes[1:]
    found[:, :-1] |= classes[:, :-1] != classes[:, 1:]
    return found


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
    colours[boundary(found.classes)] = 0.2
    axes.imshow(
        colours, extent=(*found.x, *found.y), origin="lower", aspect="auto", interpolation="nearest"
    )
    axes.grid(False)
    for number, colour in enumerate(canvas.CLASSES[: len(found.names)]):
        own = found.labels == number
        axes.plot(
            *found.points[own & found.right].T, "o", color=colour, ms=3.6, mec="white", mew=0.5
        )
        for edge, width in ((canvas.INK, 2.8), (colour, 1.4)):
            axes.plot(*found.points[own & wrong].T, "x", color=edge, ms=6, mew=width)
    return figure
