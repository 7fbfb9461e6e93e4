"""Means over a whole split, for all runs at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlr.probes.base import lengths
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
        thinned: whether a large split is judged by a part of it.
    """

    def __init__(self, examples: Examples, program: Program, thinned: bool = False) -> None:
        most = MOST_ROWS_LANES_LAST if program.network.lanes_last else MOST_ROWS
        size = max(1, min(most, CHUNK_VALUES // examples.features[0, 0].numel()))
        chosen = examples.thinned() if thinned else None
        self.program = program
        self.count = examples.count if chosen is None else len(chosen)
        self.chunks: Sequence[Chunk] = examples.chunks(size, chosen)

    def means(self, gradients: bool = False) -> dict[str, Tensor]:
        """Means (R,) over the split: `loss`, for classification `accuracy`.

        Of heads that predict a standard deviation also `predicted_std`, over all targets.
        With `gradients` also mean ‖dL/dz‖₂ of the `wrong` and the `right` examples, NaN where
        there is none.
        """
        parts = [
            self._sums(chunk, gradients and self.program.classification) for chunk in self.chunks
        ]
        sums = {name: sum((part[name] for part in parts[1:]), parts[0][name]) for name in parts[0]}
        means = {"loss": sums["loss"] / self.count}
        if self.program.spread:
            means["predicted_std"] = sums["predicted_std"] / self.count
        if self.program.classification:
            means["accuracy"] = sums["right"] / self.count
            if gradients:
                means["wrong"] = sums["wrong_size"] / (self.count - sums["right"])
                means["right"] = sums["right_size"] / sums["right"]
        return {name: self.program.of_runs(own) for name, own in means.items()}

    def _sums(self, chunk: Chunk, gradients: bool) -> dict[str, Tensor]:
        objectives = self.program.objectives
        logits = self.program.network.logits(chunk.inputs)
        # spread over lanes, targets have no order in memory, and operations with them crawl
        given = chunk.targets.given
        like = logits[..., : given.shape[-1]]
        targets = Targets(torch.empty_like(like).copy_(given), self.program.signed)
        sums = {"loss": objectives.losses(logits, targets).sum(1)}
        if self.program.spread:
            sums["predicted_std"] = objectives.spreads(logits).mean(-1).sum(1)
        if self.program.classification:
            right = objectives.right(logits, targets)
            sums["right"] = right.sum(1)
            if gradients:
                sizes = lengths(objectives.gradient(logits, targets))
                sums["right_size"] = (sizes * right).sum(1)
                sums["wrong_size"] = (sizes * (1 - right)).sum(1)
        return sums
