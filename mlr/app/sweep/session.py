"""The jobs of one process: one, or those of a sweep, and what is said of them at the end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from math import inf
from pathlib import Path
from typing import cast

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from mlr.app.config.config_errors import scarce_memory
from mlr.app.run import printing
from mlr.app.run.job import CHDIR, DIVERGED, resolved, run_job, task_overrides
from mlr.app.run.job_files import hydra_files, remove_empty
from mlr.app.run.signals import Signals
from mlr.app.sweep.sweep import Sweep, check_command, check_resume
from mlr.app.sweep.sweep_folder import check_free, check_sweep, check_versions
from mlr.app.sweep.sweep_job import Engine, SweepJob
from mlr.app.sweep.sweep_size import check_count
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.durable import WriteError
from mlr.records.outcome import Outcome, cause

PARTLY_FAILED = 5
"""Exit code of a sweep some of whose jobs failed."""


class SweepRefused(BaseException):
    """Ends a sweep before its first job; no Exception, so that Hydra does not go on to the next."""

    def __init__(self, cause: InputError) -> None:
        super().__init__(str(cause))
        self.exit_code = cause.exit_code


class Session:
    """The outcomes of the jobs of one process.

    run: how a single run ended.
    sweep: the sweep, if it is one.
    crash: an error of a single run that is no one's input.
    """

    def __init__(
        self, watched: bool = True, drawn: bool = True, signals: Signals | None = None
    ) -> None:
        """Another program may do without progress, and without figures.

        Args:
            watched: whether progress is shown.
            drawn: whether runs have figures, as far as their settings want them.
            signals: that end what is trained after its present step.
        """
        self.watched, self.drawn, self.signals = watched, drawn, signals
        self.run: Outcome | None = None
        self.sweep: Sweep | None = None
        self.crash: BaseException | None = None
        self._goes_on = False  # whether more batches come, that a failure must not prevent
        self._story: Path | None = None  # what Hydra writes of a sweep before its first job

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
            _check_metric(config)
            check_command(typed, bool(config.hydra.sweeper.get("params")), resume)
            check_resume(folder, resume)
            if resume is None:
                check_free(folder)
            else:
                check_sweep(folder)
                check_versions(folder, config.allow)
        except InputError as error:
            raise SweepRefused(error) from error
        story = folder / "multirun.yaml"
        self._story = None if story.exists() else story

    def withdraw(self) -> None:
        """Remove what Hydra wrote of a sweep that was refused before its first job."""
        if self.sweep is None and self._story is not None:
            with suppress(OSError):  # its folder may be what was wrong
                self._story.unlink(missing_ok=True)
            remove_empty(self._story.parent)

    def batch(
        self, jobs: Sequence[SweepJob], sweep_folder: Path, engine: Engine | None = None
    ) -> list[float | Exception]:
        """Run jobs of a sweep; the sweeper may come back with more.

        Raises:
            SweepRefused: the folder is taken, or holds nothing to resume.
        """
        if not jobs:
            return []
        if self.sweep is None:
            try:
                self.sweep = Sweep.open(sweep_folder, jobs[0].config["sweep"]["resume"])
            except InputError as error:
                remove_empty(jobs[0].folder)  # Hydra's basic launcher has made it
                raise SweepRefused(error) from error
            self.sweep.watched, self.sweep.drawn = self.watched, self.drawn
            self.sweep.signals = self.signals
        values = self.sweep.batch(jobs, engine)
        if self._goes_on:  # the basic sweeper would end at a failure, and reads no values
            return [inf if isinstance(value, Exception) else value for value in values]
        return values

    def job(self, config: DictConfig) -> float | None:
        """Run one job; Hydra calls it once, its basic launcher once for each job of a sweep."""
        hydra = cast(DictConfig, HydraConfig.get())
        if hydra.mode == RunMode.MULTIRUN:
            return self._job_of_sweep(config, hydra)
        bar = console.progress_bar("training") if self.watched else nullcontext(_unseen)
        try:
            self.run = run_job(config, hydra, bar, self.drawn, self.signals)
        except BaseException as error:
            folder, scarce = Path(hydra.runtime.output_dir), scarce_memory(error)
            status = "failed" if isinstance(error, Exception) else "interrupted"
            there = folder if folder.exists() else None
            reason, code = scarce or cause(error), WriteError.exit_code
            self.run = Outcome(
                folder.name, task_overrides(hydra), status, reason, there, exit_code=code
            )
            if scarce is None:
                self.crash = error
                raise
        if self.run.status == "refused":
            return None
        return self.run.objective(config.objective_metric)

    def _job_of_sweep(self, config: DictConfig, hydra: DictConfig) -> float:
        if hydra.job.chdir:
            raise InputError(CHDIR)
        launcher = hydra.runtime.choices["hydra/launcher"]
        if launcher != "basic" and not launcher.startswith("batched"):
            raise InputError(
                f"hydra/launcher={launcher} gives each job a process of its own, and these cannot "
                "share a sweep's folder; use hydra/launcher=batched, batched_ray or batched_slurm."
            )
        folder, sweep = Path(hydra.runtime.output_dir), Path(hydra.runtime.cwd, hydra.sweep.dir)
        job = SweepJob(
            number=hydra.job.num,
            overrides=tuple(task_overrides(hydra)),
            config=resolved(config),
            folder=folder,
            files=hydra_files(config, hydra),
        )
        (value,) = self.batch([job], sweep)
        remove_empty(folder)  # a refused job leaves nothing behind
        outcome = self.sweep.runs.get(job.number) if self.sweep else None
        if outcome is not None:
            printing.print_job(f"#{job.number}", outcome)
        if isinstance(value, Exception):
            raise value
        return value

    def report(self, interrupted: bool = False) -> int:
        """Print the summary; returns the exit code."""
        if self.sweep is not None:
            return self._report_sweep(self.sweep, interrupted)
        if self.run is None:
            return 0
        if self.run.status in ("refused", "failed"):
            console.refuse(str(self.run.reason))
            return self.run.exit_code
        printing.print_run(self.run)
        return self.run.exit_code

    def end_sweep(self, interrupted: bool = False) -> bool:
        """Write into the sweep's folder what became of it; returns whether it failed.

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
        except WriteError as error:  # what became of the runs is told all the same
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


def _check_metric(config: DictConfig) -> None:
    """Refuse an optimising sweeper that would get a number of validation where there is none."""
    metric, basic = config.objective_metric, "BasicSweeper"
    if config.hydra.sweeper._target_.endswith(basic) or not metric.endswith("/val"):
        return
    for option in ("val_fraction", "val_size"):
        if config.data.get(option, 1) == 0:
            raise InputError(
                f"objective_metric={metric} is what the sweeper optimises, and data.{option}=0 "
                f"leaves no validation; use objective_metric=loss/train, or a data.{option} above "
                "0."
            )


def _unseen(done: int, total: int) -> None:
    """Progress that nobody watches."""
