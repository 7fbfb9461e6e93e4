"""The jobs of one process, a single run or those of a sweep, and the report at the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from mlr.app.run import printing
from mlr.app.run.hydra_files import remove_empty
from mlr.app.run.job import CRASHED, Job, job_of, task_overrides
from mlr.app.run.signals import Signals
from mlr.app.run.single import train_single
from mlr.app.sweep.engines import Engine
from mlr.app.sweep.sweep import Sweep
from mlr.app.sweep.sweep_checks import check_command, check_count, check_metric, check_resume
from mlr.app.sweep.sweep_folder import SweepFolder, check_free, check_sweep, check_versions
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.durable import WriteError
from mlr.records.outcome import DIVERGED, Outcome, cause
from mlr.records.run_folder import STATUS

PARTLY_FAILED = 5
"""Exit code of a sweep some of whose jobs failed."""


class SweepRefused(BaseException):
    """End of a sweep before its first job; no Exception, so that Hydra does not continue."""

    def __init__(self, cause: InputError) -> None:
        super().__init__(str(cause))
        self.exit_code = cause.exit_code


class Session:
    """The jobs of one process and their outcomes.

    run: outcome of a single run.
    sweep: the sweep, if it is one.
    """

    def __init__(
        self, watched: bool = True, drawn: bool = True, signals: Signals | None = None
    ) -> None:
        """Begin without any job.

        Args:
            watched: True to show progress.
            drawn: False to draw no figures, whatever the settings say.
            signals: that end what is trained after its present step.
        """
        self.watched, self.drawn, self.signals = watched, drawn, signals
        self.run: Outcome | None = None
        self.sweep: Sweep | None = None
        self._goes_on = False  # True if more batches come, which a failure must not prevent
        self._multirun: Path | None = None  # Hydra's file about a sweep, before its first job

    def prepare(self, config: DictConfig) -> None:
        """Refuse a sweep before anything is written; called by the launcher.

        Raises:
            SweepRefused: it has very many jobs; its folder holds another, or nothing to resume.
        """
        folder, resume = Path(config.hydra.sweep.dir).absolute(), config.sweep.resume
        typed = [str(one) for one in config.hydra.overrides.task]
        self._goes_on = config.hydra.sweeper.get("max_batch_size") is not None
        try:
            check_count(config.hydra.overrides.task, config.sweep.yes)
            check_metric(config)
            check_command(typed, bool(config.hydra.sweeper.get("params")), resume)
            check_resume(folder, resume)
            if resume is None:
                check_free(folder)
            else:
                check_sweep(folder)
                check_versions(folder, config.allow)
        except InputError as error:
            raise SweepRefused(error) from error
        multirun = folder / "multirun.yaml"
        self._multirun = None if multirun.exists() else multirun

    def withdraw(self) -> None:
        """Remove Hydra's file about a sweep that was refused before its first job."""
        if self.sweep is None and self._multirun is not None:
            with suppress(OSError):  # its folder may be what was wrong
                self._multirun.unlink(missing_ok=True)
            remove_empty(self._multirun.parent)

    def batch(
        self, jobs: Sequence[Job], sweep_folder: Path, engine: Engine | None = None
    ) -> list[float | Exception]:
        """Run jobs of a sweep; the sweeper may come back with more.

        Raises:
            SweepRefused: the folder is taken, or holds nothing to resume.
        """
        if not jobs:
            return []
        if self.sweep is None:
            resume = jobs[0].config["sweep"]["resume"]
            try:
                check_resume(sweep_folder, resume)
                folder = (SweepFolder.claim if resume is None else SweepFolder.resume)(sweep_folder)
            except InputError as error:
                remove_empty(jobs[0].folder)  # Hydra's basic launcher has made it
                raise SweepRefused(error) from error
            self.sweep = Sweep(folder, self.watched, self.drawn, self.signals)
        values = self.sweep.batch(jobs, engine)
        if self._goes_on:  # the basic sweeper would end at a failure, and reads no values
            return [inf if isinstance(value, Exception) else value for value in values]
        return values

    def job(self, config: DictConfig) -> float | None:
        """Run one job; Hydra calls it once, its basic launcher once for each job of a sweep."""
        hydra = cast(DictConfig, HydraConfig.get())
        if hydra.mode == RunMode.MULTIRUN:
            return self._job_of_sweep(config, hydra)
        folder = Path(hydra.runtime.output_dir)
        bar = console.progress_bar("training") if self.watched else None
        try:
            train_single(config, hydra, self._report_run, bar, self.drawn, self.signals)
        except KeyboardInterrupt as error:
            if self.run is None:
                there = folder if (folder / STATUS).exists() else None
                overrides = task_overrides(hydra)
                self.run = Outcome(folder.name, overrides, "interrupted", cause(error), there)
            raise
        finally:
            remove_empty(folder)  # a refused job leaves nothing
        return None if self.run is None else self.run.objective(config.objective_metric)

    def _report_run(self, outcome: Outcome) -> None:
        self.run = outcome

    def _job_of_sweep(self, config: DictConfig, hydra: DictConfig) -> float:
        launcher = hydra.runtime.choices["hydra/launcher"]
        if launcher != "basic" and not launcher.startswith("batched"):
            raise InputError(
                f"hydra/launcher={launcher} gives each job a process of its own, and these cannot "
                "share a sweep's folder; use hydra/launcher=batched, batched_ray or batched_slurm."
            )
        job, sweep = job_of(config, hydra), Path(hydra.runtime.cwd, hydra.sweep.dir)
        (value,) = self.batch([job], sweep)
        remove_empty(job.folder)  # a refused job leaves nothing
        outcome = self.sweep.runs.get(job.number) if self.sweep else None
        if outcome is not None:
            printing.print_job(f"#{job.number}", outcome)
        if isinstance(value, Exception):
            raise value
        return value

    def report(self, interrupted: bool = False) -> int:
        """Print the summary; return the exit code."""
        if self.sweep is not None:
            return self._report_sweep(self.sweep, interrupted)
        if self.run is None:
            return 0
        if self.run.status in ("refused", "failed"):
            print(self.run.trace, file=sys.stderr, end="")
            if self.run.exit_code != CRASHED:  # the traceback says it all
                console.refuse(str(self.run.reason))
        else:
            printing.print_run(self.run)
        return self.run.exit_code

    def end_sweep(self, interrupted: bool = False) -> bool:
        """Write into the sweep's folder how it ended; return True if a job failed.

        Raises:
            WriteError: a full disk, most often.
        """
        sweep = self.sweep
        if sweep is None:
            return False
        statuses = {outcome.status for outcome in sweep.runs.values()}
        failed = "failed" in statuses or (statuses == {"refused"} and not sweep.reused)
        status = "interrupted" if interrupted else "failed" if "failed" in statuses else "done"
        sweep.folder.write(list(sweep.runs.values()), status, len(sweep.equal))
        return failed

    def close(self) -> None:
        """Let others work on the sweep's folder."""
        if self.sweep is not None:
            self.sweep.folder.close()

    def _report_sweep(self, sweep: Sweep, interrupted: bool) -> int:
        try:
            failed = self.end_sweep(interrupted)
        except WriteError as error:  # the runs are reported all the same
            console.refuse(str(error))
            failed = True
        # its libraries may find no memory: all is written by now
        from mlr.app.sweep.summary import print_sweep

        rows = sweep.folder.rows(list(sweep.runs.values()))
        print_sweep(sweep, rows, interrupted)
        if failed:
            refused = {outcome.status for outcome in sweep.runs.values()} == {"refused"}
            return InputError.exit_code if refused else PARTLY_FAILED
        # as of a single run: a sweep that holds nothing but diverged runs has no result
        trained = {row.status for row in rows} - {"refused"}
        return DIVERGED if trained == {"diverged"} else 0
