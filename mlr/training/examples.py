"""Splits of every run's data in the form that a program reads."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.core.seeds import derive_seed
from mlr.heads import Head
from mlr.training.background import threads
from mlr.training.experiment import Experiment
from mlr.training.memory_layout import Spread, classes_first, distinct
from mlr.training.step import Program

JUDGED = (2_000, 10_000)
"""Least and largest number of training examples that the final diagnosis reads; between, it is a
tenth of those that the updates see, which takes less than a tenth of the training. The accuracy of
a network of MNIST has a standard deviation of 0.3 % over 2,000 examples, and 0.1 % over 10,000.
They are drawn, not evenly spaced: MNIST's writers alternate, and every sixth of its images is
harder than the rest."""


def judged_examples(experiment: Experiment, count: int) -> int:
    """Count the training examples, of `count`, that the final diagnosis of a run reads."""
    least, most = JUDGED
    seen = experiment.total_steps * experiment.batch_size
    return min(count, most, max(least, seen // 10))


def targets_of(
    head: Head, targets: Tensor, classes: int | None, outputs: int, dtype: torch.dtype
) -> Tensor:
    """Convert classes (N,) to the head's t (N, K); values if `classes` is None."""
    return targets.to(dtype) if classes is None else head.encode(targets, outputs).to(dtype)


class Examples:
    """One split of U datasets of equal shape, and the dataset of each lane: `data_of`.

    Features (U, N, …) are flat for dense networks; targets are t (U, N, K), of weighted training
    examples with the weights as a further column (U, N, K + 1).
    """

    def __init__(self, program: Program, split: str) -> None:
        self.program = program
        self.weighted = program.weighted and split == "train"
        firsts, self.data_of = distinct([id(lane.data) for lane in program.lanes])
        self.spread = Spread(self.data_of, program.device)
        features, targets = [], []
        # of lanes with as many outputs and classes all heads have the same form of targets
        head = program.runs[0].objective.head
        for data in (program.lanes[lane].data for lane in firsts):
            own = getattr(data, split)
            x = own.features.to(program.device, program.dtype)
            t = targets_of(head, own.targets, data.classes, program.outputs, program.dtype)
            if self.weighted:
                weights = own.weights.to(t.device, t.dtype)
                t = torch.cat((t, weights.unsqueeze(1)), dim=1)
            features.append(x.flatten(1).contiguous() if program.network.flat_inputs else x)
            targets.append(t.to(program.device))
        # of one dataset nothing is copied
        alone = len(firsts) == 1
        self.features = features[0].unsqueeze(0) if alone else torch.stack(features)
        self.targets = targets[0].unsqueeze(0) if alone else torch.stack(targets)
        self.count = self.features.shape[1]

    def chunks(self, size: int, chosen: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
        """Divide the split, or its `chosen` examples: inputs (L, N, …), targets (L, N, K)."""
        parts = [self.features, self.targets]
        if chosen is not None:
            with threads(self.program.busy):  # copies: nothing rounds
                parts = [part.index_select(1, chosen) for part in parts]
        found = []
        for x, t in zip(*(part.split(size, dim=1) for part in parts), strict=True):
            if self.program.network.lanes_last:
                found.append((self._lanes_last(x), self._lanes_last(t)))
            else:
                expand = self.spread.lanes_first
                found.append((expand(x), expand(classes_first(t))))
        return found

    def _lanes_last(self, values: Tensor) -> Tensor:
        """Expand values (U, N, D) of the datasets to (L, N, D), lanes last in memory."""
        return self.spread.lanes_last(values.permute(2, 1, 0).contiguous()).permute(2, 1, 0)

    def thinned(self) -> Tensor | None:
        """Draw the numbers of `judged_examples`, the same for each seed; None for all."""
        judged = judged_examples(self.program.runs[0], self.count)
        if judged == self.count:
            return None
        generator = torch.Generator().manual_seed(derive_seed(0, "thinned", self.count))
        chosen = torch.randperm(self.count, generator=generator)[:judged]
        return chosen.to(self.features.device)
