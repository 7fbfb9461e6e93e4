"""Means over a whole split, for all runs at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from mlr.training.examples import Chunk, Examples
from mlr.training.run_objectives import Targets
from mlr.training.step import Program

MOST_ROWS = 2048
MOST_ROWS_LANES_LAST = 256
CHUNK_VALUES = 1 << 21
"""Examples, and feature values of one run, that are evaluated at a time. It bounds the memory
of activations; it must not hang on the number of runs, for sums of parts round by the parts.
Lanes last, few rows of many lanes fill the cache."""


class Evaluation:
    """A split, ready to be evaluated again and again.

    Args:
        examples: the split.
        program: whose runs are judged.
    """

    def __init__(self, examples: Examples, program: Program) -> None:
        most = MOST_ROWS_LANES_LAST if program.network.lanes_last else MOST_ROWS
        size = max(1, min(most, CHUNK_VALUES // examples.features[0, 0].numel()))
        self.program, self.count = program, examples.count
        self.chunks: Sequence[Chunk] = examples.chunks(size)

    def means(self) -> dict[str, Tensor]:
        """Means (R,) over the split: `loss`, for classification `accuracy`.

        Of heads that predict a standard deviation also `predicted_std`, over all targets.
        """
        return self._means(self._sums)

    def errors(self) -> dict[str, Tensor]:
        """For regression `rmse` (R,): √ of the mean of (ŷ − t)² over examples and targets.

        ŷ is the prediction, of a Gaussian its mean, whatever the loss: so runs of different losses
        can be compared.
        """
        if self.program.classification:
            return {}
        return {"rmse": self._means(self._squares)["square"].sqrt()}

    def _means(self, sums_of: Callable[[Chunk], dict[str, Tensor]]) -> dict[str, Tensor]:
        parts = [sums_of(chunk) for chunk in self.chunks]
        sums = {name: sum((part[name] for part in parts[1:]), parts[0][name]) for name in parts[0]}
        return {name: self.program.of_runs(own / self.count) for name, own in sums.items()}

    def _seen(self, chunk: Chunk) -> tuple[Tensor, Targets]:
        """Logits and targets of a chunk."""
        logits = self.program.network.logits(chunk.inputs)
        # spread over lanes, targets have no order in memory, and operations with them crawl
        values = chunk.targets.values
        like = logits[..., : values.shape[-1]]
        return logits, Targets(torch.empty_like(like).copy_(values))

    def _squares(self, chunk: Chunk) -> dict[str, Tensor]:
        logits, targets = self._seen(chunk)
        residuals = self.program.objectives.centres(logits) - targets.values
        return {"square": residuals.square().mean(-1).sum(1)}

    def _sums(self, chunk: Chunk) -> dict[str, Tensor]:
        objectives = self.program.objectives
        logits, targets = self._seen(chunk)
        sums = {"loss": objectives.losses(logits, targets).sum(1)}
        if self.program.spread:
            sums["predicted_std"] = objectives.spreads(logits).mean(-1).sum(1)
        if self.program.classification:
            sums["accuracy"] = objectives.right(logits, targets).sum(1)
        return sums


def means_of(evaluations: Mapping[str, Evaluation]) -> dict[str, Tensor]:
    """Means (R,) by tag, over the splits of these names."""
    return {
        f"{name}/{split}": values
        for split, evaluation in evaluations.items()
        for name, values in evaluation.means().items()
    }
