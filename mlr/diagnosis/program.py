"""Numbers of a program of a user's own for the rules: its evidence over all batches looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite, nan, sqrt

import numpy as np

from mlr.records.evidence import Evidence, Look

HARDLY_BETTER = 0.9
"""Share of the loss of the best constant from which nothing was learned."""
ROUNDING = 1e-3
"""Distance from a bound or a sum that is rounding."""
ENOUGH = 20
"""Updates before which a loss tells nothing of what is learned."""
OF_CLASSES, OF_PROBABILITIES = ("ce", "nll"), ("bce", "bce_logits")
OF_NUMBERS = ("mse", "l1", "smooth_l1")


@dataclass(frozen=True)
class ProgramCourse:
    """Series of a training, empty if they are not known, and its end.

    losses: of the measured batches.
    updates, rates: number of the update and learning rate.
    shares: first layer's gradient norm as a share of the last one's.
    diverged: True if it ended without a finite loss.
    head: name that the probe was given; empty for none.
    """

    losses: Sequence[float] = ()
    updates: Sequence[float] = ()
    rates: Sequence[float] = ()
    shares: Sequence[float] = ()
    diverged: bool = False
    head: str = ""


class WatchedProgram:
    """The evidence on one program.

    Attributes:
        evidence: as recorded.
        course: of its training.
        looks: batches with a loss whose graph was read.
        losses: of the measured batches, else of those that were looked at.
        late_loss: mean loss of the last quarter; NaN if it is unknown.
    """

    def __init__(self, evidence: Evidence, course: ProgramCourse | None = None) -> None:
        """Describe a program; without a course, by what was looked at alone."""
        self.evidence, self.course = evidence, course or ProgramCourse()
        self.looks = [look for look in evidence.looks if look.known]
        self.losses = list(self.course.losses) or [look.loss for look in self.looks]
        late = self.losses[-max(1, len(self.losses) // 4) :]
        self.late_loss = float(np.mean(late)) if late and evidence.updates else nan

    @property
    def seen_loss(self) -> float:
        """Mean loss of the last quarter; before any update, loss of the first batch."""
        return self.late_loss if self.evidence.updates else self.first.loss

    @cached_property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Operations that follow each other between the last layer and the loss."""
        found = (pair.partition(">") for look in self.looks for pair in look.pairs)
        return frozenset((before, after) for before, _, after in found)

    def has(self, before: str, *after: str) -> bool:
        """Tell if an operation is read by one of others."""
        return any((before, one) in self.pairs for one in after)

    def feeds(self, *after: str) -> list[str]:
        """Return the operations that one of others reads."""
        return sorted(before for before, one in self.pairs if one in after)

    @cached_property
    def forms(self) -> dict[str, str]:
        """Candidates that had the value of the loss on all batches, each with its reduction.

        Or with the factor of which the loss is that multiple of their mean.
        """
        last = self.looks[-1].forms if self.looks else []
        return dict(form.rpartition(":")[::2] for form in last)

    def is_loss(self, *names: str) -> bool:
        """Tell if the loss is a function of the outputs and one of some losses."""
        return any(form.lstrip("-").rpartition("+")[2] in names for form in self.forms)

    def lowest(self, name: str) -> float:
        """Return the least number of a name over all batches; NaN without any."""
        return self._over(min, name)

    def highest(self, name: str) -> float:
        """Return the largest number of a name over all batches; NaN without any."""
        return self._over(max, name)

    def _over(self, best: Callable[[list[float]], float], name: str) -> float:
        known = [value for look in self.looks if (value := getattr(look, name)) == value]
        return best(known) if known else nan

    def always(self, test: Callable[[Look], bool]) -> bool:
        """Tell if there are batches, and all pass a test."""
        return bool(self.looks) and all(map(test, self.looks))

    @property
    def first(self) -> Look:
        """First batch."""
        return self.looks[0] if self.looks else Look()

    @property
    def last(self) -> Look:
        """Last batch that was looked at."""
        return self.looks[-1] if self.looks else Look()

    @property
    def outputs(self) -> int:
        """Number of outputs of an example; 0 if unknown."""
        shape, targets = self.first.output_shape, self.first.target_shape
        if len(shape) > 2 and self.first.target_integer and targets == [shape[0], *shape[2:]]:
            return shape[-1] if targets == shape[:-1] else shape[1]  # classes are the second axis
        return shape[-1] if len(shape) > 1 else len(shape)

    @cached_property
    def constant(self) -> float:
        """Loss of the best constant; NaN for a loss that was not recognised."""
        for form, reduction in self.forms.items():
            own = self._constant(form.rpartition("+")[2], form)
            if form.startswith("-") or reduction == "sum" or "broadcast" in form:
                continue
            if isfinite(own):
                wide = self.evidence.target_columns if not self.by_class else self.outputs
                if reduction == "rows":
                    return own * max(1, wide)
                return sqrt(own) if reduction == "root" else own * _multiple(reduction)
        return nan

    @property
    def multiple(self) -> float:
        """Factor by which the loss differs from the mean of the one that it was recognised as."""
        factors = [abs(_multiple(reduction)) for reduction in self.forms.values()]
        return min(factors, default=1.0)

    @property
    def by_class(self) -> bool:
        """True if targets are class numbers of several outputs."""
        return self.first.target_integer and self.outputs > 1

    @cached_property
    def shares(self) -> np.ndarray:
        """Share of each class; empty if there are none."""
        counts = np.array(self.evidence.class_counts, dtype=float)
        return counts / counts.sum() if counts.sum() > 0 else np.zeros(0)

    def _constant(self, loss: str, form: str) -> float:
        seen, p = self.evidence, self.shares
        if loss in OF_CLASSES:
            known = p[p > 0]
            one_hot = self.by_class or abs(self.highest("target_row_high") - 1) < 1e-6
            return float(-(known * np.log(known)).sum()) if one_hot and len(known) > 1 else nan
        if self.by_class:
            wide = np.zeros(self.outputs)
            wide[: len(p)] = p[: self.outputs]
            inside = wide[(wide > 0) & (wide < 1)]
            entropies = -(inside * np.log(inside) + (1 - inside) * np.log(1 - inside))
            if loss == "mse":
                return float((wide * (1 - wide)).mean())
            return float(entropies.sum() / len(wide)) if loss in OF_PROBABILITIES else nan
        if loss in OF_PROBABILITIES:
            sound = self.lowest("target_low") >= 0 and self.highest("target_high") <= 1
            return seen.target_entropy if sound and seen.target_entropy > 0 else nan
        least = {"mse": seen.target_variance, "l1": seen.target_deviation}.get(loss, nan)
        return least if least > 0 else nan

    @property
    def unlearned(self) -> bool:
        """True if the loss was recognised, and ends no better than a constant's."""
        if self.evidence.updates < ENOUGH or not isfinite(self.constant):
            return False
        return not self.late_loss < HARDLY_BETTER * self.constant

    @property
    def path(self) -> float:
        """Length of the path of the weights over all updates, as a share of them; NaN if unknown.

        By the steps of the batches that were looked at, so that steps back count too.
        """
        moves = [look.moved for look in self.looks if look.moved == look.moved]
        return float(np.median(moves)) * self.evidence.updates if moves else nan

    @property
    def course_of_loss(self) -> str:
        """The loss at both ends, as evidence."""
        first, last = (self.losses[0], self.losses[-1]) if self.losses else (0.0, 0.0)
        return f"{first:.3g} at the start, {last:.3g} at the end"

    @property
    def compared(self) -> str:
        """The loss at the end and that of a constant, as evidence."""
        return f"loss at the end {self.late_loss:.3g}, of the best constant {self.constant:.3g}"


def _multiple(reduction: str) -> float:
    """Return the factor that stands in place of a reduction; 1 for the name of one."""
    try:
        return float(reduction)
    except ValueError:
        return 1.0


def as_shape(sizes: Sequence[int]) -> str:
    """Write a shape as a tuple."""
    return f"({', '.join(map(str, sizes))}{',' if len(sizes) == 1 else ''})"
