"""How a job ended, as plain values: what tables show, other processes return, sweepers get."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from mlr.core import debugging
from mlr.core.checks import InputError
from mlr.core.durable import WriteError


@dataclass(frozen=True)
class Outcome:
    """How a job ended: done, diverged, failed, interrupted or refused.

    name: of its folder.
    overrides: as typed.
    pair: head and loss, as in `sigmoid+se`.
    metrics: final numbers by tag; empty unless it was trained to an end.
    settings: the configuration as flat scalars, likewise.
    number: of the job in its sweep.
    trace: the traceback of an error that no input explains.
    exit_code: of a command that trains no other job.
    """

    name: str
    overrides: Sequence[str]
    status: str
    reason: str | None = None
    folder: Path | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    pair: str = ""
    number: int = 0
    trace: str = ""
    exit_code: int = 0

    def objective(self, metric: str) -> float:
        """What an optimising sweeper gets: `metric`, or +inf where it has no finite worth.

        A sweeper that maximises must be told so by the person, and then infinity is no
        penalty: such metrics are better minimised as losses.
        """
        value = self.metrics.get(metric, inf) if self.status == "done" else inf
        return value if value == value else inf


def cause(error: BaseException) -> str:
    """An error as the reason of an ending."""
    if isinstance(error, (InputError, WriteError)):
        return str(error)
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def trace_of(error: BaseException) -> str:
    """The traceback that helps whoever mends their code; none for what one sentence says."""
    if isinstance(error, (InputError, WriteError, MemoryError)) and not debugging.asked:
        return ""
    return "".join(traceback.format_exception(error))
