"""The promises of a `Dataset`, checked on its tensors: for sources that a user wrote."""

from __future__ import annotations

import torch

from mlr.data.base import Dataset, Split
from mlr.data.faults import fault


def check_dataset(data: Dataset) -> None:
    """Check shapes, types and values of all three splits, of which `val` may be empty.

    Raises:
        DataError: names the split, and what of it is wrong.
    """
    if data.labels and len(data.labels) != data.classes:
        raise fault(
            f"data={data.name}", f"has {len(data.labels)} labels for {data.classes} classes."
        )
    for name in ("train", "val", "test"):
        split: Split = getattr(data, name)
        where = f"the {name} split of data={data.name}"
        if not all(isinstance(part, torch.Tensor) for part in (split.features, split.targets)):
            raise fault(where, "must hold torch tensors.")
        _check_features(where, split, data.feature_shape, may_be_empty=name == "val")
        if data.classes is None:
            _check_values(where, split)
        else:
            _check_labels(where, split, data.classes)


def _check_features(where: str, split: Split, shape: tuple[int, ...], may_be_empty: bool) -> None:
    features = split.features
    empty = features.shape[1:].numel() == 0 or not (may_be_empty or len(features))
    if features.dim() < 2 or empty:
        raise fault(
            where,
            f"has features of shape {tuple(features.shape)}; they must be (N, …) with "
            "at least one example and one number each.",
        )
    if tuple(features.shape[1:]) != shape:
        raise fault(
            where,
            f"has examples of shape {tuple(features.shape[1:])}, "
            f"the training split of shape {shape}.",
        )
    if not features.is_floating_point():
        raise fault(where, f"has features of type {features.dtype}; they must be floating.")
    bad = (~features.isfinite()).flatten(1).any(1).nonzero()
    if len(bad) > 0:
        raise fault(
            where,
            f"has features that are not finite in {len(bad)} examples, first in row {int(bad[0])}.",
        )
    if len(split.targets) != len(features):
        raise fault(where, f"has {len(features)} examples but {len(split.targets)} targets.")


def _check_values(where: str, split: Split) -> None:
    targets = split.targets
    if targets.dim() != 2 or not targets.is_floating_point() or not targets.isfinite().all():
        raise fault(
            where,
            f"has targets of shape {tuple(targets.shape)} and type {targets.dtype}; for "
            "regression they must be finite floating numbers (N, K).",
        )


def _check_labels(where: str, split: Split, classes: int) -> None:
    labels = split.targets
    if labels.dim() != 1 or labels.dtype != torch.int64:
        raise fault(
            where,
            f"has labels of shape {tuple(labels.shape)} and type {labels.dtype}; they "
            "must be class indices (N,) of type int64.",
        )
    bad = ((labels < 0) | (labels >= classes)).nonzero()
    if len(bad):
        row = int(bad[0])
        raise fault(
            where,
            f"has label {int(labels[row])} in row {row}; with {classes} classes the "
            f"labels are 0 to {classes - 1}.",
        )
