"""Npz: arrays of a user's own, as numpy.savez writes them."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from mlr.core.checks import InputError, known, whole
from mlr.data import options, prepare, validate
from mlr.data.base import Dataset, Source
from mlr.data.faults import fault, tail
from mlr.data.npz_arrays import Archive, archive

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Npz(Source):
    """Features (N, ...) and labels (N,), or targets (N,) or (N, K), under two keys.

    Arrays `<features>_val` and `<labels>_val`, `<features>_test` and `<labels>_test` are taken as
    those splits where the file has them (`x_val`, `y_val`, …); what it has not is split off the
    training examples by `split_seed`, not by the run's seed: the data are real.

    Args:
        path: the file.
        features: key of the features.
        labels: key of the labels or targets.
        task: classification or regression.
        classes: K; None reads it off the labels, which then must include every class.
        val_fraction: share of examples for validation, where the file has none for it.
        test_fraction: share of examples for the test, where the file has none for it.
        split_seed: decides which example is in which split.
        scale: none, standardize or minmax, fitted on the training split; vectors by column,
            arrays of more dimensions as a whole.
        order: shuffled: another order of the training examples in each epoch, by the run's seed;
            given: that of the file, which is then split in its order too.
        drop_last: leave out the last examples of an epoch that do not fill a batch.
    """

    name = "npz"

    def __init__(
        self,
        path: str | PathLike[str] | None = None,
        features: str = "x",
        labels: str = "y",
        task: str = "classification",
        classes: int | None = None,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        split_seed: int = 0,
        scale: str = "standardize",
        order: str = "shuffled",
        drop_last: bool = False,
    ) -> None:
        self.path = options.path("data.path", path, "the .npz file")
        self.features = options.text("data.features", features)
        self.labels = options.text("data.labels", labels)
        self.regression = known("data.task", task, options.TASKS) == "regression"
        self.classes = options.optional_whole("data.classes", classes, at_least=2)
        if self.regression and classes is not None:
            raise InputError(f"data.classes={classes} makes no sense with data.task=regression.")
        self.val_fraction, self.test_fraction = options.split_shares(val_fraction, test_fraction)
        self.split_seed = whole("data.split_seed", split_seed, at_least=0)
        self.scale = options.scale(scale, options.COLUMN_SCALES)
        self.take_order(order, drop_last)

    def load(self, seed: int) -> Dataset:
        """Features (N, ...), and labels (N,) or targets (N, K).

        Raises:
            InputError: the file or a key is missing.
            DataError: the file is damaged, or shapes or values are wrong.
        """
        where = f"data={self.name}"
        with archive(self.path, "data.path") as arrays:
            judged, classes = self._judged(arrays)
            shares = {"_val": self.val_fraction, "_test": self.test_fraction}
            wanted = {part: share for part, share in shares.items() if part not in judged}
            rows = prepare.split_rows(
                where,
                judged[""].targets,
                tuple(wanted.values()),
                self.split_seed,
                stratify=not self.regression,
                in_order=self.in_file_order,
            )
            # last: they may unpack to gigabytes
            given = {
                part: prepare.Arrays(arrays.read(self.features + part), data.targets)
                for part, data in judged.items()
            }
        whole = given.pop("")
        for part, data in given.items():
            validate.warn_shared(where, whole.features, data.features, part.strip("_"))
        train, *parts = (whole.take(one) for one in rows)
        given |= dict(zip(wanted, parts, strict=True))
        plan = prepare.Plan(self.name, classes, self.scale, seed=seed)
        return prepare.to_dataset(plan, train, given["_val"], given["_test"])

    def _judged(self, arrays: Archive) -> tuple[dict[str, prepare.Arrays], int | None]:
        """The splits that the file has, by the end of their keys, and K.

        Of the features there are the shapes alone, which take no memory.
        """
        found: dict[str, prepare.Arrays] = {}
        classes = self.classes
        for part, name in (("", "training"), ("_val", "validation"), ("_test", "test")):
            if part and not {self.features + part, self.labels + part} & set(arrays.names):
                continue
            found[part], classes = self._pair(arrays, part, classes)
            shape = found[""].features.shape[1:]
            prepare.check_split(f"data={self.name}", name, found[part], classes, shape)
        return found, classes

    def _pair(
        self, arrays: Archive, suffix: str, classes: int | None
    ) -> tuple[prepare.Arrays, int | None]:
        """The shape of the features and the targets of one split, and K."""
        import numpy as np

        x_key, y_key = self.features + suffix, self.labels + suffix
        options.named("data.features", x_key, arrays.names, self.path.name)
        options.named("data.labels", y_key, arrays.names, self.path.name)
        where_x, where_y = (f"{self.path}: array {tail(key, 20)}" for key in (x_key, y_key))
        x, y = (np.broadcast_to(0, arrays.shape(key)) for key in (x_key, y_key))
        self._check_shapes(where_x, x, where_y, y, suffix.strip("_") or "training")
        y = arrays.read(y_key)
        if not self.regression:
            numbers = " Real numbers are learnt by data.task=regression."
            y, classes = validate.class_labels(where_y, y, classes, numbers)
        return prepare.Arrays(x, y), classes

    def _check_shapes(self, where_x: str, x: NDArray, where_y: str, y: NDArray, part: str) -> None:
        if x.ndim < 2:
            raise fault(
                where_x,
                f"has shape {validate.shape_of(x)}; features need one row an example, (N, D): a "
                "single feature is (N, 1).",
            )
        validate.not_empty(where_x, part, x)
        if self.regression and y.ndim not in (1, 2):
            raise fault(where_y, f"has shape {validate.shape_of(y)}; it must be (N,) or (N, K).")
        if y.ndim == 0 or y.size == 0:
            raise fault(where_y, f"has shape {validate.shape_of(y)}; each example needs a target.")
        validate.equal_counts(where_x, x, y)
