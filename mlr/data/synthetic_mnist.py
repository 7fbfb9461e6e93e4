"""Digits drawn by program, in the shape of MNIST, any number of them, without download.

A glyph is one or more strokes, a stroke a chain of straight lines and arcs in a box 1 wide and
1 high, y downward. Every digit has several ways of writing it, as people do.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING

from mlr.data import options
from mlr.data.generated import Generated
from mlr.data.prepare import generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LARGEST_PIXEL = 255.0
# images drawn at once, which take 8 · 64 · 28 · 2 bytes each
_CHUNK = 1000
# the ranges of the variations at deformation 1
_ROTATION, _SHEAR, _SHIFT = 0.22, 0.28, 1.8
_HEIGHT, _WIDTH = (15.5, 20.5), (12.0, 18.0)
_WAVES, _WAVE_SIZE = 3, 1.0
_PEN = (0.75, 1.2)
POINTS = 64
"""Number of points that represent a glyph: about one for each 0.6 pixels of its length."""
SIZE = 28
"""Side of an image in pixels, as in MNIST."""

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


@dataclass(eq=False, kw_only=True)
class SyntheticMnist(Generated):
    """Stroke-drawn digits, images (1, 28, 28), ten classes of equal size.

    Each is one of several ways of writing its digit, turned, sheared, stretched, shifted, bent by
    smooth waves, drawn with a pen of random width and pressure, and covered with noise. A linear
    model stays clearly below a convolutional one.

    Args:
        noise: standard deviation of the pixel noise; ink is 1, paper 0.
        deformation: strength of the variations; 0 draws every digit upright and centred.
    """

    name = "synthetic_mnist"
    classes = len(FONT)
    scales = options.IMAGE_SCALES
    n: int = 10000
    val_fraction: float = 0.1
    scale: str = "unit"
    noise: float = 0.1
    deformation: float = 1.0

    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Draw images (n, 1, 28, 28) as bytes and labels (n,)."""
        import numpy as np

        rng = generator(seed, self.name, "images")
        labels = rng.permutation(self.n) % len(FONT)
        images = np.empty((self.n, 1, SIZE, SIZE), np.uint8)
        for start in range(0, self.n, _CHUNK):
            rows = slice(start, start + _CHUNK)
            images[rows, 0] = self._images(labels[rows], rng)
        return images, labels

    def _images(self, labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Draw images (N, 28, 28) of these digits."""
        import numpy as np

        outlines, lengths = _choose(labels, rng)
        points, size = self._place(self._bend(outlines, rng), rng)
        width = rng.uniform(*_PEN, len(labels))
        # dots this far apart overlap to a line whose middle is about as dark as the ink says
        apart = lengths * size / POINTS
        ink = rng.uniform(0.9, 1.8, len(labels)) * apart / (width * np.sqrt(2 * np.pi))
        grey = render(points, ink, width)
        grey += self.noise * rng.standard_normal(grey.shape)
        return np.round(_LARGEST_PIXEL * np.clip(grey, 0.0, 1.0)).astype(np.uint8)

    def _bend(self, points: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Shift points (N, P, 2) by a sum of long random waves: neighbours move together."""
        import numpy as np

        count = len(points)
        bent = points.copy()
        for _ in range(_WAVES):
            direction = rng.uniform(-1.0, 1.0, (count, 2, 1)) * 1.2 * np.pi
            phase = rng.uniform(0.0, 2 * np.pi, (count, 1, 1))
            size = rng.normal(0.0, _WAVE_SIZE / 20.0, (count, 1, 2)) * self.deformation
            bent += size * np.sin(points @ direction + phase)
        return bent

    def _place(
        self, points: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Turn, shear, stretch and shift points (N, P, 2) into pixels; also return sizes (N,)."""
        import numpy as np

        count, strength = len(points), self.deformation
        angle = strength * rng.uniform(-_ROTATION, _ROTATION, count)
        shear = strength * rng.uniform(-_SHEAR, _SHEAR, count)
        height, width = (
            np.mean(span) + strength * rng.uniform(-0.5, 0.5, count) * (span[1] - span[0])
            for span in (_HEIGHT, _WIDTH)
        )
        # however strong the deformation, a digit is never mirrored or a dot
        height, width = np.maximum(height, 6.0), np.maximum(width, 4.0)
        shift = strength * rng.uniform(-_SHIFT, _SHIFT, (count, 1, 2))
        x = (points[:, :, 0] - 0.5) * width[:, None]
        y = (points[:, :, 1] - 0.5) * height[:, None]
        x = x - shear[:, None] * y
        cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
        placed = np.stack([cos * x - sin * y, sin * x + cos * y], axis=2)
        return placed + SIZE / 2 + shift, np.sqrt(height * width)


def _choose(
    labels: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Choose a glyph for each label; return outlines (N, P, 2) and their lengths (N,)."""
    import numpy as np

    ways = np.array([len(digit) for digit in FONT])
    drawn = [outline(glyph) for digit in FONT for glyph in digit]
    first = np.concatenate([[0], np.cumsum(ways)[:-1]])
    chosen = first[labels] + rng.integers(0, ways[labels])
    outlines = np.stack([points for points, _ in drawn])
    lengths = np.array([length for _, length in drawn])
    return outlines[chosen], lengths[chosen]


def outline(glyph: Glyph) -> tuple[NDArray[np.float64], float]:
    """Return points (POINTS, 2) at equal distances along a glyph, and its length in boxes."""
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
    """Draw strokes as sums of round Gaussian dots, by one matrix product for all images.

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
    """Return a piece as a chain of points."""
    import numpy as np

    if len(piece) == 2:
        return np.array([piece])
    x, y, radius_x, radius_y, first, last = piece
    angles = pi / 2 * np.linspace(first, last, _ARC_POINTS)
    return np.stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)], axis=1)


def _resampled(
    stroke: NDArray[np.float64], steps: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Return `count` points at equal distances along a chain."""
    import numpy as np

    along = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0.0, along[-1], count)
    return np.stack([np.interp(wanted, along, stroke[:, axis]) for axis in (0, 1)], axis=1)
