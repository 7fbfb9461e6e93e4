"""Random parts of a dataset, stratified by class, as scikit-learn's train_test_split draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.random import RandomState
    from numpy.typing import NDArray


Rows = tuple["NDArray[np.int64]", "NDArray[np.int64]"]
"""Numbers of the examples that are left, and of those that are chosen."""


def sample(total: int, count: int, rng: RandomState) -> Rows:
    """Choose `count` of `total` examples.

    Source: scikit-learn, ShuffleSplit.
    """
    order = rng.permutation(total)
    return order[count:], order[:count]


def stratified_sample(labels: NDArray, count: int, rng: RandomState) -> Rows | None:
    """Choose `count` examples with the shares that the classes have among all labels (N,).

    Returns:
        None if one of both parts could not hold every class, or a class has one example only.

    Source: scikit-learn, StratifiedShuffleSplit.
    """
    import numpy as np

    _, classes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    total = len(labels)
    if sizes.min() < 2 or min(count, total - count) < len(sizes):
        return None
    left = _apportioned(sizes, total - count, rng)
    taken = _apportioned(sizes - left, count, rng)
    of_class = np.split(np.argsort(classes, kind="stable"), np.cumsum(sizes)[:-1])
    drawn = [rows[rng.permutation(len(rows))] for rows in of_class]
    rest = [rows[:end] for rows, end in zip(drawn, left, strict=True)]
    chosen = [rows[end : end + n] for rows, end, n in zip(drawn, left, taken, strict=True)]
    return rng.permutation(np.concatenate(rest)), np.concatenate(chosen)


def _apportioned(sizes: NDArray[np.int64], count: int, rng: RandomState) -> NDArray[np.int64]:
    """Divide `count` among classes in proportion to their sizes, by the largest remainders.

    Classes of equal remainders are drawn.
    """
    import numpy as np

    exact = sizes / sizes.sum() * count
    whole = np.floor(exact)
    remainders = exact - whole
    missing = int(count - whole.sum())
    for value in np.unique(remainders)[::-1]:
        if missing <= 0:
            break
        (alike,) = np.where(remainders == value)
        drawn = rng.choice(alike, min(len(alike), missing), replace=False)
        whole[drawn] += 1
        missing -= len(drawn)
    return whole.astype(np.int64)
