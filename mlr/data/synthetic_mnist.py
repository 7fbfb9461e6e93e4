"""SyntheticMnist: digits drawn by program, any number, of MNIST's shape, with no download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.core.checks import non_negative
from mlr.data import glyphs, options
from mlr.data.generated import Generated
from mlr.data.prepare import generator

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LARGEST_PIXEL = 255.0
# images drawn at once: bounds the memory, at 8 · 64 · 28 · 2 bytes each
_CHUNK = 1000
# the ranges of the variations at deformation 1
_ROTATION, _SHEAR, _SHIFT = 0.22, 0.28, 1.8
_HEIGHT, _WIDTH = (15.5, 20.5), (12.0, 18.0)
_WAVES, _WAVE_SIZE = 3, 1.0
_PEN = (0.75, 1.2)


class SyntheticMnist(Generated):
    """Stroke-drawn digits, images (1, 28, 28), ten classes of equal size.

    Each is one of several ways of writing its digit, turned, sheared, stretched, shifted, bent by
    smooth waves, drawn with a pen of its own width and pressure, and covered with noise. A linear
    model stays clearly below a convolutional one.

    Args:
        n: examples in all.
        noise: standard deviation of the pixel noise; ink is 1, paper 0.
        deformation: strength of the variations; 0 draws every digit upright and centred.
        label_noise: share of training labels replaced by another class.
        val_fraction: share of examples for validation.
        test_fraction: share of examples for the test.
        scale: none (0..255), unit (divided by 255) or standardize (one mean and deviation for
            all pixels, of the training split).
        seed: fixes the data; None follows the run's seed.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the one in which they were drawn.
        drop_last: leave out the last examples of an epoch that do not fill a batch.
    """

    name = "synthetic_mnist"

    def __init__(
        self,
        n: int = 10000,
        noise: float = 0.1,
        deformation: float = 1.0,
        label_noise: float = 0.0,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        scale: str = "unit",
        seed: int | None = None,
        order: str = "shuffled",
        drop_last: bool = False,
    ) -> None:
        super().__init__(
            n,
            len(glyphs.FONT),
            label_noise,
            val_fraction,
            test_fraction,
            scale,
            seed,
            order,
            drop_last,
            options.IMAGE_SCALES,
            _LARGEST_PIXEL,
        )
        self.noise = non_negative("data.noise", noise)
        self.deformation = non_negative("data.deformation", deformation)

    def draw(self, seed: int) -> tuple[NDArray, NDArray[np.int64]]:
        """Images (n, 1, 28, 28) as bytes and labels (n,)."""
        import numpy as np

        rng = generator(seed, self.name, "images")
        labels = rng.permutation(self.n) % len(glyphs.FONT)
        images = np.empty((self.n, 1, glyphs.SIZE, glyphs.SIZE), np.uint8)
        for start in range(0, self.n, _CHUNK):
            rows = slice(start, start + _CHUNK)
            images[rows, 0] = self._images(labels[rows], rng)
        return images, labels

    def _images(self, labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Images (N, 28, 28) of these digits."""
        import numpy as np

        outlines, lengths = _choose(labels, rng)
        points, size = self._place(self._bend(outlines, rng), rng)
        width = rng.uniform(*_PEN, len(labels))
        # dots this far apart overlap to a line whose middle is about as dark as the ink says
        apart = lengths * size / glyphs.POINTS
        ink = rng.uniform(0.9, 1.8, len(labels)) * apart / (width * np.sqrt(2 * np.pi))
        grey = glyphs.render(points, ink, width)
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
        """Turn, shear, stretch and shift points (N, P, 2) into pixels; also the sizes (N,)."""
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
        return placed + glyphs.SIZE / 2 + shift, np.sqrt(height * width)


def _choose(
    labels: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A way of writing for each label: outlines (N, P, 2) and their lengths (N,)."""
    import numpy as np

    ways = np.array([len(glyphs_of_digit) for glyphs_of_digit in glyphs.FONT])
    drawn = [glyphs.outline(glyph) for digit in glyphs.FONT for glyph in digit]
    first = np.concatenate([[0], np.cumsum(ways)[:-1]])
    chosen = first[labels] + rng.integers(0, ways[labels])
    outlines = np.stack([points for points, _ in drawn])
    lengths = np.array([length for _, length in drawn])
    return outlines[chosen], lengths[chosen]
