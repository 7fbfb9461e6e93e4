"""Numbers of one run for the rules; NaN for a number that the run lacks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import isfinite, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlr.analysis.explain import references
from mlr.diagnosis.program import ProgramCourse, WatchedProgram
from mlr.records.evidence import Evidence
from mlr.records.reading import Recorded

TRAILS = 0.06
"""Lead of held-out over training accuracy that is no chance: sound runs reach 0.03."""
HARDLY_BETTER = 0.9
"""Share of the loss or error of a constant prediction above which nothing was learned."""

SMALL = 0.01
"""Gradient or slope below which it counts as none: the default of `probes.threshold`. If that is
smaller, shares below it are estimated from mean gradients by confidence and from logits."""
FLAT_FROM = 6
"""Bins of logits at each end, below −5 and from 5, where a sigmoid's slope is 0.0066."""

OF_ONE_OUTPUT = ("sigmoid", "probit", "cloglog", "hard_sigmoid", "clipped_linear")
"""Heads whose single output is a probability."""

Row = NDArray[np.float64]


class Facts:
    """One run, whose files are read on first use."""

    def __init__(self, run: Recorded, like: Recorded | None = None) -> None:
        """Judge `run`; `like` has the same configuration but the seed, and may be read already."""
        self.run = run
        self._like = like or run
        self.head, _, self.loss = run.pair.partition("+")

    @property
    def own(self) -> bool:
        """True for a program of a user's own."""
        return bool(self.run.entries.get("program"))

    @cached_property
    def program(self) -> WatchedProgram:
        """The evidence on a program of a user's own; empty for a training of mlr."""
        if not self.own:
            return WatchedProgram(Evidence())
        updates, rates = self.points("learning_rate")
        course = ProgramCourse(
            losses=self.values("loss/train").tolist(),
            updates=updates.tolist(),
            rates=rates.tolist(),
            shares=self.layer_share.tolist(),
            diverged=self.diverged,
            head=self.head,
        )
        return WatchedProgram(Evidence.decode(self.run.entries["program"]), course)

    def anatomy(self, *keys: str) -> float:
        """Return a number of the final diagnostics, as in `("start", "loss")`."""
        return _number(self._diagnostics(*keys))

    def row(self, *keys: str) -> Row:
        """Return a row of the final diagnostics, as in `("classes", "recall")`; empty for none."""
        return np.array(self._diagnostics(*keys) or [], dtype=np.float64)

    def _diagnostics(self, *keys: str) -> Any:
        node: Any = self.run.anatomy or {}
        for key in keys:
            node = node.get(key, {})
        return node

    def metric(self, tag: str) -> float:
        """Return a final number; NaN for none."""
        return self.run.metrics.get(tag, nan)

    def points(self, tag: str) -> tuple[NDArray[np.int64], Row]:
        """Return the series under `tag`, infinite if it was not finite; both empty for none."""
        series = self.run.series
        if series is None:
            return np.zeros(0, np.int64), np.zeros(0)
        rows, values = series.of(tag)
        return series.steps[rows], values.astype(np.float64)

    def values(self, tag: str) -> Row:
        """Return the values of `points`."""
        return self.points(tag)[1]

    def at_last(self, tag: str) -> float:
        """Average a tag over the batches of the last quarter of a loop of a user's own.

        NaN for a run that has final diagnostics, which are of all examples, and for one that is
        not done.
        """
        if self.run.anatomy is not None or self.run.status != "done":
            return nan
        steps, values = self.points(tag)
        return float(values[steps >= 0.75 * steps[-1]].mean()) if len(steps) else nan

    @property
    def start_loss(self) -> float:
        """Loss before the first update: of all examples, or of the first batch; NaN if unknown."""
        return self.program.first.loss if self.own else self.anatomy("start", "loss")

    @property
    def wrong(self) -> float:
        """Share of training examples that are predicted wrongly at the end; NaN if unknown."""
        own = self.anatomy("wrong")
        return own if own == own else 1 - self.at_last("accuracy/train")

    @property
    def stuck_zero(self) -> float:
        """Share of training examples that are wrong with a gradient of exactly 0."""
        own = self.anatomy("stuck_zero")
        return own if own == own else self.at_last("stuck/zero")

    @property
    def diverged(self) -> bool:
        """True if the run ended without a finite loss."""
        return self.run.status == "diverged" or not isfinite(self.run.metrics.get("loss/train", 0))

    @property
    def layers(self) -> list[str]:
        """Names of the layers, from the first to the output."""
        series = self.run.series
        norms = [tag for tag in series.tags if tag.startswith("grad_norm/")] if series else []
        return [name for tag in norms if (name := tag.partition("/")[2]) != "total"]

    @property
    def layer_share(self) -> Row:
        """First layer's gradient norm as a share of the output layer's, per step (P,).

        Empty for a model of one layer; NaN if the output layer has no gradient.
        """
        layers = self.layers
        if len(layers) < 2:
            return np.zeros(0)
        first, last = (self.values(f"grad_norm/{name}") for name in (layers[0], layers[-1]))
        if len(first) != len(last):
            return np.zeros(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((last > 0) & np.isfinite(last) & np.isfinite(first), first / last, nan)

    def class_name(self, k: int) -> str:
        """Name a class by its label in quotes if the data have one, else by its number."""
        labels = self._diagnostics("classes", "labels")
        return f"'{labels[k]}'" if labels else str(k)

    def part(self, group: str) -> Mapping[str, Any]:
        """Return the configuration of a group; empty for none."""
        part = self._like.config.get(group)
        return part if isinstance(part, dict) else {}

    def setting(self, group: str, key: str) -> float:
        """Return a number of the configuration; NaN for none."""
        return _number(self.part(group).get(key))

    def takes(self, group: str, key: str) -> bool:
        """Return True if the part of a group has a setting, or is unknown."""
        part = self.part(group)
        return not part or key in part

    @property
    def rate(self) -> float:
        """Configured learning rate, else the highest; NaN if neither is known."""
        rate = self.setting("optimizer", "lr")
        return rate if isfinite(rate) else self.reached_rate

    @property
    def reached_rate(self) -> float:
        """Highest learning rate of any update; NaN if none was recorded."""
        rates = self.values("learning_rate")
        return float(rates.max()) if len(rates) else nan

    @property
    def updates(self) -> float:
        """Number of updates done; NaN if unknown."""
        return _number(self.run.entries.get("steps"))

    @cached_property
    def constant(self) -> float:
        """Loss of the best constant prediction; NaN if it is not known for the pair."""
        if self.own:
            return self.program.constant
        return references.constant(self.head, self.loss, self.row("classes", "count"))

    @cached_property
    def expected_start(self) -> float:
        """Loss of logits 0; NaN if unknown."""
        return references.start(self.head, self.loss, self.row("classes", "count"))

    @property
    def unlearned(self) -> bool:
        """True if the run ends no better than a constant prediction, and that is known."""
        if self.own:
            return self.program.unlearned
        counts = self.row("classes", "count")
        several = (counts > 0).sum() > 1
        chance = 1 - float(counts.max() / counts.sum()) if several else nan
        ends = ((self.anatomy("wrong"), chance), (self.metric("loss/train"), self.constant))
        known = [(own, constant) for own, constant in ends if constant == constant]
        return bool(known) and not any(own < HARDLY_BETTER * constant for own, constant in known)

    @cached_property
    def stuck(self) -> float:
        """Share of examples that are wrong with a gradient below `SMALL`; estimated if need be."""
        counts, pulls = self.row("confidence", "count_wrong"), self.row("confidence", "grad_wrong")
        faint = float(counts[pulls <= SMALL].sum()) if len(counts) == len(pulls) else nan
        own = self.anatomy("stuck")
        if own != own:
            return self.at_last("stuck/fraction")
        return float(np.fmax(own, faint / self.anatomy("examples")))

    @cached_property
    def logit_counts(self) -> Row:
        """Counts of logits by target and bin (2, bins); (2, 0) for none."""
        found = self.row("logits", "count")
        return found if found.size else np.zeros((2, 0))

    @cached_property
    def saturated(self) -> float:
        """Share of outputs with a slope below `SMALL`; estimated from logits if need be."""
        own, counts = self.anatomy("saturated"), self.logit_counts.sum(0)
        if own != own:
            return self.at_last("saturation/fraction")
        if self.head not in ("sigmoid", "softmax") or not counts.sum() > 0:
            return own
        return float(np.fmax(own, 1 - counts[FLAT_FROM:-FLAT_FROM].sum() / counts.sum()))

    @property
    def held_out(self) -> float:
        """Accuracy on held-out data: the mean of validation and test."""
        found = [self.metric(f"accuracy/{split}") for split in ("val", "test")]
        there = [value for value in found if value == value]
        return sum(there) / len(there) if there else nan


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else nan
