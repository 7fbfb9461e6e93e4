"""Training examples of the largest loss, and their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlr.figures import canvas
from mlr.figures.weights import tiled

if TYPE_CHECKING:
    from mlr.figures.seen import Array, Moment

CAPTION = (
    "Training examples that are predicted wrongly, those of the largest loss first; of a "
    "regression, or where none is wrong, simply those of the largest loss. Each with target, "
    "prediction and the length of its gradient at the logits, ‖dL/dz‖."
)
MOST = 8
"""Examples that are shown."""
_COLUMNS = 4
_LONGEST, _WIDEST = 6, 16  # characters of a class's name, and below an image
_NUMBERS = 2  # features of an example that is no image


@dataclass(frozen=True)
class MostWrong:
    """Description of M examples."""

    wrong: int | None  # number of wrong examples; None for regression
    examples: int  # number of all examples
    features: Array  # (M, *feature_shape)
    targets: Sequence[str]  # as words
    predictions: Sequence[str]  # as words
    losses: Array  # L (M,)
    grads: Array  # ‖dL/dz‖₂ (M,)

    @property
    def images(self) -> Array | None:
        """Features as images (M, height, width) if they are images of one channel, else None."""
        shape = self.features.shape
        if len(shape) < 3 or np.prod(shape[1:-2]) != 1:
            return None
        return self.features.reshape(shape[0], *shape[-2:])


def most_wrong(losses: Array, right: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Choose at most `MOST` wrong examples, or of all if none is wrong, by falling loss."""
    chosen = np.arange(len(losses))
    if right is not None and not right.all():
        chosen = chosen[~right]
    return chosen[np.argsort(-losses[chosen], kind="stable")][:MOST]


def collect(moment: Moment) -> MostWrong:
    """Collect the most wrong of the training examples."""
    seen = moment.train
    chosen = most_wrong(seen.losses, seen.right)
    if seen.labels is None or seen.decided is None:
        wrong = None
        targets = [_numbers(row) for row in moment.told(seen.targets[chosen])]
        predictions = [_numbers(row) for row in moment.points(seen.predictions[chosen])]
    else:
        decided, wrong = seen.decided[chosen], int((seen.labels != seen.decided).sum())
        shares = seen.class_scores[chosen, decided]
        names = moment.class_names(_LONGEST)
        targets = [names[label] for label in seen.labels[chosen]]
        predictions = [
            f"{names[label]} ({share:.0%})" for label, share in zip(decided, shares, strict=True)
        ]
    numbers = (seen.losses[chosen], seen.grad_sizes[chosen])
    return MostWrong(wrong, len(seen.losses), seen.features[chosen], targets, predictions, *numbers)


def draw(found: MostWrong, title: str) -> canvas.Figure:
    """Draw images with words below them, or rows of a table."""
    about = f"largest losses of {found.examples} training examples"
    if found.wrong:
        about = f"{found.wrong} of {found.examples} training examples are wrong"
    elif found.wrong == 0:
        about = f"none of {found.examples} training examples is wrong; largest losses"
    images = found.images
    if images is None:
        return _table(found, title, about)
    figure = canvas.new_figure(title, [(about, canvas.INK)], height=2.9)
    low, high = float(images.min()), float(images.max())
    for number in range(len(images)):
        row, column = divmod(number, _COLUMNS)
        top = 0.83 - 0.42 * row
        if not column:
            sheet = tiled(images[number : number + _COLUMNS], _COLUMNS, gap=low)
            settings = {"cmap": "gray_r", "vmin": low, "vmax": high, "aspect": "auto"}
            canvas.new_picture(figure, (0.02, top - 0.25, 0.96, 0.25), sheet, **settings)
        x = 0.02 + 0.96 * (column + 0.5) / _COLUMNS
        words = f"{found.targets[number]} → {found.predictions[number]}"
        if len(words) > _WIDEST:  # no room for the share
            words = words.rpartition(" (")[0]
        canvas.write(figure, x, top - 0.285, words, canvas.WRONG if found.wrong else canvas.INK)
        canvas.write(figure, x, top - 0.345, f"‖dL/dz‖ {found.grads[number]:.2g}")
    return figure


def _table(found: MostWrong, title: str, about: str) -> canvas.Figure:
    figure = canvas.new_figure(title, [(about, canvas.INK)], height=2.9)
    flat = found.features.reshape(len(found.features), -1)
    more = ", …" if flat.shape[1] > _NUMBERS else ""
    columns = {
        "features": [_numbers(row[:_NUMBERS]) + more for row in flat],
        "target": found.targets,
        "prediction": found.predictions,
        "loss": [f"{value:.3g}" for value in found.losses],
        "‖dL/dz‖": [f"{value:.3g}" for value in found.grads],
    }
    # one text per column, whose lines are the rows
    for x, (head, words) in zip((0.022, 0.37, 0.505, 0.735, 0.865), columns.items(), strict=True):
        canvas.write(figure, x, 0.82, head, anchor=("left", "top"), weight="bold")
        canvas.write(figure, x, 0.745, "\n".join(words), anchor=("left", "top"), linespacing=1.75)
    return figure


def _numbers(row: Array) -> str:
    return ", ".join(f"{value:.3g}" for value in row)
