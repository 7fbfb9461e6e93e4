"""Description of data without their examples: what a trained network takes and gives.

A run's folder holds it as JSON, so that predictions need no training data.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from mlr.data.scaling import Scaling
from mlr.data.tables.columns import Columns

if TYPE_CHECKING:
    from mlr.data.base import Dataset


@dataclass(frozen=True, eq=False)
class Inputs:
    """Recipe by which features were made of a file's values.

    Attributes:
        scaling: of the features.
        in_bytes: True if the values are whole numbers from 0 to 255.
        columns: of a table, in which missing numbers and categories were replaced; None for
            arrays and images.
        target_columns: names of the table's columns of labels or targets.
    """

    scaling: Scaling
    in_bytes: bool = False
    columns: Columns | None = None
    target_columns: tuple[str, ...] = ()


LOSS_NUMBERS = ("class_weights", "pos_weight", "prior")
"""Numbers of a description that losses depend on, each a list."""


@dataclass(frozen=True, eq=False)
class Description:
    """Data as a trained network knows them.

    Attributes:
        feature_shape: of one example.
        classes: K; None for regression and for several labels.
        labels: names of the classes or targets; empty where these are simply 0..K−1.
        multilabel: True if targets are K yes/no labels.
        targets: number of targets or labels of an example, 1 for classes.
        target_scaling: of a regression's targets; None if they are not scaled.
        inputs: how features are made of a file's values; None if they are taken as they are.
        class_weights: by which the losses of the classes are multiplied; None for 1 each.
        pos_weight: that of target 1 of each output; None for 1 each.
        prior: of the classes, whose logarithms are added to the logits; None for none.
    """

    feature_shape: tuple[int, ...]
    classes: int | None
    labels: tuple[str, ...] = ()
    multilabel: bool = False
    targets: int = 1
    target_scaling: Scaling | None = None
    inputs: Inputs | None = None
    class_weights: tuple[float, ...] | None = None
    pos_weight: tuple[float, ...] | None = None
    prior: tuple[float, ...] | None = None

    @classmethod
    def of(cls, data: Dataset, **numbers: tuple[float, ...] | None) -> Description:
        """Describe a dataset, and the numbers of its classes by name that a run's losses have."""
        return cls(
            data.feature_shape,
            data.classes,
            data.labels,
            data.multilabel,
            data.targets,
            data.target_scaling,
            data.inputs,
            **numbers,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes or targets; numbers where they have none."""
        count = self.targets if self.classes is None else self.classes
        return self.labels or tuple(map(str, range(count)))

    def encode(self) -> bytes:
        """Encode as UTF-8 JSON, an entry a line."""
        found: dict[str, Any] = {
            "feature_shape": list(self.feature_shape),
            "classes": self.classes,
            "labels": list(self.labels),
            "multilabel": self.multilabel,
            "targets": self.targets,
        }
        for name in LOSS_NUMBERS:
            if (numbers := getattr(self, name)) is not None:
                found[name] = list(numbers)
        if self.target_scaling is not None:
            found["target_scaling"] = _plain(self.target_scaling)
        if self.inputs is not None:
            found |= {"scaling": _plain(self.inputs.scaling), "in_bytes": self.inputs.in_bytes}
            if self.inputs.columns is not None:
                found["columns"] = list(self.inputs.columns.names)
                found["fill"] = dict(self.inputs.columns.fill)
                found["categories"] = {
                    k: list(v) for k, v in self.inputs.columns.categories.items()
                }
                found["target_columns"] = list(self.inputs.target_columns)
        lines = [
            f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in found.items()
        ]
        return ("{\n" + ",\n".join(lines) + "\n}\n").encode("utf-8", errors="backslashreplace")

    @classmethod
    def decode(cls, content: bytes) -> Description:
        """Decode what `encode` made.

        Raises:
            ValueError: it is something else.
        """
        try:
            return _described(json.loads(content))
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"it does not describe data: {error!r:.60}") from error


def _plain(scaling: Scaling) -> dict[str, Any]:
    return {"offset": scaling.offset.tolist(), "divisor": scaling.divisor.tolist()}


def _described(found: dict[str, Any]) -> Description:
    shape = tuple(int(size) for size in found["feature_shape"])
    inputs = None
    if "scaling" in found:
        columns = None
        if "columns" in found:
            categories = {name: tuple(texts) for name, texts in found["categories"].items()}
            columns = Columns(tuple(found["columns"]), dict(found["fill"]), categories)
            if len(columns.indicators) != prod(shape):
                raise ValueError("its columns are not as many as its features")
        scaling = _scaling(found["scaling"])
        targets = tuple(found.get("target_columns", ()))
        inputs = Inputs(scaling, bool(found["in_bytes"]), columns, targets)
    target_scaling = found.get("target_scaling")
    classes = None if found["classes"] is None else int(found["classes"])
    numbers = {name: tuple(map(float, found[name])) for name in LOSS_NUMBERS if name in found}
    for name, own in numbers.items():
        if name != "pos_weight" and len(own) != classes:  # which is of the outputs
            raise ValueError(f"its {name} are not as many as its classes")
    return Description(
        shape,
        classes,
        tuple(map(str, found["labels"])),
        bool(found["multilabel"]),
        int(found["targets"]),
        None if target_scaling is None else _scaling(target_scaling),
        inputs,
        **numbers,
    )


def _scaling(found: dict[str, Any]) -> Scaling:
    import numpy as np

    offset, divisor = (np.asarray(found[name], np.float64) for name in ("offset", "divisor"))
    if not (np.isfinite(offset).all() and np.isfinite(divisor).all() and divisor.all()):
        raise ValueError("its scaling is not finite")
    return Scaling(offset, divisor)
