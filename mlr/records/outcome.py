"""The end of a job, as plain values for tables, other processes and sweepers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlr.core.checks import InputError
from mlr.core.durable import WriteError

if TYPE_CHECKING:
    from mlr.records.series import Series  # numpy, which a refusal is without

DIVERGED = 4
"""Exit code of a command whose only run diverged."""


@dataclass(frozen=True)
class Outcome:
    """The end of a job: done, diverged, failed, interrupted or refused."""

    name: str  # of its folder
    overrides: Sequence[str]  # as typed
    status: str
    reason: str | None = None  # one sentence, unless it is done
    folder: Path | None = None  # of the run, if it has begun
    metrics: Mapping[str, float] = field(default_factory=dict)  # final numbers, if it was trained
    settings: Mapping[str, Any] = field(default_factory=dict)  # the configuration as flat scalars
    seconds: float = 0.0  # wall time of the program that trained it
    pair: str = ""  # head and loss, as in `sigmoid+se`
    number: int = 0  # of the job in its sweep
    trace: str = ""  # the traceback of an error that no input explains
    error_code: int = 0  # exit code for the error that ended it
    # what its files hold, if it was trained here and is not too much
    entries: Mapping[str, Any] | None = None  # of status.json
    series: Series | None = None  # of metrics.csv

    @property
    def exit_code(self) -> int:
        """Exit code of a command that trains no other job."""
        return DIVERGED if self.status == "diverged" else self.error_code

    def objective(self, metric: str) -> float:
        """Return `metric` for an optimising sweeper, or +inf where it is not finite.

        A sweeper that maximises must be configured so by the user, and then infinity is no
        penalty: such metrics are better minimised as losses.
        """
        value = self.metrics.get(metric, inf) if self.status == "done" else inf
        return value if value == value else inf


def cause(error: BaseException) -> str:
    """Describe an error as the reason of an ending."""
    if isinstance(error, (InputError, WriteError)):
        return str(error)
    return f"{type(error).__name__}: {error}".removesuffix(": ")
