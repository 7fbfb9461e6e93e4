"""A sweep: its jobs judged, equal and finished ones left out, the others trained in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from math import ceil, inf, prod
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, RangeSweep
from omegaconf import DictConfig
from rich.text import Text

from mlr.app.config.run_spec import make_run_spec
from mlr.app.run.job import Job, job_of, remove_empty
from mlr.app.run.signals import Signals
from mlr.app.sweep.engines import run_chunks
from mlr.app.sweep.local import Workers, computed_together, worth
from mlr.app.sweep.sweep_folder import (
    MOST_EXPLAINED,
    SweepFolder,
    check_free,
    check_resume,
    check_sweep,
    check_versions,
)
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.durable import WriteError
from mlr.records.identity import group_key
from mlr.records.outcome import DIVERGED, Outcome
from mlr.records.run_folder import STORY
from mlr.records.status import FINISHED

PARTLY_FAILED = 5
"""Exit code of a sweep some of whose jobs failed."""
MOST_JOBS = 10_000
"""Jobs above which a person is asked: a zero too many in a range is easily typed."""
MOST_DRAWN = 12
"""Runs of a sweep that are drawn: a person looks at no more, and each takes a moment."""
PARTS = ("head", "loss", "model", "data")
"""Groups of which a run is drawn for each new combination."""


class SweepRefused(BaseException):
    """End of a sweep before its first job; no Exception, so that Hydra does not continue."""

    def __init__(self, cause: InputError) -> None:
        super().__init__(str(cause))
        self.exit_code = cause.exit_code


class JobError(Exception):
    """A job of a sweep failed; a sweeper gets it in place of the metric."""


class Sweep:
    """All jobs of one sweep, in as many batches as its sweeper asks for.

    folder: the sweep's; None before its first batch.
    runs: outcomes by number; jobs that equal another one are not among them.
    equal: jobs left out because they equal another one, with that one's name.
    reused: number of jobs that were finished before.
    """

    def __init__(
        self, watched: bool = True, drawn: bool = True, signals: Signals | None = None
    ) -> None:
        """Begin without any job; the arguments are those of `SingleRun`."""
        self.watched, self.drawn, self.signals = watched, drawn, signals
        self.folder: SweepFolder | None = None
        self.runs: dict[int, Outcome] = {}
        self.equal: list[tuple[Job, str]] = []
        self.reused = 0
        self._finished: dict[str, Outcome] = {}
        self._before: set[str] = set()  # finished when the sweep was resumed, and no job yet
        self._drawn: set[Sequence[str]] = set()
        self._goes_on = False  # True if more batches come, which a failure must not prevent
        self._workers = Workers()
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
            jobs = check_count(typed, config.sweep.yes)
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
        if config.hydra.runtime.choices["hydra/launcher"] == "batched":
            self._workers.start(worth(jobs, config))

    def withdraw(self) -> None:
        """Remove Hydra's file about a sweep that was refused before its first job."""
        if self.folder is None and self._multirun is not None:
            with suppress(OSError):  # its folder may be what was wrong
                self._multirun.unlink(missing_ok=True)
            remove_empty(self._multirun.parent)

    def job(self, config: DictConfig, hydra: DictConfig) -> float:
        """Run one job of a sweep, as Hydra's basic launcher does one after the other."""
        launcher = hydra.runtime.choices["hydra/launcher"]
        if launcher != "basic" and not launcher.startswith("batched"):
            raise InputError(
                f"hydra/launcher={launcher} gives each job a process of its own, and these cannot "
                "share a sweep's folder; use hydra/launcher=batched, batched_ray or batched_slurm."
            )
        job = job_of(config, hydra)
        (value,) = self.batch([job], Path(hydra.runtime.cwd, hydra.sweep.dir))
        remove_empty(job.folder)  # a refused job leaves nothing
        if job.number in self.runs:
            _print_job(self.runs[job.number])
        if isinstance(value, Exception):
            raise value
        return value

    def batch(
        self, jobs: Sequence[Job], folder: Path, engine: Mapping[str, Any] | None = None
    ) -> list[float | Exception]:
        """Run jobs; a failure ends no other job. The sweeper may come back with more.

        Args:
            jobs: of the sweep.
            folder: the sweep's.
            engine: options of a cluster; None trains in this process.

        Returns:
            By job, its `Outcome.objective`, or `JobError`.

        Raises:
            SweepRefused: the folder is taken, or holds nothing to resume.
        """
        if not jobs:
            return []
        own = self.folder = self.folder or self._opened(jobs[0], folder)
        hashes = self._judged(jobs)
        fresh = self._fresh(jobs, hashes)
        for key, place in own.take_up(fresh).items():  # its name may be another now
            fresh[key] = replace(fresh[key], folder=place)
        own.write(list(self.runs.values()), "running", len(self.equal))
        groups, total, furthest = _grouped(fresh.values()), len(self.runs) + len(fresh), 0.0
        if engine is None and fresh:  # before the bar has a thread
            apart = sum(not computed_together(job.config) for job in fresh.values())
            self._workers.start(worth(len(fresh), jobs[0].config, apart))
        with console.progress_bar("sweep", self.watched) as show:

            def progress(runs: float) -> None:
                nonlocal furthest
                # files are written after the training: a program never moves the bar back
                furthest = max(furthest, len(self.runs) + 0.9 * runs)
                show(furthest, total)

            def ended(outcome: Outcome) -> None:  # perhaps again, of a lost worker
                self.runs.setdefault(outcome.number, _light(outcome, len(self.runs)))
                progress(0.0)

            try:
                run_chunks(groups, engine, own.path, ended, progress, self.signals, self._workers)
            finally:  # in an order that does not depend on who was faster
                for job in (job for group in groups for job in group):
                    if job.number in self.runs:
                        self.runs[job.number] = self.runs.pop(job.number)
        ends = {key: self.runs[job.number] for key, job in fresh.items()}
        self._finished |= {key: one for key, one in ends.items() if one.status in FINISHED}
        known = self._finished | ends
        return [self._value(known.get(hashes.get(job.number, "")), job) for job in jobs]

    def _opened(self, first: Job, path: Path) -> SweepFolder:
        resume = first.config["sweep"]["resume"]
        try:
            check_resume(path, resume)
            folder = SweepFolder.claim(path) if resume is None else SweepFolder.resume(path)
        except InputError as error:
            remove_empty(first.folder)  # Hydra's basic launcher has made it
            raise SweepRefused(error) from error
        self._finished = folder.finished()
        self._before = set(self._finished)
        return folder

    def _judged(self, jobs: Sequence[Job]) -> dict[int, str]:
        """Return the hashes of the jobs that can run, by number."""
        hashes = {}
        for job in jobs:
            try:
                make_run_spec(job.config)
                hashes[job.number] = job.hash
            except Exception as error:
                self.runs[job.number] = job.not_begun(error)
        return hashes

    def _fresh(self, jobs: Sequence[Job], hashes: Mapping[int, str]) -> dict[str, Job]:
        """Return the jobs to train, each of another hash; finished runs have their figures."""
        fresh: dict[str, Job] = {}
        judged = sorted((job for job in jobs if job.number in hashes), key=lambda job: job.number)
        drawn = jobs_to_draw(judged, self._drawn) if self.drawn else set()
        for job in jobs:
            key = hashes.get(job.number)
            if key is None:
                continue
            if key in self._before:
                self.reused += 1
                self._before.discard(key)  # a second such job is one that equals it
            elif key in self._finished:
                self.equal.append((job, self._finished[key].name))
            elif key in fresh:
                self.equal.append((job, fresh[key].folder.name))
            else:
                fresh[key] = replace(job, drawn=True) if job.number in drawn else job
        return fresh

    def _value(self, outcome: Outcome | None, job: Job) -> float | Exception:
        outcome = outcome or self.runs[job.number]
        if outcome.status != "failed":
            return outcome.objective(str(job.config["objective_metric"]))
        # the basic sweeper would end at a failure, and reads no values
        error = JobError(f"job #{job.number} failed: {outcome.reason}")
        return inf if self._goes_on else error

    def report(self, interrupted: bool = False) -> int:
        """Print the summary; return the exit code."""
        if self.folder is None:
            return 0
        try:
            failed = self.end(interrupted)
        except WriteError as error:  # the runs are reported all the same
            console.refuse(str(error))
            failed = True
        # its libraries may find no memory: all is written by now
        from mlr.app.sweep.summary import print_sweep

        rows = self.folder.rows(list(self.runs.values()))
        print_sweep(self.folder.path, rows, self.equal, self.reused, interrupted)
        if failed:
            refused = {outcome.status for outcome in self.runs.values()} == {"refused"}
            return InputError.exit_code if refused else PARTLY_FAILED
        # as of a single run: a sweep that holds nothing but diverged runs has no result
        trained = {row.status for row in rows} - {"refused"}
        return DIVERGED if trained == {"diverged"} else 0

    def end(self, interrupted: bool = False) -> bool:
        """Write into the sweep's folder how it ended; return True if a job failed.

        Raises:
            WriteError: a full disk, most often.
        """
        if self.folder is None:
            return False
        statuses = {outcome.status for outcome in self.runs.values()}
        failed = "failed" in statuses or (statuses == {"refused"} and not self.reused)
        status = "interrupted" if interrupted else "failed" if "failed" in statuses else "done"
        self.folder.write(list(self.runs.values()), status, len(self.equal))
        return failed

    def close(self) -> None:
        """End other processes, and let others work on the sweep's folder."""
        self._workers.close()
        if self.folder is not None:
            self.folder.close()


def check_count(overrides: Sequence[str], meant: bool) -> int:
    """Return the number of jobs of a sweep; refuse more than 10,000, unless they are meant."""
    swept = OverridesParser.create().parse_overrides(list(overrides))
    jobs = prod(_values_of(one.value()) for one in swept if one.is_discrete_sweep())
    if jobs > MOST_JOBS and not meant:
        raise InputError(
            f"this sweep has {jobs:,} jobs, more than {MOST_JOBS:,}; "
            "if all of them are meant, add sweep.yes=true."
        )
    return jobs


def _values_of(value: Any) -> int:
    """Return the number of values of a sweep; those of a glob are not known yet."""
    if isinstance(value, RangeSweep):
        start, stop, step = (float(part or 0) for part in (value.start, value.stop, value.step))
        return max(0, ceil((stop - start) / step))
    return len(value.list) if isinstance(value, ChoiceSweep) else 1


def check_command(typed: Sequence[str], params: bool, resume: str | None) -> None:
    """Refuse `resume` of a single run, and a sweep to resume without any of its jobs.

    Args:
        typed: overrides of the command line.
        params: True if the sweeper has jobs of its own.
        resume: the folder to continue in.
    """
    keys = [one.lstrip("+~").partition("=")[0] for one in typed]
    if "resume" in keys:
        raise InputError(
            "resume=… continues one run: leave -m out; a sweep is continued by sweep.resume=…"
        )
    jobs = [key for key in keys if not key.startswith(("sweep.", "allow"))]
    if resume is not None and not jobs and not params:
        raise InputError(
            f"sweep.resume={resume} needs the options of the sweep, too: "
            f"give its command again, which is in {Path(resume, STORY)}."
        )


def jobs_to_draw(jobs: Iterable[Job], seen: set[Sequence[str]]) -> set[int]:
    """Return the numbers of the jobs to draw: the first of each head, loss, model and data.

    Args:
        jobs: of a sweep, in the order of their numbers.
        seen: combinations drawn in the sweep before; those chosen now are added.
    """
    chosen = set()
    for job in jobs:
        kind = tuple(str(job.config[part].get("_target_")) for part in PARTS)
        if kind not in seen and len(seen) < MOST_DRAWN:
            seen.add(kind)
            chosen.add(job.number)
    return chosen


def _light(outcome: Outcome, before: int) -> Outcome:
    """Leave out what is not reported of so many runs, or would fill the memory."""
    entries = outcome.entries if before < MOST_EXPLAINED else None
    return replace(outcome, entries=entries, series=outcome.series if before < MOST_JOBS else None)


def _grouped(jobs: Iterable[Job]) -> list[list[Job]]:
    """Group jobs that are likely to share a program, each group in the order of its jobs."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(group_key(job.config), []).append(job)
    return list(groups.values())


def _print_job(outcome: Outcome) -> None:
    """Print a line about a job as it ends."""
    from mlr.analysis.quantities import label  # with numpy, which a refusal must not wait for

    metrics, said = outcome.metrics, f"{outcome.status}: {outcome.reason}"
    if outcome.status == "done":
        said = f"test loss {metrics['loss/test']:.4g}"
        for tag in ("accuracy/test", "f1_micro/test"):
            if tag in metrics:
                said = f"{label(tag)} {metrics[tag]:.2%}, {said.removeprefix('test ')}"
    line = f"#{outcome.number} {' '.join(outcome.overrides) or 'default'}: {said}"
    console.console().print(Text(line), soft_wrap=True)
