"""From arrays to a Dataset: stratified splits, label noise, scaling.

All randomness is a pure function of a seed and the dataset's name; no global generator is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import DataError, memory_limit
from mlr.core.seeds import derive_seed
from mlr.data import options, scaling, validate
from mlr.data.base import Dataset, Source, Split
from mlr.data.faults import fault, shown
from mlr.data.inputs import Inputs
from mlr.data.sampling import sample, stratified_sample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mlr.data.tables.columns import Columns

    Rows = NDArray[np.int64] | slice


@dataclass(frozen=True)
class Arrays:
    """Examples before they are tensors.

    Features (N, ...), targets (N,) or (N, K), weights (N,) where the examples have some.
    """

    features: NDArray
    targets: NDArray
    weights: NDArray | None = None

    def take(self, rows: Rows) -> Arrays:
        """Return the examples of these rows, in this order."""
        weights = None if self.weights is None else self.weights[rows]
        return Arrays(self.features[rows], self.targets[rows], weights)

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
        columns: Columns | None = None,
        target_columns: tuple[str, ...] = (),
    ) -> Dataset:
        """Make tensors of three valid splits, scaled, with label noise in training.

        Args:
            seed: of the label noise.
            classes: K, or None when the targets are real numbers or several labels.
            splits: examples to train on, for validation, of which there may be none, and for the
                test; labels are int64.
            labels: names of the classes or targets; () where they are simply 0..K−1.
            multilabel: True if the targets are labels (N, K) of 0 and 1.
            columns: of the table that the features were made of, whose indicators are not scaled;
                None for other files.
            target_columns: names of the table's columns of labels or targets.

        Raises:
            DataError: they do not fit into memory, or all training examples have the weight 0.
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
            if train.weights is not None and not train.weights.any():
                raise fault(where, "has training examples of weight 0 only; nothing is learned.")
            as_is = None if columns is None else columns.indicators
            scale = scaling.fit(self.scale, train.features, as_is)
            parts = (replace(train, targets=targets), val, test)
            made = [
                _tensors(replace(part, features=scale(part.features)), classes) for part in parts
            ]
        except MemoryError:
            what = f"does not fit into memory{memory_limit()}; use fewer examples."
            raise fault(where, what) from None
        in_bytes = train.features.dtype.name == "uint8"
        inputs = Inputs(scale, in_bytes, columns, target_columns)
        return Dataset(
            self.name, made[0], made[1], made[2], classes, labels, multilabel, inputs=inputs
        )


@dataclass(eq=False, kw_only=True)
class RealSource(PreparedSource):
    """Source of real data, split by `split_seed`, not by the run's seed.

    Runs of different seeds are tested on the same examples.

    Args:
        val_fraction: share of examples for validation, where the files have none for it; 0 for no
            validation.
        test_fraction: share of examples for the test, where the files have none for it.
        split_seed: seed that assigns the examples to the splits.
        split: random; given: in the order of the file, first those to train on, then those for
            validation, then those for the test; None: given where the order is given.
        scale: one of `scales`, fitted on the training split: none; standardize: mean 0 and
            deviation 1; minmax: into [0, 1]; unit: divided by 255, if bytes, else by the largest
            number. Tables are scaled by column, arrays of more dimensions as a whole.
    """

    val_fraction: float = 0.2
    test_fraction: float = 0.2
    split_seed: int = 0
    split: str | None = None
    scale: str = "standardize"

    @property
    def split_in_order(self) -> bool:
        """True if the file is split in its order."""
        return self.split == options.GIVEN or (self.split is None and self.in_file_order)

    def divided(
        self,
        data: Arrays,
        shares: Sequence[float],
        stratify: bool = True,
        labels: Sequence[str] = (),
    ) -> list[Arrays]:
        """Split examples as `split` does, by the options of the source."""
        where = f"data={self.name}"
        return split(where, data, shares, self.split_seed, stratify, self.split_in_order, labels)


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
    """Split examples as `split_rows` splits their rows; returns the rest, then the parts."""
    rows = split_rows(where, data.targets, shares, seed, stratify, in_order, labels)
    return [data.take(own) for own in rows]


def split_rows(
    where: str,
    targets: NDArray,
    shares: Sequence[float],
    seed: int,
    stratify: bool,
    in_order: bool = False,
    labels: Sequence[str] = (),
) -> list[Rows]:
    """Split N rows at random into a rest and one part for each share, stratified by class.

    Args:
        where: name of the data, for messages.
        targets: of the N examples.
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
        return [slice(end - n, end) for end, n in zip(ends, counts, strict=True)]
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
    return [np.sort(rest), *parts]


def _too_few(
    where: str, counts: list[int], sizes: NDArray[np.int64], labels: Sequence[str]
) -> DataError:
    """Return the refusal of splits of `counts`; `sizes` are those of the classes."""
    total, each, measured = sizes.sum(), "", ""
    if len(sizes) > 1:
        each = f" with all {len(sizes)} classes in each"
    if 2 * len(sizes) > total > 1:
        measured = "; labels that are measurements need data.task=regression"
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


def _tensors(part: Arrays, classes: int | None) -> Split:
    import numpy as np
    import torch

    targets, weights = part.targets, part.weights
    if classes is None:
        # not -1, which is ambiguous for an empty split
        targets = targets.reshape(len(targets), prod(targets.shape[1:])).astype(np.float32)
    return Split(
        torch.from_numpy(np.ascontiguousarray(part.features)),
        torch.from_numpy(np.ascontiguousarray(targets)),
        None if weights is None else torch.from_numpy(weights.astype(np.float32)),
    )
