"""Style of the figures and their conversion to images: the only module with matplotlib's types.

TensorBoard's IMAGES page scales every image to 350 pixels by dropping or doubling pixels, so that
is a figure's width. Ticks take matplotlib the longest, so an axis has few, and legends are words
in the colours they explain.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mlr.core import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure

BLUE, VERMILLION, GREEN = palette.BLUE, palette.VERMILLION, palette.GREEN
PURPLE, ORANGE, SKY, GREY = palette.PURPLE, palette.ORANGE, palette.SKY, palette.GREY
INK = palette.INK
RIGHT, WRONG = BLUE, VERMILLION
CLASSES = (ORANGE, BLUE, GREEN, PURPLE, SKY, VERMILLION, GREY)
"""Colours of classes; the first two are furthest apart."""
Place = tuple[float, float, float, float]
"""Left, bottom, width and height of axes, as shares of a figure."""
WIDTH, HEIGHT, DPI = 3.5, 3.3, 100
DIVERGING = "RdBu_r"
BODY: Place = (0.155, 0.135, 0.815, 0.715)
"""Place of single axes."""
SMALL, NORMAL, LARGE = 7.8, 8.2, 9.4
_COLOURS = 96  # of an image: text stays smooth, and the file is a third as large
_TICKS = 4


def new_figure(title: str, keys: Sequence[tuple[str, str]] = (), height: float = HEIGHT) -> Figure:
    """Create a figure of a height in inches, with a title, and a legend of texts and colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    figure.text(0.02, 1 - 0.08 / height, title, size=LARGE, color=INK, va="top", weight="bold")
    x, renderer = 0.022, canvas.get_renderer()
    for text, colour in keys:
        word = figure.text(x, 1 - 0.30 / height, text, size=NORMAL, color=colour, va="top")
        x += (word.get_window_extent(renderer).width + 9) / (WIDTH * DPI)
    return figure


def new_axes(
    figure: Figure,
    place: Place,
    *,
    x: tuple[float, float],
    y: tuple[float, float],
    labels: tuple[str, str] = ("", ""),
    ticks: tuple[Sequence[float] | None, Sequence[float] | None] = (None, None),
) -> Axes:
    """Add axes with limits x and y, few ticks, None for round numbers, and a light grid."""
    axes = figure.add_axes(place)
    xs, ys = (
        round_numbers(limits) if own is None else own
        for limits, own in zip((x, y), ticks, strict=True)
    )
    axes.set_xticks(xs)
    axes.set_yticks(ys)
    axes.set(xlim=x, ylim=y)
    axes.tick_params(labelsize=SMALL, length=0, colors=INK)
    axes.grid(color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(labels[0], size=NORMAL, color=INK, labelpad=2)
    axes.set_ylabel(labels[1], size=NORMAL, color=INK, labelpad=2)
    return axes


def new_picture(figure: Figure, place: Place, values: NDArray, **settings: Any) -> Axes:
    """Add axes with an image and without ticks, by matplotlib's imshow."""
    axes = figure.add_axes(place)
    axes.set_axis_off()
    axes.imshow(values, interpolation="nearest", **settings)
    return axes


def write(
    on: Axes | Figure,
    x: float,
    y: float,
    words: str,
    colour: str = INK,
    anchor: tuple[str, str] = ("center", "center"),
    **settings: Any,
) -> None:
    """Write words in a small type: on axes at coordinates, or on a figure at shares of its size."""
    across, up = anchor
    on.text(x, y, words, **{"size": SMALL, "color": colour, "ha": across, "va": up, **settings})


def round_numbers(limits: tuple[float, float]) -> list[float]:
    """Choose about four round numbers between the limits."""
    from matplotlib.ticker import MaxNLocator

    low, high = limits
    found = MaxNLocator(_TICKS, steps=[1, 2, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return [float(value) for value in found if low - slack <= value <= high + slack]


def padded(low: float, high: float, share: float = 0.05) -> tuple[float, float]:
    """Widen limits a little; they never have the width 0."""
    room = share * (high - low) or max(1.0, abs(high))
    return low - room, high + room


def over(limits: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the limits that hold all of some."""
    return min(low for low, _ in limits), max(high for _, high in limits)


def png(figure: Figure) -> bytes:
    """Encode a figure as a PNG file of few colours."""
    from PIL import Image

    canvas: Any = figure.canvas
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    few = Image.fromarray(pixels).quantize(_COLOURS, Image.Quantize.FASTOCTREE, dither=0)  # type: ignore[arg-type]
    file = BytesIO()
    colours = few.getpalette() or []
    at = 3 * int(few.getpixel((0, 0)))  # type: ignore[arg-type]
    colours[at : at + 3] = [255] * 3  # the background, averaged with similar colours
    few.putpalette(colours)
    few.save(file, "png")
    return file.getvalue()
