"""Forward passes over a split, judged by the objectives: validation, diagnostics, figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

import torch
from torch import Tensor

from mlr.probes.base import lengths
from mlr.training.examples import Examples
from mlr.training.run_objectives import RunObjectives
from mlr.training.step import Program

MOST_ROWS = 2048
MOST_ROWS_LANES_LAST = 256
CHUNK_VALUES = 1 << 21
"""Feature values of one run evaluated at a time. It bounds the memory of activations; it must not
depend on the number of runs, because sums of parts round by the parts. Lanes last, few rows of
many lanes fill the cache."""

Sums = dict[str, Tensor]


class EvaluatedBatch:
    """Logits z and targets t (L, B, K), and quantities derived from them when first used."""

    def __init__(self, objectives: RunObjectives, logits: Tensor, targets: Tensor) -> None:
        self.objectives, self.logits, self.targets = objectives, logits, targets

    @cached_property
    def losses(self) -> Tensor:
        """L (L, B)."""
        return self.objectives.losses(self.logits, self.targets)

    @cached_property
    def logit_grads(self) -> Tensor:
        """dL/dz (L, B, K)."""
        return self.objectives.gradient(self.logits, self.targets)

    @cached_property
    def gradient_sizes(self) -> Tensor:
        """‖dL/dz‖₂ (L, B)."""
        return lengths(self.logit_grads)

    @cached_property
    def predictions(self) -> Tensor:
        """y (L, B, K)."""
        return self.objectives.predictions(self.logits)

    @cached_property
    def labels(self) -> Tensor:
        """Class index of each example (L, B)."""
        return self.objectives.labels(self.targets)

    @cached_property
    def right(self) -> Tensor:
        """1.0 for correct predictions, else 0.0 (L, B)."""
        return self.objectives.right(self.logits, self.labels)


class Evaluation:
    """A split that is evaluated repeatedly, `count` examples in batches of `size`.

    Args:
        examples: the split.
        program: with the runs.
        most: largest number of examples in a batch; None chooses it by memory.
        chosen: numbers of the examples that are evaluated; None for all.
    """

    def __init__(
        self,
        examples: Examples,
        program: Program,
        most: int | None = None,
        chosen: Tensor | None = None,
    ) -> None:
        if most is None:
            most = max(1, CHUNK_VALUES // examples.features[0, 0].numel())
        rows = MOST_ROWS_LANES_LAST if program.network.lanes_last else MOST_ROWS
        self.program, self.size = program, min(rows, most)
        self.count = examples.count if chosen is None else len(chosen)
        self.chunks = examples.chunks(self.size, chosen)

    def batches(self) -> Iterator[EvaluatedBatch]:
        """Pass all batches through the networks in evaluation mode."""
        for inputs, t in self.chunks:
            logits = self.program.network.logits(inputs)
            # copied, because operations on expanded (stride 0) tensors are slow
            targets = torch.empty_like(logits[..., : t.shape[-1]]).copy_(t)
            yield EvaluatedBatch(self.program.objectives, logits, targets)

    def means(self, errors: bool = False) -> Sums:
        """Compute means (R,) over the split: `loss`, for classification `accuracy`.

        For heads that predict a standard deviation also `predicted_std`, over all targets. With
        `errors`, for regression `rmse`: √ of the mean of (ŷ − t)² over examples and targets, ŷ
        being the prediction, of a Gaussian its mean, so that runs of different losses compare.
        """
        squares = errors and not self.program.classification
        parts = []
        for batch in self.batches():
            parts.append(sums_of(self.program, batch))
            if squares:
                residuals = batch.predictions[..., : batch.targets.shape[-1]] - batch.targets
                parts[-1]["rmse"] = residuals.square().mean(-1).sum(1)
        means = {name: self.program.of_runs(own / self.count) for name, own in added(parts).items()}
        if squares:
            means["rmse"] = means["rmse"].sqrt()
        return means


def sums_of(program: Program, batch: EvaluatedBatch) -> Sums:
    """Sum over the examples (L,): loss, and what the kind of the data has besides."""
    sums = {"loss": batch.losses.sum(1)}
    if program.spread:
        spreads = batch.predictions[..., batch.targets.shape[-1] :]
        sums["predicted_std"] = spreads.mean(-1).sum(1)
    if program.classification:
        sums["accuracy"] = batch.right.sum(1)
    return sums


def added(parts: list[Sums]) -> Sums:
    """Add up the sums of all parts by name."""
    return {name: sum((part[name] for part in parts[1:]), parts[0][name]) for name in parts[0]}


def means_of(evaluations: Mapping[str, Evaluation], errors: bool = False) -> Sums:
    """Compute means (R,) by tag over the splits of these names."""
    return {
        f"{name}/{split}": values
        for split, evaluation in evaluations.items()
        for name, values in evaluation.means(errors).items()
    }
