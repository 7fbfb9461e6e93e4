"""A stroke font of the ten digits, and its rendering into many small images at once.

A glyph is one or more strokes, a stroke a chain of straight lines and arcs in a box 1 wide and
1 high, y downward. Every digit has several ways of writing it, as people do.
"""

from __future__ import annotations

from math import pi
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

POINTS = 64
"""Points that stand for a glyph; about one for each 0.6 pixels of its length."""
SIZE = 28
"""Pixels along an image's side, as in MNIST."""

Arc = tuple[float, float, float, float, float, float]
"""Centre x and y, radius in x and in y, first and last angle in quarter turns from the right,
clockwise as seen."""
Piece = Arc | tuple[float, float]
Glyph = tuple[tuple[Piece, ...], ...]

_ARC_POINTS = 24
_RING: Piece = (0.5, 0.5, 0.34, 0.5, -1, 3)
_NARROW_RING: Piece = (0.5, 0.5, 0.25, 0.5, -1, 3)

# digit → its ways of writing → strokes → pieces
FONT: tuple[tuple[Glyph, ...], ...] = (
    (((_RING,),), ((_NARROW_RING,),)),
    (
        (((0.5, 0.0), (0.5, 1.0)),),
        (((0.3, 0.25), (0.55, 0.0), (0.55, 1.0)),),
        (((0.3, 0.25), (0.55, 0.0), (0.55, 1.0)), ((0.3, 1.0), (0.8, 1.0))),
    ),
    (
        (((0.5, 0.28, 0.32, 0.28, -2, 0.4), (0.18, 1.0), (0.85, 1.0)),),
        (((0.5, 0.28, 0.32, 0.28, -1.8, 0.6), (0.3, 0.88, 0.14, 0.1, 1, 4), (0.85, 1.0)),),
    ),
    (
        (((0.45, 0.26, 0.32, 0.26, -2, 1), (0.45, 0.74, 0.37, 0.26, -1, 2)),),
        (((0.2, 0.0), (0.8, 0.0), (0.45, 0.4), (0.45, 0.7, 0.37, 0.3, -1, 2)),),
    ),
    (
        (((0.65, 1.0), (0.65, 0.0), (0.15, 0.65), (0.9, 0.65)),),
        (((0.25, 0.0), (0.2, 0.5), (0.8, 0.5)), ((0.75, 0.05), (0.7, 1.0))),
    ),
    (
        (((0.8, 0.0), (0.28, 0.0), (0.22, 0.45), (0.45, 0.69, 0.36, 0.31, -1.3, 1.8)),),
        (
            ((0.28, 0.05), (0.25, 0.42), (0.45, 0.7, 0.34, 0.3, -1.2, 1.8)),
            ((0.28, 0.05), (0.8, 0.0)),
        ),
    ),
    (
        (((0.68, 0.0), (0.7, 0.7, 0.52, 0.7, -1.7, -2), (0.47, 0.7, 0.29, 0.3, 2, -2)),),
        (((0.45, 0.0), (0.25, 0.4), (0.48, 0.72, 0.28, 0.28, 2, -2)),),
    ),
    (
        (((0.15, 0.0), (0.85, 0.0), (0.4, 1.0)),),
        (((0.15, 0.0), (0.85, 0.0), (0.4, 1.0)), ((0.35, 0.5), (0.8, 0.5))),
        (((0.15, 0.15), (0.18, 0.0), (0.82, 0.03), (0.5, 1.0)),),
    ),
    (
        (((0.5, 0.25, 0.27, 0.25, 1, 5), (0.5, 0.75, 0.34, 0.25, -1, 3)),),
        (
            ((0.75, 0.15), (0.5, 0.25, 0.25, 0.25, -0.4, -3), (0.5, 0.75, 0.3, 0.25, -1, 2.6)),
            ((0.25, 0.85), (0.75, 0.15)),
        ),
    ),
    (
        (((0.5, 0.3, 0.3, 0.3, 0, -4), (0.8, 0.3), (0.72, 1.0)),),
        (((0.48, 0.3, 0.3, 0.3, 0, -4), (0.78, 0.3), (0.4, 0.68, 0.38, 0.32, 0, 1.6)),),
    ),
)


def outline(glyph: Glyph) -> tuple[NDArray[np.float64], float]:
    """Points (POINTS, 2) at equal distances along a glyph's strokes, and its length in boxes."""
    import numpy as np

    strokes = [np.concatenate([_traced(piece) for piece in stroke]) for stroke in glyph]
    steps = [np.hypot(*np.diff(stroke, axis=0).T) for stroke in strokes]
    lengths = np.array([step.sum() for step in steps])
    counts = np.round(POINTS * lengths / lengths.sum()).astype(int)
    counts[-1] = POINTS - counts[:-1].sum()
    points = [
        _resampled(stroke, step, count)
        for stroke, step, count in zip(strokes, steps, counts, strict=True)
    ]
    return np.concatenate(points), float(lengths.sum())


def render(
    points: NDArray[np.float64], ink: NDArray[np.float64], width: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Draw strokes as sums of round Gaussian dots, which a matrix product does for all at once.

    A dot's exp(−(dx² + dy²) / 2w²) is a product of one factor a column and one a row, so an image
    is rowsᵀ · columns.

    Args:
        points: (N, POINTS, 2) in pixels, x then y.
        ink: (N,) weight of a dot, before the clip at 1.
        width: (N,) standard deviation of the dots in pixels.

    Returns:
        (N, SIZE, SIZE) grey values in [0, 1].
    """
    import numpy as np

    pixels = np.arange(SIZE) + 0.5
    spread = -0.5 / width[:, None, None] ** 2
    columns = np.exp(spread * (points[:, :, 0, None] - pixels) ** 2)
    rows = np.exp(spread * (points[:, :, 1, None] - pixels) ** 2)
    rows *= ink[:, None, None]
    return np.clip(rows.transpose(0, 2, 1) @ columns, 0.0, 1.0)


def _traced(piece: Piece) -> NDArray[np.float64]:
    """A point as itself, an arc as a chain of points."""
    import numpy as np

    if len(piece) == 2:
        return np.array([piece])
    x, y, radius_x, radius_y, first, last = piece
    angles = pi / 2 * np.linspace(first, last, _ARC_POINTS)
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=1)


def _resampled(
    stroke: NDArray[np.float64], steps: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """`count` points at equal distances along a chain."""
    import numpy as np

    along = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(wanted, along, stroke[:, axis]) for axis in (0, 1)], axis=1)
