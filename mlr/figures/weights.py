"""Weights of the first layer as images."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING

import numpy as np

from mlr.figures import canvas

if TYPE_CHECKING:
    from mlr.figures.seen import Array, Moment

CAPTION = (
    "Weights of the first layer as images, all on one scale: red adds to the unit, blue takes "
    "from it, white is 0. A linear model has one image a class; of hidden units and filters the "
    "first 25 are shown."
)
MOST = 25
"""Most units that are shown."""


@dataclass(frozen=True)
class WeightImages:
    """Weights of units, as images."""

    layer: str  # name of the layer
    images: Array  # (units, height, width)
    count: int  # number of all units
    classes: tuple[str, ...]  # names of the units if they are classes, else empty

    @property
    def largest(self) -> float:
        """End of the scale: the largest |w| shown, 1 if all are 0."""
        return float(np.abs(self.images).max()) or 1.0


def collect(moment: Moment) -> WeightImages | None:
    """Collect the first layer's weights; None unless the data are images of one channel."""
    shape = moment.experiment.data.feature_shape
    if len(shape) < 2 or np.prod(shape[:-2]) != 1:
        return None
    name, values = next(iter(moment.parameters.items()))
    if not np.isfinite(values.numpy()).all():
        return None
    weights = values.double().numpy()
    if weights.ndim == 2 and weights.shape[1] == shape[-2] * shape[-1]:
        images = weights.reshape(-1, *shape[-2:])
    elif weights.ndim == 4 and weights.shape[1] == 1 and weights.shape[2] > 1:
        images = weights[:, 0]
    else:
        return None
    layers = {key.rpartition(".")[0] for key in moment.parameters}
    classes = len(layers) == 1 and moment.experiment.data.classes is not None
    names = moment.class_names(10) if classes else []
    if classes and len(images) == 1:
        names = [names[1] if moment.experiment.data.labels else "class 1"]
    return WeightImages(name.rpartition(".")[0] or name, images[:MOST], len(images), tuple(names))


def tiled(images: Array, columns: int, gap: float = np.nan) -> Array:
    """Tile images (units, h, w) in rows of `columns`, with one pixel of `gap` between them."""
    count, height, width = images.shape
    rows = -(-count // columns)
    sheet = np.full((rows * (height + 1) - 1, columns * (width + 1) - 1), gap)
    for number, image in enumerate(images):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = image
    return sheet


def draw(found: WeightImages, title: str) -> canvas.Figure:
    """Draw a sheet of images with a scale of colours."""
    count = len(found.images)
    some = f", {count} of {found.count} units" if count < found.count else ""
    figure = canvas.new_figure(title, [(f"layer {found.layer}{some}", canvas.INK)])
    columns = ceil(sqrt(count))  # about as many as rows
    limit = found.largest
    scale = {"cmap": canvas.DIVERGING, "vmin": -limit, "vmax": limit}
    sheet = tiled(found.images, columns)
    axes = canvas.new_picture(figure, (0.02, 0.12, 0.96, 0.73), sheet, **scale)
    height, width = found.images.shape[1:]
    for number, name in enumerate(found.classes[:count]):
        at = (number % columns * (width + 1) - 0.3, number // columns * (height + 1) - 0.3)
        canvas.write(axes, *at, name, anchor=("left", "top"))
    bar = np.linspace(-1, 1, 128)[None]
    canvas.new_picture(figure, (0.3, 0.045, 0.4, 0.03), bar, cmap=canvas.DIVERGING, aspect="auto")
    canvas.write(figure, 0.29, 0.06, f"{-limit:.2g}", anchor=("right", "center"))
    canvas.write(figure, 0.71, 0.06, f"{limit:+.2g}", anchor=("left", "center"))
    return figure
