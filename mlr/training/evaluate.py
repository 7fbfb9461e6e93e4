"""Means over a whole split, for all runs at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlr.probes.base import lengths
from mlr.training.examples import Chunk, Examples
from mlr.training.run_objectives import RunObjectives
from mlr.training.step import Program

MOST_ROWS = 2048
CHUNK_VALUES = 1 << 21
"""Examples, and feature values of one run, that are evaluated at a time. It bounds the memory
of activations; it must not hang on the number of runs, for sums of parts round by the parts."""


class Evaluation:
    """A split, ready to be evaluated again and again.

    Args:
        examples: the split.
        program: whose runs are judged.
        thinned: whether a large split is judged by a part of it.
    """

    def __init__(self, examples: Examples, program: Program, thinned: bool = False) -> None:
        size = max(1, min(MOST_ROWS, CHUNK_VALUES // examples.features[0, 0].numel()))
        chosen = examples.thinned() if thinned else None
        self.program = program
        self.classification = examples.labels is not None
        self.count = examples.count if chosen is None else len(chosen)
        self.chunks: Sequence[Chunk] = examples.chunks(size, chosen)

    def means(self, gradients: bool = False) -> dict[str, Tensor]:
        """Means (R,) over the split: `loss`, and for classification `accuracy`.

        With `gradients` also mean ‖dL/dz‖₂ of the `wrong` and the `right` examples, NaN where
        there is none.
        """
        parts = [self._sums(chunk, gradients and self.classification) for chunk in self.chunks]
        sums = {name: sum((part[name] for part in parts[1:]), parts[0][name]) for name in parts[0]}
        means = {"loss": sums["loss"] / self.count}
        if self.classification:
            means["accuracy"] = sums["right"] / self.count
            if gradients:
                means["wrong"] = sums["wrong_size"] / (self.count - sums["right"])
                means["right"] = sums["right_size"] / sums["right"]
        return means

    def _sums(self, chunk: Chunk, gradients: bool) -> dict[str, Tensor]:
        objectives = self.program.objectives
        logits = self.program.network.logits(chunk.inputs)
        sums = {"loss": _sum(objectives.losses(logits, chunk.targets))}
        if chunk.labels is not None:
            right = objectives.classes(logits) == chunk.labels
            sums["right"] = _sum(right).to(logits.dtype)  # a count by itself becomes float32
            if gradients:
                sizes = lengths(objectives.gradient(logits, chunk.targets))
                sums["right_size"] = _sum(sizes * right)
                sums["wrong_size"] = _sum(sizes * ~right)
        return sums


def _sum(values: Tensor) -> Tensor:
    """Σ (R,) of values (R, N), each row by itself, as it lies in memory or not."""
    return values.contiguous().sum(1)


def correct(objectives: RunObjectives, logits: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
    """Whether each example (…, R, B) is predicted rightly; targets one-hot or one column."""
    if targets.shape[-1] == 1:
        labels = targets[..., 0] >= 0.5
    else:  # Σ k t_k, several times as fast as the place of the 1
        numbers = torch.arange(targets.shape[-1], dtype=targets.dtype, device=targets.device)
        labels = (targets * numbers).sum(-1)
    return objectives.classes(logits, axis) == labels
