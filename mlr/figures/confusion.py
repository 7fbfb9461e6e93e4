"""Confusion matrix of the validation examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlr.figures import canvas

if TYPE_CHECKING:
    from mlr.figures.seen import Moment

CAPTION = (
    "Validation examples by their class (rows) and the predicted one (columns). Colour is the "
    "share of the row, so that rare classes are seen; figures are counts."
)
MOST_CLASSES = 30
_WITH_COUNTS = 12
_LONGEST, _SHORT = 8, 3  # characters of a name


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts (K, K) of true × predicted classes, and the K names of the classes."""

    counts: NDArray[np.int64]
    names: tuple[str, ...]


def collect(moment: Moment) -> ConfusionMatrix | None:
    """Count classes; None for regression, very many classes, or without validation."""
    count, seen = moment.experiment.data.classes, moment.val
    if count is None or count > MOST_CLASSES or seen is None:
        return None
    if seen.labels is None or seen.decided is None:
        return None
    counts = np.bincount(seen.labels * count + seen.decided, minlength=count**2)
    names = tuple(moment.class_names(_LONGEST if count <= _WITH_COUNTS else _SHORT))
    return ConfusionMatrix(counts.reshape(count, count), names)


def draw(found: ConfusionMatrix, title: str) -> canvas.Figure:
    """Draw a square of shares with the counts in it."""
    counts = found.counts
    total, right = int(counts.sum()), int(np.trace(counts))
    about = f"validation: {right} of {total} right ({right / max(1, total):.1%})"
    figure = canvas.new_figure(title, [(about, canvas.INK)])
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    scale = {"cmap": "Blues", "vmin": 0, "vmax": 1, "aspect": "auto"}
    axes = canvas.new_picture(figure, (0.16, 0.14, 0.81, 0.71), shares, **scale)
    size = len(counts)
    every = 1 if size <= _WITH_COUNTS else 5
    for number in range(0, size, every):
        name = found.names[number]
        canvas.write(axes, number, size - 0.5 + 0.03 * size, name)
        # vertical, so that a name takes no more room than a number
        canvas.write(axes, -0.5 - 0.03 * size, number, name, rotation=90 * (len(name) > _SHORT))
    if size <= _WITH_COUNTS:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.5 else canvas.INK
            canvas.write(axes, column, row, str(counts[row, column]), colour)
    canvas.write(figure, 0.56, 0.035, "predicted class", size=canvas.NORMAL)
    canvas.write(figure, 0.045, 0.5, "true class", size=canvas.NORMAL, rotation=90)
    return figure
