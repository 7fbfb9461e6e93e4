"""The option loss.weight: weights of the classes, which multiply the losses of their examples."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from mlr.core.checks import InputError, typed
from mlr.data.base import Dataset

BALANCED = "balanced"
"""n/(K · n_c) of a class with n_c of the n training examples: all classes weigh the same, and
the mean weight of the training examples is 1."""
OPTION = "weight"


def without_weight(settings: Mapping[str, Any], own: bool) -> tuple[dict[str, Any], Any]:
    """Split the options of a loss into those of its constructor, and the weights of classes.

    Args:
        settings: the group `loss` of a configuration.
        own: whether the loss is one of mlr's; another may have a `weight` itself.
    """
    options = dict(settings)
    if own or options.get(OPTION) is None:
        return options, options.pop(OPTION, None)
    return options, None


def check_weight(weight: Any, regression: bool, classes: int | None) -> None:
    """Refuse weights that are no list of numbers, and weights of a regression.

    Args:
        weight: loss.weight as it is given.
        regression: whether targets are real numbers.
        classes: K, if it is known.

    Raises:
        InputError: says what is allowed.
    """
    if weight is None:
        return
    shown = f"loss.weight={typed(weight)}".replace(" ", "")
    if regression:
        raise InputError(
            f"{shown} needs classes, but the data are a regression; leave it out: loss.weight=null."
        )
    if weight == BALANCED:
        return
    if not isinstance(weight, list) or not all(_is_weight(one) for one in weight):
        raise InputError(
            f"{shown} must be balanced, or a list of one number of at least 0 for each class, as "
            "in loss.weight=[1,5]."
        )
    if not any(weight):
        raise InputError(f"{shown} must hold a number above 0, or nothing would be learnt.")
    if classes is not None and len(weight) != classes:
        raise InputError(
            f"{shown} has {len(weight)} number{'s' * (len(weight) != 1)}, but there are {classes} "
            "classes; give one for each, or loss.weight=balanced."
        )


def class_weights(weight: Any, data: Dataset) -> tuple[float, ...] | None:
    """Return the weights of the classes of these data; None if there are none.

    Raises:
        InputError: as `check_weight`, or a class to be balanced has no training example.
    """
    check_weight(weight, data.classes is None, data.classes)
    if weight is None or data.classes is None:
        return None
    if weight != BALANCED:
        return tuple(float(one) for one in weight)
    counts = data.train.targets.flatten().bincount(minlength=data.classes).tolist()
    if 0 in counts:
        raise InputError(
            f"loss.weight=balanced needs training examples of each class, and class "
            f"{counts.index(0)} has none; give a list, as in loss.weight=[1,5]."
        )
    return tuple(sum(counts) / (len(counts) * count) for count in counts)


def _is_weight(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and isfinite(value) and value >= 0
