"""Scaling of features and real targets: an offset and a divisor, fitted on the training split only.

Tables are scaled column by column, images as a whole: a pixel at the rim that lights up once in
10,000 images would otherwise become the largest number of the dataset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Scaling:
    """Map x ↦ (x − offset) / divisor, with one number for all features or one a column."""

    offset: NDArray[np.float64]
    divisor: NDArray[np.float64]

    def __call__(self, features: NDArray) -> NDArray[np.float32]:
        """Return the features (N, ...) scaled, as float32."""
        import numpy as np

        # 60,000 images in float64 would cost 400 MB for nothing: bytes are exact in float32
        precision = np.dtype(np.float32 if features.dtype == np.uint8 else np.float64)
        scaled = features.astype(precision)
        # a pass over 60,000 images for x − 0 or x / 1 takes as long as reading them
        if self.offset.any():
            np.subtract(scaled, self.offset.astype(precision), out=scaled)
        if (self.divisor != 1).any():
            np.divide(scaled, self.divisor.astype(precision), out=scaled)
        return scaled.astype(np.float32, copy=False)


def fit(kind: str, features: NDArray, as_is: NDArray[np.bool_] | None = None) -> Scaling:
    """Fit a scaling on training features.

    Args:
        kind: `none`; `standardize`: mean 0 and standard deviation 1; `minmax`: into [0, 1];
            `unit`: divided by 255, if bytes, else by the largest size; `unit256`: divided by 256.
        features: (N, D), scaled by column, or (N, ...) images, scaled as a whole.
        as_is: columns (D,) that stay as they are; None for none.

    Returns:
        The scaling; a feature that is constant in training is shifted but never divided by zero.
    """
    import numpy as np

    if as_is is not None and as_is.any():
        found = fit(kind, features)
        return Scaling(np.where(as_is, 0.0, found.offset), np.where(as_is, 1.0, found.divisor))
    axis = 0 if features.ndim == 2 else None
    zero, one = np.zeros(()), np.ones(())
    if kind == "none":
        return Scaling(zero, one)
    if kind == "unit256":
        return Scaling(zero, 256 * one)
    if kind == "unit":
        largest = 255 if features.dtype == np.uint8 else np.abs(features, dtype=np.float64).max()
        return Scaling(zero, _never_zero(largest * one))
    low = features.min(axis=axis).astype(np.float64)
    spread = features.max(axis=axis).astype(np.float64) - low
    if kind == "minmax":
        return Scaling(low, _never_zero(spread))
    mean = features.mean(axis=axis, dtype=np.float64)
    deviation = features.std(axis=axis, dtype=np.float64)
    # the deviation of a constant column is a rounding error, not zero
    return Scaling(np.asarray(mean), np.where(spread > 0, _never_zero(deviation), 1.0))


def _never_zero(divisor: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    return np.where(divisor > 0, divisor, 1.0)
