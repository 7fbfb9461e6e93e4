"""Forward passes over a split, judged by the objectives: validation, diagnostics, figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

import torch
from torch import Tensor

from mlr.probes.base import Subject, lengths
from mlr.training.examples import Examples
from mlr.training.memory import MOST_ROWS
from mlr.training.run_objectives import RunObjectives
from mlr.training.step import Program

MOST_ROWS_LANES_LAST = 256
CHUNK_VALUES = 1 << 21
"""Feature values of one run evaluated at a time. It bounds the memory of activations; it must not
depend on the number of runs, because sums of parts round by the parts. Lanes last, few rows of
many lanes fill the cache."""

Sums = dict[str, Tensor]
LABEL_COUNTS = LABELS_FOUND, LABELS_PREDICTED, LABELS_THERE = (
    *("labels_found", "labels_predicted", "labels_there"),
)
"""Numbers of examples of which each label (L, K) is predicted rightly, is predicted, is 1."""


class EvaluatedBatch:
    """Logits z and targets t (L, B, K), and quantities derived from them when first used.

    Weights (L, B) multiply losses and gradients; None: 1 each.
    """

    def __init__(
        self,
        objectives: RunObjectives,
        logits: Tensor,
        targets: Tensor,
        multilabel: bool = False,
        weights: Tensor | None = None,
    ) -> None:
        self.objectives, self.logits, self.targets = objectives, logits, targets
        self.multilabel, self.weights = multilabel, weights

    @cached_property
    def losses(self) -> Tensor:
        """L (L, B)."""
        losses = self.objectives.losses(self.logits, self.targets)
        return losses if self.weights is None else losses * self.weights

    @cached_property
    def logit_grads(self) -> Tensor:
        """dL/dz (L, B, K)."""
        gradient = self.objectives.gradient(self.logits, self.targets)
        return gradient if self.weights is None else gradient * self.weights.unsqueeze(-1)

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
        """1.0 for correct predictions, of several labels for all correct, else 0.0 (L, B)."""
        if self.multilabel:
            return self.right_labels.amin(-1)
        return self.objectives.right(self.logits, self.labels)

    @cached_property
    def right_labels(self) -> Tensor:
        """1.0 for each of several labels predicted rightly, else 0.0 (L, B, K)."""
        return self.objectives.right_labels(self.logits, self.targets)


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
        self.weighted = examples.weighted
        self.count = examples.count if chosen is None else len(chosen)
        self.chunks = examples.chunks(self.size, chosen)

    def batches(self) -> Iterator[EvaluatedBatch]:
        """Pass all batches through the networks in evaluation mode."""
        for inputs, t in self.chunks:
            logits = self.program.network.logits(inputs)
            weights = None
            if self.weighted:
                weights = torch.empty_like(logits[..., 0]).copy_(t[..., -1])
                t = t[..., :-1]
            # copied, because operations on expanded (stride 0) tensors are slow
            targets = torch.empty_like(logits[..., : t.shape[-1]]).copy_(t)
            program = self.program
            yield EvaluatedBatch(program.objectives, logits, targets, program.multilabel, weights)

    def means(
        self, errors: bool = False, watch: Callable[[EvaluatedBatch], None] | None = None
    ) -> Sums:
        """Compute means (R,) over the split: `loss`, for classification `accuracy`.

        For several labels the four numbers of `judged_by`, for heads that predict a density
        `predicted_std`, its deviation, over all targets. With `errors`, for regression `rmse`: √ of
        the mean of (ŷ − t)² over examples and targets, ŷ being the prediction, of a density its
        mean, so that runs of different losses compare. `watch` is called with each batch of the
        pass.
        """
        squares = errors and not self.program.subject.judged
        parts = []
        for batch in self.batches():
            parts.append(sums_of(self.program, batch))
            if watch is not None:
                watch(batch)
            if squares:
                points = self.program.objectives.points(batch.predictions, batch.targets)
                residuals = points - batch.targets
                if self.program.units is not None:
                    residuals = self.program.units.differences(residuals)
                parts[-1]["rmse"] = residuals.square().mean(-1).sum(1)
        sums = added(parts)
        scores = f1_scores(*(sums.pop(name) for name in LABEL_COUNTS if name in sums))
        own = {name: values / self.count for name, values in sums.items()} | scores
        means = {name: self.program.of_runs(values) for name, values in own.items()}
        if squares:
            means["rmse"] = means["rmse"].sqrt()
        return means


def sums_of(program: Program, batch: EvaluatedBatch) -> Sums:
    """Sum over the examples (L,): loss, and what the kind of the data has besides."""
    sums = {"loss": batch.losses.sum(1)}
    if program.spread:
        stds = program.objectives.stds(batch.predictions, batch.targets)
        if program.units is not None:
            stds = program.units.differences(stds)
        sums["predicted_std"] = stds.mean(-1).sum(1)
    if program.classification:
        sums["accuracy"] = batch.right.sum(1)
    if program.multilabel:
        sums |= sums_of_labels(batch)
    return sums


def sums_of_labels(batch: EvaluatedBatch) -> Sums:
    """Sum over the examples what several labels have: (L,), and counts of each label (L, K)."""
    right, t = batch.right_labels, batch.targets
    found = right * t
    # a label that is predicted is right and there, or wrong and not there
    false = (1 - right) * (1 - t)
    return {
        "label_accuracy": right.mean(-1).sum(1),
        "exact_match": right.amin(-1).sum(1),
        LABELS_FOUND: found.sum(1),
        LABELS_PREDICTED: (found + false).sum(1),
        LABELS_THERE: t.sum(1),
    }


def f1_scores(*counts: Tensor) -> Sums:
    """Compute F1 (L,) of the counts `LABEL_COUNTS` (L, K) of several labels; {} without them.

    F1 = 2·found / (predicted + there), 0 for a label that is neither: `f1_micro` of the counts over
    all labels, `f1_macro` the mean over labels.

    Source: scikit-learn, f1_score with zero_division=0.
    """
    if not counts:
        return {}
    found, predicted, there = counts
    either = predicted + there
    micro = 2 * found.sum(1) / either.sum(1).clamp(min=1)
    return {"f1_micro": micro, "f1_macro": (2 * found / either.clamp(min=1)).mean(1)}


def judged_by(subject: Subject) -> tuple[str, ...]:
    """Name the numbers besides the loss by which predictions of a split are judged.

    Of several labels: F1 over all labels and its mean over labels; the share of labels that are
    right, and of examples with all labels right.
    """
    if subject.multilabel:
        return ("f1_micro", "f1_macro", "label_accuracy", "exact_match")
    return ("accuracy",) if subject.classes is not None else ("rmse",)


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
