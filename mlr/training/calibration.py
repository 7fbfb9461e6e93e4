"""Calibration: how far the probabilities that a run predicts are met.

Over a whole split:

- ECE, Σ_b n_b/N |share right − mean confidence|, over 15 bins of equal width or, adaptive, of
  equally many examples; confidence is the prediction for the predicted class;
- Brier score, the mean of Σ_k (p_k − t_k)², halved for two classes, so that one output and two
  agree, and its parts: brier = reliability − resolution + uncertainty;
- NLL, the mean of −log p of the true class, where the head predicts one distribution over the
  classes;
- the temperature T that makes the NLL of z/T least on the validation split, and the test NLL
  with it.

Several labels count as one yes/no prediction each. Of ordered classes p_k is the share of class k,
the difference of two levels, and the predicted class is the median.

Sources: Guo et al., On calibration of modern neural networks, ICML 2017 (ECE, temperature);
Nguyen & O'Connor, EMNLP 2015 (bins of equal counts); Murphy, A new vector partition of the
probability score, 1973; Stephenson et al., Two extra components in the Brier score decomposition,
2008, by which the resolution includes what varies within a bin, and the sum is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.core.domains import LEVELS, OPEN_UNIT, UNIT
from mlr.heads import Head, Softmax
from mlr.losses import BinaryCrossEntropy, CrossEntropy, OrdinalNll
from mlr.objectives import Objective
from mlr.probes.families.classes import are_levels
from mlr.training.diagnostics_report import sorted_rows
from mlr.training.evaluation import EvaluatedBatch
from mlr.training.run_objectives import RunObjectives

BINS = 15
COOLEST, HOTTEST = 0.05, 20.0
"""Limits of the temperature; where every prediction is right, the best one is 0."""
MOST_VALUES = 1 << 20
"""Logits of one run by which the temperature is fitted: it bounds the memory."""
_TOGETHER = 1 << 22
"""Logits of several runs that are fitted at a time."""
_STEPS, _CLOSE = 60, 1e-8

Doubles = NDArray[np.float64]
Slopes = Callable[[NDArray[np.bool_], Doubles], tuple[Doubles, Doubles]]
"""First and second derivative of an NLL by 1/T, of chosen lanes, at their values of 1/T."""


class Bins(NamedTuple):
    """Statistics of bins of confidence, each (L, B)."""

    counts: NDArray[np.int64]  # examples
    right: Doubles  # number of right ones
    confidence: Doubles  # sum of the confidences

    @property
    def error(self) -> Doubles:
        """Expected calibration error (L,)."""
        return np.abs(self.right - self.confidence).sum(1) / self.counts.sum(1)


def equal_width(confidence: Doubles, right: Doubles) -> Bins:
    """Sort predictions (L, N) into bins ((b − 1)/B, b/B]; a confidence of 0 is in the first."""
    return _binned(_places(confidence), confidence, right)


def _places(shares: Doubles) -> NDArray[np.int64]:
    """Number the bins of equal width from 0; of what is no share, some bin."""
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.ceil(shares * BINS).clip(1, BINS), nan=1).astype(np.int64) - 1


def equal_mass(confidence: Doubles, right: Doubles) -> Bins:
    """Sort predictions (L, N) into bins of equally many; equal confidences share a bin."""
    count = confidence.shape[1]
    ordered = sorted_rows(torch.from_numpy(confidence))
    ends = -(-np.arange(1, BINS) * count // BINS) - 1
    limits = ordered[:, ends.clip(0)].contiguous()
    places = torch.searchsorted(limits, torch.from_numpy(confidence)).numpy()
    return _binned(places, confidence, right)


def _binned(places: NDArray[np.int64], confidence: Doubles, right: Doubles) -> Bins:
    lanes = len(places)
    flat = (places + BINS * np.arange(lanes)[:, None]).ravel()
    counts, hits, sums = (
        np.bincount(flat, weights, BINS * lanes).reshape(lanes, BINS)
        for weights in (None, right.ravel(), confidence.ravel())
    )
    return Bins(counts.astype(np.int64), hits.astype(np.float64), sums.astype(np.float64))


class Forecasts:
    """Sums of forecast probabilities p (L, B, K) and outcomes t by bin of p, of each class.

    Args:
        lanes: L.
        outputs: K.
    """

    def __init__(self, lanes: int, outputs: int) -> None:
        self.shape = lanes, outputs, BINS
        self.counts, self.outcomes, self.sums = np.zeros((3, *self.shape))

    def add(self, p: Doubles, t: Doubles) -> None:
        """Add a batch."""
        lanes, outputs, bins = self.shape
        places = _places(p)
        places += bins * (np.arange(lanes)[:, None, None] * outputs + np.arange(outputs))
        flat, size = places.ravel(), lanes * outputs * bins
        self.counts += np.bincount(flat, minlength=size).reshape(self.shape)
        self.outcomes += np.bincount(flat, t.ravel(), size).reshape(self.shape)
        self.sums += np.bincount(flat, p.ravel(), size).reshape(self.shape)

    def parts(self, brier: Doubles) -> dict[str, Doubles]:
        """Split Brier scores (L,), sums over classes, into their three parts."""
        count = self.counts.sum(2)
        gaps = (self.sums - self.outcomes) ** 2 / np.maximum(self.counts, 1)
        share = self.outcomes.sum(2) / count
        reliability = (gaps.sum(2) / count).sum(1)
        uncertainty = (share * (1 - share)).sum(1)
        resolution = reliability + uncertainty - brier
        return {"reliability": reliability, "resolution": resolution, "uncertainty": uncertainty}


class Probabilities:
    """Collects the predictions of one split of L lanes, batch by batch.

    Args:
        likelihoods: head and −log-likelihood of the lanes.
        classes: K; None for several labels.
        kept: largest number of logits of a lane that are kept for `temperatures`.
        temperatures: (L,) by which logits are divided for a second NLL; None for none.
    """

    def __init__(
        self,
        likelihoods: RunObjectives,
        classes: int | None,
        kept: int = 0,
        temperatures: Tensor | None = None,
    ) -> None:
        self.likelihoods, self.classes = likelihoods, classes
        self.room, self.temperatures = kept, temperatures
        self.parts: list[dict[str, Doubles]] = []
        self.logits: list[tuple[Tensor, Tensor]] = []
        self.forecasts: Forecasts | None = None

    def add(self, batch: EvaluatedBatch) -> None:
        """Add logits, targets and predictions (L, B, K)."""
        logits, targets, predictions = batch.logits, batch.targets, batch.predictions
        right = batch.right_labels if batch.multilabel else batch.right
        if batch.multilabel:
            right = right.flatten(1)
            logits, targets, predictions = (
                one.contiguous().flatten(1).unsqueeze(-1) for one in (logits, targets, predictions)
            )
        y, t, hits = _doubles(predictions), _doubles(targets), _doubles(right)
        if are_levels(predictions, self.classes):
            shares = self.likelihoods.groups[0].head.class_shares
            y, t = (_doubles(shares(one)) for one in (predictions, targets))
            # the class that is decided is the median, not the one of the largest share
            decided = _doubles(self.likelihoods.decided(logits)).astype(np.int64)
            confidence = np.take_along_axis(y, decided[..., None], 2)[..., 0]
        elif y.shape[2] == 1:
            confidence = np.where((t[..., 0] > 0.5) == (hits > 0), y[..., 0], 1 - y[..., 0])
        else:
            # the class that is decided, also where clipping makes a tie
            confidence = y.max(2)
        part = {
            "confidence": confidence,
            "right": hits,
            "brier": np.square(y - t).sum(2),
            "nll": _doubles(self.likelihoods.losses(logits, targets)),
        }
        if self.temperatures is not None:
            scaled = logits / self.temperatures.to(logits.dtype).view(-1, 1, 1)
            part["nll_scaled"] = _doubles(self.likelihoods.losses(scaled, targets))
        self.parts.append(part)
        if self.forecasts is None:
            self.forecasts = Forecasts(len(y), y.shape[2])
        self.forecasts.add(y, t)
        fitting = max(0, min(logits.shape[1], self.room // logits.shape[2]))
        if fitting:
            self.room -= fitting * logits.shape[2]
            self.logits.append((logits[:, :fitting], targets[:, :fitting]))

    def numbers(self) -> tuple[dict[str, Doubles], Bins]:
        """Compute the scores (L,), and the bins of the reliability diagram."""
        assert self.forecasts is not None, "no batch was added"
        columns = {
            name: np.ascontiguousarray(np.concatenate([part[name] for part in self.parts], 1))
            for name in self.parts[0]
        }
        confidence, right = columns.pop("confidence"), columns.pop("right")
        means = {name: own.sum(1) / own.shape[1] for name, own in columns.items()}
        bins = equal_width(confidence, right)
        found = {"ece": bins.error, "ece_adaptive": equal_mass(confidence, right).error}
        found |= means | self.forecasts.parts(means["brier"])
        if self.classes == 2 and self.forecasts.shape[1] == 2:
            for name in ("brier", "reliability", "resolution", "uncertainty"):
                found[name] = found[name] / 2
        return found, bins

    def fitted(self, rows: slice, softmax: bool) -> Doubles:
        """Fit the temperatures of some lanes by the logits that were kept."""
        logits, targets = (
            torch.cat([part[rows] for part in one], 1) for one in zip(*self.logits, strict=True)
        )
        lanes = max(1, _TOGETHER // logits[0].numel())
        parts = zip(logits.split(lanes), targets.split(lanes), strict=True)
        return np.concatenate([fit_temperatures(z, t, softmax) for z, t in parts])


def _doubles(values: Tensor) -> Doubles:
    """Copy to numpy, in the order of the axes: sums then do not depend on the layout."""
    return np.ascontiguousarray(values.detach().cpu().numpy(), dtype=np.float64)


@np.errstate(over="ignore", invalid="ignore")
def fit_temperatures(logits: Tensor, targets: Tensor, softmax: bool) -> Doubles:
    """Find the T (L,) for which the NLL of z/T is least, for logits and targets (L, N, K).

    In 1/T the NLL is convex: Newton's steps, halving the interval where one leaves it.

    Args:
        logits: z.
        targets: t, one-hot, or 0 and 1 for each output.
        softmax: True if the outputs share a softmax, False if each has a sigmoid.
    """
    slopes = (_of_softmax if softmax else _of_sigmoid)(logits, targets)
    lanes = len(logits)
    low, high = np.full(lanes, 1 / HOTTEST), np.full(lanes, 1 / COOLEST)
    every = np.ones(lanes, dtype=bool)
    at_end = slopes(every, high)[0]
    # the NLL of separated classes falls to the end
    ends, active = at_end <= 0, at_end > 0
    rate = np.where(ends, high, np.where(active, 1.0, np.nan))
    for _ in range(_STEPS):
        if not active.any():
            break
        now = rate[active]
        slope, curve = slopes(active, now)
        low[active] = np.where(slope < 0, now, low[active])
        high[active] = np.where(slope < 0, high[active], now)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = now - slope / curve
        inside = (step > low[active]) & (step < high[active])
        # in the middle of the logarithms, as the interval spans decades
        step = np.where(inside, step, np.sqrt(low[active] * high[active]))
        rate[active] = step
        active[active] = np.abs(step - now) > _CLOSE * now
    return 1 / rate


def _of_softmax(logits: Tensor, targets: Tensor) -> Slopes:
    """Return the derivatives of the NLL by 1/T: sums of p_k (z_k − z_t), which do not cancel."""
    z, t = _doubles(logits), _doubles(targets)
    with np.errstate(invalid="ignore"):
        below, gaps = z - z.max(2, keepdims=True), z - (z * t).sum(2, keepdims=True)

    def slopes(chosen: NDArray[np.bool_], rate: Doubles) -> tuple[Doubles, Doubles]:
        p = np.exp(below[chosen] * rate[:, None, None])
        p /= p.sum(2, keepdims=True)
        weighted = p * gaps[chosen]
        mean = weighted.sum(2)
        return mean.sum(1), (weighted * gaps[chosen]).sum((1, 2)) - (mean * mean).sum(1)

    return slopes


def _of_sigmoid(logits: Tensor, targets: Tensor) -> Slopes:
    """Return the derivatives likewise: sums of −m σ(−m/T), m being z for t = 1 and −z for t = 0."""
    margins = ((2 * _doubles(targets) - 1) * _doubles(logits)).reshape(len(logits), -1)

    def slopes(chosen: NDArray[np.bool_], rate: Doubles) -> tuple[Doubles, Doubles]:
        m = margins[chosen]
        small = np.exp(-np.abs(m * rate[:, None]))
        wrong = np.where(m > 0, small, 1.0) / (1 + small)
        return -(m * wrong).sum(1), (m * m * small / (1 + small) ** 2).sum(1)

    return slopes


def has_probabilities(head: Head) -> bool:
    """Tell if predictions are shares of classes."""
    return UNIT.contains(head.range)


def likelihood_of(head: Head, outputs: int, multilabel: bool) -> Objective | None:
    """Return the head with its −log-likelihood; None if it predicts no distribution of classes.

    K outputs that do not sum to 1 are none, nor is one that can be exactly 0 for the true class.
    """
    if isinstance(head, Softmax):
        return Objective(head, CrossEntropy(), outputs=outputs)
    if head.range == LEVELS and not multilabel:
        return Objective(head, OrdinalNll(), outputs=outputs)
    if head.range != OPEN_UNIT or (outputs > 1 and not multilabel):
        return None
    return Objective(head, BinaryCrossEntropy(), outputs=outputs)


def judge(objective: Objective, batch: EvaluatedBatch, classes: int | None) -> dict[str, float]:
    """Compute ECE, Brier score and NLL of the examples of one run; empty without probabilities.

    Args:
        objective: head and loss of the run.
        batch: logits and targets (1, N, K), judged by it.
        classes: K; None for several labels, or values.
    """
    head, multilabel = objective.head, batch.multilabel
    if not has_probabilities(head) or (classes is None and not multilabel):
        return {}
    likelihood = likelihood_of(head, batch.logits.shape[2], multilabel)
    # without a likelihood the NLL is left out
    sums = Probabilities(RunObjectives([likelihood or objective]), classes)
    sums.add(batch)
    found, _ = sums.numbers()
    chosen = ("ece", "brier", "nll") if likelihood is not None else ("ece", "brier")
    return {name: float(found[name][0]) for name in chosen}
