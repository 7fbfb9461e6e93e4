"""The jobs of one process: one, or those of a sweep, and what is said of them at the end."""

from __future__ import annotations

import errno
import traceback
from pathlib import Path
from typing import cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from mlr.app import console
from mlr.app.job import Outcome, cause, remove_empty, run_job, task_overrides
from mlr.records.durable import WriteError, create_exclusive
from mlr.records.sweep import write_runs_table

TABLE = "runs.csv"


class SweepRefused(BaseException):
    """Ends a sweep at its first job; no Exception, so that Hydra does not go on to the next."""


class Session:
    """What the jobs came to.

    outcomes: of the jobs so far, in order.
    sweep: the sweep's folder; None for a single run.
    """

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.sweep: Path | None = None
        self.crash: BaseException | None = None

    def job(self, config: DictConfig) -> None:
        """Run one job; Hydra calls it once, or once for each combination of a sweep."""
        hydra = cast(DictConfig, HydraConfig.get())
        is_sweep = hydra.mode == RunMode.MULTIRUN
        if is_sweep and self.sweep is None:
            self._claim(Path(hydra.sweep.dir).absolute(), Path(hydra.runtime.output_dir))
        label = f"#{hydra.job.num}" if is_sweep else "training"
        try:
            outcome = run_job(config, hydra, console.progress_bar(label))
        except BaseException as error:
            outcome = self._broken(hydra, error)
            if not is_sweep or not isinstance(error, Exception):
                self.crash = error
                self.outcomes.append(outcome)
                raise
            traceback.print_exc()  # the other jobs go on
        self.outcomes.append(outcome)
        if is_sweep:
            console.print_job(label, outcome)

    def _claim(self, folder: Path, first_job: Path) -> None:
        """Make the sweep's folder ours, by its table.

        Raises:
            SweepRefused: another sweep has it, or it cannot be written.
        """
        try:
            create_exclusive(folder / TABLE, b"")
        except WriteError as error:
            remove_empty(first_job)
            taken = f"{folder} already holds a sweep; choose another hydra.sweep.dir."
            message = taken if error.errno == errno.EEXIST else str(error)
            raise SweepRefused(message) from error
        self.sweep = folder

    def _broken(self, hydra: DictConfig, error: BaseException) -> Outcome:
        folder = Path(hydra.runtime.output_dir)
        status = "failed" if isinstance(error, Exception) else "interrupted"
        there = folder if folder.exists() else None
        return Outcome(folder.name, task_overrides(hydra), status, cause(error), there)

    def report(self) -> int:
        """Print the summary; returns the exit code."""
        if self.sweep is not None:
            write_runs_table(self.sweep / TABLE, [_row(outcome) for outcome in self.outcomes])
            console.print_sweep(self.outcomes, self.sweep)
            statuses = {outcome.status for outcome in self.outcomes}
            return int("failed" in statuses or statuses <= {"refused"})
        for outcome in self.outcomes:
            if outcome.status in ("refused", "failed"):
                console.refuse(str(outcome.reason))
                return 1
            console.print_run(outcome)
        return 0


def _row(outcome: Outcome) -> dict[str, object]:
    overrides = dict(part.split("=", 1) for part in outcome.overrides if "=" in part)
    return {
        "run": outcome.name,
        "status": outcome.status,
        **overrides,
        **outcome.metrics,
        "reason": outcome.reason or "",
    }
