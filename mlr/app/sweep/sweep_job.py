"""One job of a sweep, composed but not yet judged: what the launcher hands to the session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mlr.app.config.run_names import pair_of
from mlr.records.identity import config_hash
from mlr.records.outcome import Outcome, cause, trace_of


@dataclass(frozen=True)
class SweepJob:
    """Plain and picklable, so that it can be trained by another process or machine.

    number: of the job in the sweep, from 0.
    overrides: of the task, as typed.
    config: of the task, plain, interpolations resolved.
    folder: absolute; the run's, not made yet.
    files: text of `config.yaml`, `hydra.yaml` and `overrides.yaml`, as Hydra would write
        them into the run's `.hydra`.
    drawn: whether the run has figures.
    """

    number: int
    overrides: tuple[str, ...]
    config: dict[str, Any]
    folder: Path
    files: Mapping[str, str]
    drawn: bool = False

    @cached_property
    def hash(self) -> str:
        """Of the configuration, as in `config_hash`."""
        return config_hash(self.config)


@dataclass(frozen=True)
class Engine:
    """Where a sweep's chunks are trained, as the launcher's configuration says.

    name: `ray`, `slurm`; without an engine it is this process.
    options: the other fields of `hydra/launcher=batched_<name>`, plain.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


def unmade(job: SweepJob, status: str, error: Exception) -> Outcome:
    """How a job ended that was never begun."""
    return Outcome(
        job.folder.name,
        job.overrides,
        status,
        cause(error),
        pair=pair_of(job.config),
        number=job.number,
        trace=trace_of(error),
    )
