"""From arrays to a Dataset: stratified splits, label noise, scaling.

All randomness is a pure function of a seed and the dataset's name; no global generator is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import DataError, memory_limit
from mlr.core.seeds import derive_seed
from mlr.data import options, scaling, validate
from mlr.data.base import Dataset, Source, Split
from mlr.data.faults import fault, shown
from mlr.data.sampling import sample, stratified_sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Arrays:
    """Examples before they are tensors: features (N, ...), targets (N,) or (N, K)."""

    features: NDArray
    targets: NDArray

    def take(self, rows: NDArray[np.int64] | slice) -> Arrays:
        """Return the examples of these rows, in this order."""
        return Arrays(self.features[rows], self.targets[rows])

    def __len__(self) -> int:
        return len(self.features)


@dataclass(eq=False, kw_only=True)
class PreparedSource(Source):
    """Source whose fields are its options, each checked by its name as `options.CHECKS` has it.

    Args:
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: the order of the file, in which it is then split too, or of drawing.
        drop_last: leave out the last examples of an epoch that do not fill a batch.
    """

    order: str = options.SHUFFLED
    drop_last: bool = False
    scales: ClassVar[tuple[str, ...]] = options.COLUMN_SCALES
    # options of subclasses that have them as fields
    scale = "none"
    label_noise = 0.0

    def __post_init__(self) -> None:
        options.check(vars(self), self.scales)

    def seed_of(self, run: int) -> int | None:
        """Return the run's seed if it decides which labels are flipped."""
        return run if self.label_noise else None

    def dataset(
        self,
        seed: int,
        classes: int | None,
        splits: Sequence[Arrays],
        labels: tuple[str, ...] = (),
        multilabel: bool = False,
    ) -> Dataset:
        """Make tensors of three valid splits, scaled, with label noise in training.

        Args:
            seed: of the label noise.
            classes: K, or None when the targets are real numbers or several labels.
            splits: examples to train on, for validation, of which there may be none, and for the
                test; labels are int64.
            labels: names of the classes or targets; () where they are simply 0..K−1.
            multilabel: True if the targets are labels (N, K) of 0 and 1.

        Raises:
            DataError: they do not fit into memory.
        """
        where, (train, val, test) = f"data={self.name}", splits
        targets = train.targets
        try:
            if multilabel:
                validate.warn_one_valued(where, targets, labels)
            if classes is not None:
                validate.warn_absent(where, targets, classes, labels)
                if self.label_noise:
                    rng = generator(seed, self.name, "label noise")
                    targets = flip_labels(targets, self.label_noise, classes, rng)
            scale = scaling.fit(self.scale, train.features)
            parts = (Arrays(train.features, targets), val, test)
            made = [_tensors(scale(part.features), part.targets, classes) for part in parts]
        except MemoryError:
            what = f"does not fit into memory{memory_limit()}; use fewer examples."
            raise fault(where, what) from None
        return Dataset(self.name, made[0], made[1], made[2], classes, labels, multilabel)


@dataclass(eq=False, kw_only=True)
class RealSource(PreparedSource):
    """Source of real data, split by `split_seed`, not by the run's seed.

    Runs of different seeds are tested on the same examples.

    Args:
        val_fraction: share of examples for validation, where the files have none for it; 0 for no
            validation.
        test_fraction: share of examples for the test, where the files have none for it.
        split_seed: seed that assigns the examples to the splits.
        scale: one of `scales`, fitted on the training split: none; standardize: mean 0 and
            deviation 1; minmax: into [0, 1]; unit: divided by 255, if bytes, else by the largest
            number. Tables are scaled by column, arrays of more dimensions as a whole.
    """

    val_fraction: float = 0.2
    test_fraction: float = 0.2
    split_seed: int = 0
    scale: str = "standardize"

    def split(
        self,
        data: Arrays,
        shares: Sequence[float],
        stratify: bool = True,
        labels: Sequence[str] = (),
    ) -> list[Arrays]:
        """Split examples as `split` does, by the options of the source."""
        where = f"data={self.name}"
        return split(where, data, shares, self.split_seed, stratify, self.in_file_order, labels)


def generator(seed: int, *purpose: str) -> np.random.Generator:
    """Return a random generator for one purpose, unrelated to that of any other purpose or seed."""
    import numpy as np

    return np.random.default_rng(derive_seed(seed, *purpose))


def legacy_generator(seed: int, *purpose: str) -> np.random.RandomState:
    """Return numpy's legacy generator for one purpose, which scikit-learn draws with.

    Its numbers are the same in all versions of numpy.
    """
    import numpy as np

    return np.random.RandomState(derive_seed(seed, *purpose) % 2**32)


def split(
    where: str,
    data: Arrays,
    shares: Sequence[float],
    seed: int,
    stratify: bool,
    in_order: bool = False,
    labels: Sequence[str] = (),
) -> list[Arrays]:
    """Split examples at random into a rest and one part for each share, stratified by class.

    Args:
        where: name of the data, for messages.
        data: N examples.
        shares: fraction of all N for each further split; 0 gives an empty one.
        seed: of the random assignment.
        stratify: give all splits the same shares of the labels (N,).
        in_order: split in the order of the file instead: first the rest, then each part.
        labels: names of the classes, for messages.

    Returns:
        The rest, then the parts in the order of `shares`, each in the order of the data.

    Raises:
        DataError: a split would be empty or could not hold every class.

    Source: scikit-learn, train_test_split with stratify, whose splits these are.
    """
    import numpy as np

    targets = data.targets
    counts = [round(share * len(targets)) for share in shares]
    counts.insert(0, len(targets) - sum(counts))
    wanted = [count for count, share in zip(counts, (1.0, *shares), strict=True) if share]
    sizes = np.array([len(targets)])
    if stratify and not in_order:
        sizes = np.unique(targets, return_counts=True)[1]
    refusal = _too_few(where, wanted, sizes, labels)
    if sizes.min() < len(wanted) or min(wanted) < len(sizes):
        raise refusal
    if in_order:
        ends = np.cumsum(counts)
        return [data.take(slice(end - n, end)) for end, n in zip(ends, counts, strict=True)]
    rest = np.arange(len(targets))
    parts = []
    for number, count in enumerate(counts[1:]):
        part = rest[:0]
        if count:
            rng = legacy_generator(seed, where, "split", str(number))
            found = (
                stratified_sample(targets[rest], count, rng)
                if stratify
                else sample(len(rest), count, rng)
            )
            if found is None:  # the first split left too few of a rare class for the second
                raise refusal
            # in the order drawn, from which the next part is drawn
            rest, part = rest[found[0]], rest[found[1]]
        parts.append(np.sort(part))
    return [data.take(rows) for rows in (np.sort(rest), *parts)]


def _too_few(
    where: str, counts: list[int], sizes: NDArray[np.int64], labels: Sequence[str]
) -> DataError:
    """Return the refusal of splits of `counts`; `sizes` are those of the classes."""
    total, each, measured = sizes.sum(), "", ""
    if len(sizes) > 1:
        each = f" with all {len(sizes)} classes in each"
    if 2 * len(sizes) > total > 1:
        measured = "; measurements need data.task=regression"
    elif each:
        rare = int(sizes.argmin())
        each += f" ({shown(labels[rare], 20) if labels else rare} has {sizes[rare]})"
    return fault(
        where,
        f"cannot split {total} examples into {', '.join(map(str, counts))}{each}: give more, or "
        f"other data.val_fraction, data.test_fraction{measured}.",
    )


def flip_labels(
    labels: NDArray[np.int64], share: float, classes: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Replace a share of the labels (N,), each by one of the K − 1 other classes at random."""
    chosen = rng.permutation(len(labels))[: round(share * len(labels))]
    flipped = labels.copy()
    flipped[chosen] = (labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return flipped


def _tensors(features: NDArray[np.float32], targets: NDArray, classes: int | None) -> Split:
    import numpy as np
    import torch

    if classes is None:
        # not -1, which is ambiguous for an empty split
        targets = targets.reshape(len(targets), prod(targets.shape[1:])).astype(np.float32)
    return Split(
        torch.from_numpy(np.ascontiguousarray(features)),
        torch.from_numpy(np.ascontiguousarray(targets)),
    )
