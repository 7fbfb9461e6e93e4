"""Calibration: how well the probabilities that a run predicts agree with what happens.

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
_TOGETHER = 1 << 17
"""Logits of several runs that are fitted at a time, in the cache of a core."""
_STEPS, _CLOSE = 60, 1e-8

Doubles = NDArray[np.float64]
Slopes = Callable[[NDArray[np.int64], Doubles], tuple[Doubles, Doubles]]
"""First and second derivative of an NLL by 1/T, of lanes by number, at their values of 1/T."""


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
    places = shares * BINS
    np.ceil(places, out=places)
    # the smaller and the larger number, and of NaN and a number the number
    np.fmin(np.fmax(places, 1, out=places), BINS, out=places)
    return places.astype(np.int64) - 1


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
    """Sums over forecast probabilities p and outcomes t (L, K, B), by bin of p of each class.

    Args:
        lanes: L.
        outputs: K.
    """

    def __init__(self, lanes: int, outputs: int) -> None:
        self.shape = lanes, outputs, BINS
        self.counts, self.gaps = np.zeros((2, *self.shape))
        self.outcomes = np.zeros((lanes, outputs))

    def add(self, p: Doubles, t: Doubles) -> None:
        """Add a batch."""
        lanes, outputs, bins = self.shape
        places = _places(p)
        places += bins * np.arange(lanes * outputs).reshape(lanes, outputs, 1)
        flat, size = places.ravel(), lanes * outputs * bins
        self.counts += np.bincount(flat, minlength=size).reshape(self.shape)
        self.gaps += np.bincount(flat, (p - t).ravel(), size).reshape(self.shape)
        self.outcomes += t.sum(2)

    def parts(self, brier: Doubles) -> dict[str, Doubles]:
        """Split Brier scores (L,), sums over classes, into their three parts."""
        count = self.counts.sum(2)
        share = self.outcomes / count
        reliability = ((self.gaps**2 / np.maximum(self.counts, 1)).sum(2) / count).sum(1)
        uncertainty = (share * (1 - share)).sum(1)
        resolution = reliability + uncertainty - brier
        return {"reliability": reliability, "resolution": resolution, "uncertainty": uncertainty}


class Probabilities:
    """Collects the predictions of one split of L lanes, batch by batch.

    Args:
        likelihoods: head and −log-likelihood of the lanes; those of the batches themselves, where
            they are the same or there is none.
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
        self.confidences: list[tuple[Doubles, Doubles]] = []
        """confidence, and 1 where it is right (L, B), of each batch"""
        self.sums: dict[str, Doubles] = {}
        self.count = 0
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
        hits, levels = _doubles(right), are_levels(predictions, self.classes)
        if levels:
            shares = batch.objectives.groups[0].head.class_shares
            targets_of, y = shares(targets), _classes_first(shares(predictions))
        else:
            targets_of, y = targets, _classes_first(predictions)
        t = _classes_first(targets_of)
        if levels:
            # the class that is decided is the median, not the one of the largest share
            decided = _doubles(batch.objectives.decided(logits)).astype(np.int64)
            confidence = np.take_along_axis(y, decided[:, None], 1)[:, 0]
        elif y.shape[1] == 1:
            confidence = np.where((t[:, 0] > 0.5) == (hits > 0), y[:, 0], 1 - y[:, 0])
        else:
            # the class that is decided, also where clipping makes a tie
            confidence = y.max(1)
        own = self.likelihoods is batch.objectives and not batch.multilabel
        losses = batch.losses if own else self.likelihoods.losses(logits, targets)
        found = {"brier": np.square(y - t).sum(1).sum(1), "nll": _doubles(losses).sum(1)}
        if self.temperatures is not None:
            scaled = logits / self.temperatures.to(logits.dtype).view(-1, 1, 1)
            found["nll_scaled"] = _doubles(self.likelihoods.losses(scaled, targets)).sum(1)
        self.confidences.append((confidence, hits))
        self.sums = {name: self.sums.get(name, 0.0) + own for name, own in found.items()}
        self.count += confidence.shape[1]
        if self.forecasts is None:
            self.forecasts = Forecasts(*y.shape[:2])
        self.forecasts.add(y, t)
        fitting = max(0, min(logits.shape[1], self.room // logits.shape[2]))
        if fitting:
            self.room -= fitting * logits.shape[2]
            self.logits.append((logits[:, :fitting], targets[:, :fitting]))

    def numbers(self) -> tuple[dict[str, Doubles], Bins]:
        """Compute the scores (L,), and the bins of the reliability diagram."""
        assert self.forecasts is not None, "no batch was added"
        confidence, right = (
            np.ascontiguousarray(np.concatenate(parts, 1))
            for parts in zip(*self.confidences, strict=True)
        )
        means = {name: own / self.count for name, own in self.sums.items()}
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


def _classes_first(values: Tensor) -> Doubles:
    """Copy values (L, B, K) to numpy as (L, K, B): sums over K few numbers are then fast."""
    return _doubles(values.transpose(1, 2))


@np.errstate(divide="ignore", over="ignore", invalid="ignore")
def fit_temperatures(logits: Tensor, targets: Tensor, softmax: bool) -> Doubles:
    """Find the T (L,) for which the NLL of z/T is least, for logits and targets (L, N, K).

    In 1/T the NLL is convex: Newton's steps from T = 1. A step that leaves the interval, and every
    eighth, goes to its middle; below every falling NLL that is known, to the limit of T.

    Args:
        logits: z.
        targets: t, one-hot, or 0 and 1 for each output.
        softmax: True if the outputs share a softmax, False if each has a sigmoid.
    """
    slopes = (_of_softmax if softmax else _of_sigmoid)(logits, targets)
    coolest, hottest = 1 / COOLEST, 1 / HOTTEST
    lanes = len(logits)
    rate, low, high = np.ones(lanes), np.full(lanes, hottest), np.full(lanes, coolest)
    falling, active = np.zeros(lanes, dtype=bool), np.arange(lanes)
    slope, curve = slopes(active, rate)
    # the NLL of separated classes falls to the end, by Newton's steps slowly
    up = active[slope <= 0]
    rate[up[slopes(up, high[up])[0] <= 0]] = coolest
    active = active[rate < coolest]
    slope, curve = slope[active], curve[active]
    for count in range(1, _STEPS):
        now = rate[active]
        low[active] = np.where(slope < 0, now, low[active])
        high[active] = np.where(slope > 0, now, high[active])
        falling[active] |= slope < 0
        below, above = low[active], high[active]
        # in the middle of the logarithms, as the interval spans decades
        other = np.where((slope <= 0) | falling[active], np.sqrt(below * above), hottest)
        step = now - slope / curve
        inside = (step >= below) & (step <= above) & (count % 8 > 0)
        step = np.where(inside, step, other)
        step[np.isnan(slope)] = np.nan
        rate[active] = step
        active = active[np.abs(step - now) > _CLOSE * now]
        if not len(active):
            break
        slope, curve = slopes(active, rate[active])
    return 1 / rate


def _of_softmax(logits: Tensor, targets: Tensor) -> Slopes:
    """Return the derivatives of the NLL by 1/T: sums of p_k (z_k − z_t), which do not cancel."""
    z, t = _classes_first(logits), _classes_first(targets)
    gaps = z - (z * t).sum(1, keepdims=True)
    below = np.subtract(z, z.max(1, keepdims=True), out=z)

    def slopes(chosen: NDArray[np.int64], rate: Doubles) -> tuple[Doubles, Doubles]:
        own = gaps if len(chosen) == len(gaps) else gaps[chosen]
        p = (below if own is gaps else below[chosen]) * rate[:, None, None]
        np.exp(p, out=p)
        total = p.sum(1)
        p *= own
        mean = p.sum(1) / total
        p *= own
        return mean.sum(1), (p.sum(1) / total - mean * mean).sum(1)

    return slopes


def _of_sigmoid(logits: Tensor, targets: Tensor) -> Slopes:
    """Return the derivatives likewise: sums of −m σ(−m/T), m being z for t = 1 and −z for t = 0."""
    margins = ((2 * _doubles(targets) - 1) * _doubles(logits)).reshape(len(logits), -1)

    def slopes(chosen: NDArray[np.int64], rate: Doubles) -> tuple[Doubles, Doubles]:
        m = margins if len(chosen) == len(margins) else margins[chosen]
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
    likelihoods = batch.objectives if likelihood is None else RunObjectives([likelihood])
    sums = Probabilities(likelihoods, classes)
    sums.add(batch)
    found, _ = sums.numbers()
    chosen = ("ece", "brier", "nll") if likelihood is not None else ("ece", "brier")
    return {name: float(found[name][0]) for name in chosen}
