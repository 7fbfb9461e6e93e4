"""Means over a whole split, for all runs at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mlr.data.base import Split
from mlr.seeds import derive_seed
from mlr.training.batches import one_hot_targets
from mlr.training.step import Program, RunObjectives

CHUNK_VALUES = 1 << 23
"""Feature values evaluated at a time, all runs counted: bounds the memory of activations."""


MOST_TRAINING_EXAMPLES = 10_000
"""A larger training split is judged by so many, drawn once: all of MNIST's would cost a
third of an epoch and move its accuracy by a tenth of a percent. Drawn, not evenly spaced:
MNIST's writers alternate, and every sixth of its images is harder than the rest."""


@dataclass(frozen=True)
class Chunk:
    """Some examples of a split as every run sees them: views, expanded along the run axis."""

    inputs: Tensor
    """(R, N, …)"""
    targets: Tensor
    """(R, N, K)"""
    labels: Tensor
    """class indices (N,)"""


@dataclass(frozen=True)
class SplitTensors:
    """One split as the program reads it."""

    features: Tensor
    """(N, …) in the program's dtype, on its device, flat for dense networks"""
    targets: Tensor
    """t (N, K): one-hot, one column, or values"""
    labels: Tensor
    """class indices (N,)"""
    chunks: tuple[Chunk, ...]

    @classmethod
    def of(cls, split: Split, classes: int | None, program: Program) -> SplitTensors:
        """Convert once what every evaluation needs."""
        features = split.features.to(program.device, program.dtype)
        if program.network.flat_inputs:
            features = features.flatten(1).contiguous()
        targets = one_hot_targets(split.targets, classes, program.outputs, program.dtype)
        labels = split.targets.to(program.device)
        return cls.made(features, targets.to(program.device), labels, program)

    @classmethod
    def made(
        cls, features: Tensor, targets: Tensor, labels: Tensor, program: Program
    ) -> SplitTensors:
        """Of tensors in the program's dtype and on its device."""
        runs = len(program.parameters)
        size = max(1, CHUNK_VALUES // (features[0].numel() * runs))
        pieces = zip(features.split(size), targets.split(size), labels.split(size), strict=True)
        chunks = tuple(
            Chunk(x.expand(runs, *x.shape), t.expand(runs, *t.shape), own) for x, t, own in pieces
        )
        return cls(features, targets, labels, chunks)

    def thinned(self, program: Program) -> SplitTensors:
        """At most `MOST_TRAINING_EXAMPLES` of the examples, the same in every run."""
        count = len(self.features)
        if count <= MOST_TRAINING_EXAMPLES:
            return self
        generator = torch.Generator().manual_seed(derive_seed(0, "thinned", count))
        chosen = torch.randperm(count, generator=generator)[:MOST_TRAINING_EXAMPLES]
        chosen = chosen.to(self.features.device)
        parts = (self.features, self.targets, self.labels)
        features, targets, labels = (part.index_select(0, chosen) for part in parts)
        return SplitTensors.made(features, targets, labels, program)


def correct(objectives: RunObjectives, logits: Tensor, targets: Tensor, axis: int = 0) -> Tensor:
    """Whether each example (…, R, B) is predicted rightly; targets one-hot or one column."""
    labels = targets[..., 0] >= 0.5 if targets.shape[-1] == 1 else targets.argmax(-1)
    return objectives.classes(logits, axis) == labels


def evaluate(
    program: Program, split: SplitTensors, classification: bool, gradients: bool = False
) -> dict[str, Tensor]:
    """Means (R,) over a split: `loss`, and for classification `accuracy`.

    With `gradients` also mean ‖dL/dz‖₂ of the `wrong` and the `right` examples, NaN where
    there is none.
    """
    parts = [
        _sums(program, chunk, classification, classification and gradients)
        for chunk in split.chunks
    ]
    sums = {name: torch.stack([part[name] for part in parts]).sum(0) for name in parts[0]}
    count = len(split.features)
    means = {"loss": sums["loss"] / count}
    if classification:
        means["accuracy"] = sums["right"] / count
        if gradients:
            means["wrong"] = sums["wrong_size"] / (count - sums["right"])
            means["right"] = sums["right_size"] / sums["right"]
    return means


def _sums(
    program: Program, chunk: Chunk, classification: bool, gradients: bool
) -> dict[str, Tensor]:
    objectives = program.objectives
    logits = program.network.logits(chunk.inputs)
    sums = {"loss": objectives.losses(logits, chunk.targets).sum(1)}
    if classification:
        right = objectives.classes(logits) == chunk.labels
        sums["right"] = right.sum(1)
        if gradients:
            sizes = torch.linalg.vector_norm(objectives.gradient(logits, chunk.targets), dim=-1)
            sums["right_size"] = (sizes * right).sum(1)
            sums["wrong_size"] = (sizes * ~right).sum(1)
    return sums
