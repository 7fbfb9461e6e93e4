"""The numbers of one run that rules look at; NaN where a run has none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlr.analysis.explain import references
from mlr.records.reading import Recorded

TRAILS = 0.06
"""Training accuracy below that of what was not trained on: sound runs reach 0.03, by chance."""
HARDLY_BETTER = 0.9
"""Of the loss or error of a constant prediction: above that a model has learned next to nothing."""

SMALL = 0.01
"""Gradients and slopes below it count as none: the usual `probes.threshold`."""
FLAT_FROM = 6
"""Bins of logits at either end: below −5 and from 5, where the slope of a sigmoid is 0.0066."""

OF_ONE_OUTPUT = ("sigmoid", "probit", "cloglog", "hard_sigmoid", "clipped_linear")
"""Heads whose single output is a probability."""

Points = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Steps and values, only where there is a value."""


class Facts:
    """One run, read as far as rules ask.

    run: as it lies on disk.
    config: its configuration, read when it is asked for.
    """

    def __init__(self, run: Recorded, like: Recorded | None = None) -> None:
        """`like`: a run of the same configuration but for the seed, which may have been read."""
        self.run = run
        self._like = like or run
        self.head, _, self.loss = run.pair.partition("+")

    def anatomy(self, *keys: str) -> float:
        """A number of the anatomy, as in `("start", "loss")`."""
        node: Any = self.run.anatomy
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        return _number(node)

    def per_class(self, key: str) -> NDArray[np.float64]:
        """A row of the anatomy's classes (K,); empty where there is none."""
        return _numbers(((self.run.anatomy or {}).get("classes") or {}).get(key))

    def confidence(self, key: str) -> NDArray[np.float64]:
        """A row of the anatomy's bins of confidence (3,); empty where there is none."""
        return _numbers(((self.run.anatomy or {}).get("confidence") or {}).get(key))

    def metric(self, tag: str) -> float:
        """A final number; NaN where there is none."""
        return _number(self.run.metrics.get(tag))

    def points(self, tag: str) -> Points:
        """The series under `tag`; infinite where it was not finite, both empty for none."""
        series = self.run.series
        if series is None or tag not in series.tags:
            return np.zeros(0, np.int64), np.zeros(0)
        column = series.values[:, series.tags.index(tag)].astype(np.float64)
        there = ~np.isnan(column)
        return series.steps[there], column[there]

    def values(self, tag: str) -> NDArray[np.float64]:
        """The values of `points`."""
        return self.points(tag)[1]

    @property
    def config(self) -> Mapping[str, Any]:
        """By group, empty where none is left."""
        return self._like.config

    @property
    def diverged(self) -> bool:
        """True if the run ended without a finite loss."""
        loss = self.run.metrics.get("loss/train")
        return self.run.status == "diverged" or (loss is not None and not isfinite(loss))

    @property
    def layers(self) -> list[str]:
        """Names of the layers, the first first."""
        series = self.run.series
        norms = [tag for tag in series.tags if tag.startswith("grad_norm/")] if series else []
        return [name for tag in norms if (name := tag.partition("/")[2]) != "total"]

    def class_name(self, k: int) -> str:
        """A class by its label where the data have one, as in `class 'virginica'`."""
        labels = ((self.run.anatomy or {}).get("classes") or {}).get("labels") or []
        return f"class '{labels[k]}'" if k < len(labels) else f"class {k}"

    def part(self, group: str) -> Mapping[str, Any]:
        """The configuration of a group; empty where there is none."""
        part = self.config.get(group)
        return part if isinstance(part, dict) else {}

    def setting(self, group: str, key: str) -> float:
        """A number of the configuration; NaN where there is none."""
        return _number(self.part(group).get(key))

    @property
    def reached_rate(self) -> float:
        """The highest learning rate of any update; NaN where none was recorded."""
        rates = self.values("learning_rate")
        return float(rates.max()) if len(rates) else nan

    @property
    def updates(self) -> float:
        """How many updates were done; NaN where nobody counted."""
        return _number(self.run.entries.get("steps"))

    @cached_property
    def constant(self) -> float:
        """The loss of the best constant prediction; NaN where the pair's is not known."""
        return references.constant(self.head, self.loss, self.per_class("count"))

    @cached_property
    def expected_start(self) -> float:
        """The loss of logits 0; NaN where not known."""
        return references.start(self.head, self.loss, self.per_class("count"))

    @property
    def unlearned(self) -> bool:
        """True if the run ends no better than a constant prediction; not where that is unknown."""
        counts = self.per_class("count")
        several = (counts > 0).sum() > 1
        chance = 1 - float(counts.max() / counts.sum()) if several else nan
        ends = ((self.anatomy("wrong"), chance), (self.metric("loss/train"), self.constant))
        known = [(own, constant) for own, constant in ends if constant == constant]
        return bool(known) and not any(own < HARDLY_BETTER * constant for own, constant in known)

    def takes(self, group: str, key: str) -> bool:
        """True if the part of a group has a setting, or where no configuration is left."""
        part = self.config.get(group)
        return not isinstance(part, dict) or key in part

    @cached_property
    def stuck(self) -> float:
        """Share of examples that are wrong and have next to no gradient, by the usual threshold.

        Where `probes.threshold` is smaller, mean gradients by confidence say so.
        """
        counts, pulls = self.confidence("count_wrong"), self.confidence("grad_wrong")
        faint = float(counts[pulls <= SMALL].sum()) if len(counts) == len(pulls) else nan
        own = self.anatomy("stuck")
        return float(np.fmax(own, faint / self.anatomy("examples"))) if own == own else nan

    @cached_property
    def saturated(self) -> float:
        """Share of outputs on the flat part of their head, by the usual threshold.

        Where `probes.threshold` is smaller, the logits of a sigmoid or softmax say so.
        """
        own = self.anatomy("saturated")
        counts = logit_counts(self.run.anatomy).sum(0)
        if own != own or self.head not in ("sigmoid", "softmax") or not counts.sum() > 0:
            return own
        return float(np.fmax(own, 1 - counts[FLAT_FROM:-FLAT_FROM].sum() / counts.sum()))

    @property
    def held_out(self) -> float:
        """Accuracy on what was not trained on: the mean of validation and test."""
        found = [self.metric(f"accuracy/{split}") for split in ("val", "test")]
        there = [value for value in found if value == value]
        return sum(there) / len(there) if there else nan


def percent(share: float) -> str:
    """A share as people write it, as in `68 %`; neither none nor all where it is not exactly."""
    size = 100 * share
    if 0 < size < 0.05:
        return "under 0.1 %"
    if 99 < size < 100:
        return f"{min(size, 99.9):.1f} %"
    return f"{size:.1f} %" if 0 < size < 9.95 else f"{size:.0f} %"


def short(value: float) -> str:
    """A number in three digits."""
    return f"{value:.3g}"


def whole(value: float) -> str:
    """A count, as in `1,640`."""
    return f"{value:,.0f}"


def logit_counts(anatomy: Mapping[str, Any] | None) -> NDArray[np.float64]:
    """How many logits of target 0 and of target 1 fall into each bin (2, bins); else (2, 0)."""
    rows = ((anatomy or {}).get("logits") or {}).get("count")
    if not isinstance(rows, list) or len(rows) != 2 or not all(isinstance(r, list) for r in rows):
        return np.zeros((2, 0))
    zeros, ones = map(_numbers, rows)
    return np.stack((zeros, ones)) if len(zeros) == len(ones) else np.zeros((2, 0))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else nan


def _numbers(row: Any) -> NDArray[np.float64]:
    return np.array([_number(value) for value in row or []], dtype=np.float64)
