"""Examples of a run at one moment: the data of all figures."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os.path import commonprefix
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from mlr.core.domains import LEVELS
from mlr.core.seeds import derive_seed
from mlr.data.base import Split
from mlr.records.series import Series, read_series
from mlr.training import Experiment
from mlr.training.evaluation import EvaluatedBatch
from mlr.training.examples import targets_of
from mlr.training.run_objectives import RunObjectives

Array = NDArray[np.floating]
MOST_EXAMPLES = {"train": 1_000, "val": 2_000}
"""Examples used of a larger split, the same in every run and at every moment."""
_ROWS = 500  # examples that go through the network at a time: it bounds the memory


@dataclass(frozen=True)
class Seen:
    """N examples of one split, without those with a non-finite logit or loss."""

    features: Array  # (N, *feature_shape)
    targets: Array  # t (N, K)
    labels: NDArray[np.int64] | None  # classes (N,); None for regression
    logits: Array  # z (N, K)
    predictions: Array  # y (N, K)
    losses: Array  # L (N,)
    logit_grads: Array  # dL/dz (N, K)
    decided: NDArray[np.int64] | None  # predicted classes (N,); None for regression
    lost: int  # number of examples left out
    ordered: bool = False  # whether predictions are levels of ordered classes

    @property
    def right(self) -> NDArray[np.bool_] | None:
        """Tell if each example is predicted correctly (N,); None for regression."""
        return None if self.labels is None else self.labels == self.decided

    @cached_property
    def grad_sizes(self) -> Array:
        """‖dL/dz‖₂ (N,)."""
        return np.linalg.norm(self.logit_grads, axis=1)

    @cached_property
    def class_scores(self) -> Array:
        """Scores of each class (N, classes), clipped to [0, 1]; (1 − y, y) for one output."""
        if self.ordered:
            return LEVELS.shares(torch.from_numpy(self.predictions)).numpy().clip(0, 1)
        scores = self.predictions.clip(0, 1)
        return np.hstack([1 - scores, scores]) if scores.shape[1] == 1 else scores


@dataclass(frozen=True)
class Moment:
    """A run with its parameters θ and its buffers after `step` updates."""

    experiment: Experiment
    step: int
    parameters: Mapping[str, Tensor]
    metrics: Path | None = None  # the run's metrics.csv; None where nothing was recorded
    buffers: Mapping[str, Tensor] = field(default_factory=dict)  # those of its module otherwise

    @cached_property
    def series(self) -> Series | None:
        """The series recorded up to this moment; None if there is none."""
        whole = None if self.metrics is None else read_series(self.metrics)
        if whole is None:
            return None
        rows = int((whole.steps <= self.step).sum())
        return whole._replace(steps=whole.steps[:rows], values=whole.values[:rows], epochs=None)

    @cached_property
    def network(self) -> Callable[[Tensor], Tensor]:
        """Features (N, …) → logits (N, K), in evaluation, in the run's dtype, on the CPU."""
        module = copy.deepcopy(self.experiment.module).cpu().eval()
        dtype = getattr(torch, self.experiment.dtype)
        module = module.to(dtype)

        @torch.no_grad()
        def logits(features: Tensor) -> Tensor:
            parts = features.to("cpu", dtype).split(_ROWS)
            own = {**self.parameters, **self.buffers}
            with torch.random.fork_rng(devices=[]):  # a user's module may draw
                torch.manual_seed(derive_seed(self.experiment.seed, "evaluation"))
                return torch.cat([functional_call(module, own, (part,)) for part in parts])

        return logits

    @cached_property
    def train(self) -> Seen:
        """Examples of the training split."""
        return self._look("train")

    @cached_property
    def val(self) -> Seen | None:
        """Examples of the validation split; None without validation."""
        return self._look("val") if self.experiment.data.validated else None

    def class_names(self, most: int) -> list[str]:
        """Names of the classes, cut to `most` characters; numbers if they have none.

        A common prefix is left out first, as the Iris- of Iris-setosa.
        """
        data = self.experiment.data
        names = data.labels or [str(number) for number in range(data.classes or 0)]
        alike = len(commonprefix(names))  # noqa: RUF071
        if max(map(len, names), default=0) > most and alike < min(map(len, names)):
            names = [name[alike:] for name in names]
        return [_safe(name if len(name) <= most else f"{name[: most - 1]}…") for name in names]

    def told(self, values: Array) -> Array:
        """Convert targets or predictions (N, K) of a regression to the unit of the data."""
        scaling = self.experiment.data.target_scaling
        return values if scaling is None else values * scaling.divisor + scaling.offset

    def points(self, predictions: Array) -> Array:
        """Compute the number that stands for each target of a regression (N, K), in its unit."""
        head = self.experiment.objective.head
        return self.told(head.point(torch.from_numpy(predictions)).numpy())

    def judge(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Compute losses (N,) and dL/dz (N, K) of logits and targets (N, K) as training does."""
        own = self.experiment
        objectives = RunObjectives(
            [own.objective], False, [own.class_weights], logits.dtype, logits.device
        )
        batch = EvaluatedBatch(objectives, logits[None], targets[None])
        return batch.losses[0], batch.logit_grads[0]

    def _look(self, name: str) -> Seen:
        data, head = self.experiment.data, self.experiment.objective.head
        features, labels = _some(getattr(data, name), MOST_EXAMPLES[name])
        logits, count = self.network(features), len(features)
        features, labels, logits = _where(logits.isfinite().all(1), features, labels, logits)
        targets = targets_of(head, labels, data.classes, logits.shape[1], logits.dtype)
        losses, grads = self.judge(logits, targets)
        classes = [] if data.classes is None else [labels, head.classify(logits)]
        numbers = (features, targets, logits, head(logits), losses, grads)
        kept = [one.numpy() for one in _where(losses.isfinite(), *numbers, *classes)]
        x, t, z, y, costs, slopes = (one.astype(np.float64) for one in kept[:6])
        known, decided = kept[6:] or (None, None)
        return Seen(x, t, known, z, y, costs, slopes, decided, count - len(costs), head.ordered)


def _safe(name: str) -> str:
    """Escape a user's name for matplotlib: no formula, only printable characters."""
    return "".join(char if char.isprintable() else "?" for char in name).replace("$", r"\$")


def _some(split: Split, most: int) -> tuple[Tensor, Tensor]:
    """Select features and targets of at most `most` examples, on the CPU."""
    count = len(split)
    chosen: slice | Tensor = slice(None)
    if count > most:
        generator = torch.Generator().manual_seed(derive_seed(0, "figures", count))
        chosen = torch.randperm(count, generator=generator)[:most].to(split.features.device)
    return split.features[chosen].cpu(), split.targets[chosen].cpu()


def _where(chosen: Tensor, *columns: Tensor) -> list[Tensor]:
    """Select the chosen rows of every column."""
    return [column[chosen] for column in columns]
