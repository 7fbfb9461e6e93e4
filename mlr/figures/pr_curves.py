"""Precision–recall curves for TensorBoard's PR CURVES page, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

    from mlr.figures.seen import Array, Moment

THRESHOLDS = 101
MOST_CLASSES = 10
CAPTION = (
    "Validation examples; the score of class {number} is its prediction, clipped to [0, 1] for "
    "units that leave it."
)


def collect(moment: Moment) -> dict[int, Array]:
    """Compute the curve of each class that has examples.

    Of two classes that is class 1; none for more than ten, a regression, or without validation.
    """
    count, seen = moment.experiment.data.classes, moment.val
    if count is None or count > MOST_CLASSES or seen is None or seen.labels is None:
        return {}
    chosen = (1,) if count == 2 else range(count)
    return {
        number: curve(seen.class_scores[:, number], seen.labels == number)
        for number in chosen
        if number in seen.labels
    }


def curve(scores: Array, positive: NDArray[np.bool_]) -> Array:
    """Count true and false positives and negatives, with precision and recall: (6, THRESHOLDS).

    At threshold τ of 0, 0.01, …, 1 an example counts as positive where its score (N,) is ≥ τ. At
    least one is `positive` (N,). A precision of 0/0 is 1, as at the curve's end.
    """
    thresholds = np.linspace(0, 1, THRESHOLDS)
    # numbers of scores below each threshold, of both kinds
    below = [np.searchsorted(np.sort(scores[side]), thresholds) for side in (positive, ~positive)]
    false_negatives, true_negatives = below
    true_positives = positive.sum() - false_negatives
    false_positives = (~positive).sum() - true_negatives
    called = true_positives + false_positives
    precision = np.where(called > 0, true_positives / np.maximum(called, 1), 1.0)
    recall = true_positives / positive.sum()
    counts = (true_positives, false_positives, true_negatives, false_negatives)
    return np.stack([*counts, precision, recall]).astype(float)


def summary(found: dict[int, Array], names: Sequence[str] = ()) -> Summary:
    """Build one Summary with a tag `pr_curve/<class>` for each curve; `names` are the classes'."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.types_pb2 import DT_FLOAT
    from tensorboard.plugins.pr_curve import metadata

    values = []
    for number, columns in found.items():
        name = names[number] if names else number
        about = metadata.create_summary_metadata(
            display_name=f"class {name}",
            description=CAPTION.format(number=name),
            num_thresholds=THRESHOLDS,
        )
        # as tensorboard.util.tensor_util makes it, whose imports take longer than all curves
        tensor = TensorProto(
            dtype=DT_FLOAT,
            tensor_shape=TensorShapeProto(
                dim=[TensorShapeProto.Dim(size=size) for size in columns.shape]
            ),
            tensor_content=columns.astype("<f4").tobytes(),
        )
        values.append(Summary.Value(tag=f"pr_curve/{number}", metadata=about, tensor=tensor))
    return Summary(value=values)
