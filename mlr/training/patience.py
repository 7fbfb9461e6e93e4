"""Early stopping by updates, and how much lower a validation loss must be to count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlr.core.checks import InputError, known, positive, whole

LOSS, ERROR = "loss", "error"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Stop at the end of an epoch by which the patience in updates is spent.

    An improvement is a validation loss l below `threshold` times the lowest loss l* before, of
    losses below 0: l < l* − (1 − threshold)·|l*|. After s updates it raises the patience to at
    least factor·s.

    Args:
        by: loss, or error: the share of validation examples that are predicted wrongly, in the
            place of the loss, also for `patience=`.
        updates: patience at the start; None: this rule stops no run.
        factor: at least 1.
        threshold: in (0, 1]; it also says which epochs `patience=` counts as better. 1: any lower
            loss is an improvement.

    Source: the tutorials of deeplearning.net (LISA lab, Université de Montréal), with updates
        5000 or 10000, factor 2, threshold 0.995, by error; they stop between epochs.
    """

    by: str = LOSS
    updates: int | None = None
    factor: float = 2.0
    threshold: float = 1.0

    def __post_init__(self) -> None:
        known("stopping.by", self.by, (LOSS, ERROR))
        if self.updates is not None:
            whole("stopping.updates", self.updates)
        positive("stopping.factor", self.factor)
        if self.factor < 1:
            raise InputError(f"stopping.factor={self.factor} must be at least 1.")
        positive("stopping.threshold", self.threshold)
        if self.threshold > 1:
            raise InputError(
                f"stopping.threshold={self.threshold} must lie in (0, 1]; 0.995 asks for a loss "
                "lower by half a percent."
            )


def patience_of(options: Mapping[str, Any]) -> Patience:
    """Make the rule of a configuration's group `stopping`.

    Raises:
        InputError: an option is unknown or out of range.
    """
    for name in options:
        if name not in Patience.__dataclass_fields__:
            raise InputError(
                f"Unknown option stopping.{name}. Choose from by, updates, factor, threshold."
            )
    return Patience(**options)
