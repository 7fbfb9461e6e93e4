"""A sweep: jobs judged, equal and finished ones left out, the others trained in chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from mlr.app.config.run_spec import make_plan
from mlr.app.run.signals import Signals
from mlr.app.sweep.drawn_jobs import drawn_jobs
from mlr.app.sweep.engines import run_chunks
from mlr.app.sweep.progress import Watch, live_line
from mlr.app.sweep.sweep_folder import SweepFolder
from mlr.app.sweep.sweep_job import Engine, SweepJob, unmade
from mlr.core.checks import InputError
from mlr.records.identity import group_key
from mlr.records.outcome import Outcome
from mlr.records.status import FINISHED


class JobError(Exception):
    """A job of a sweep failed; what a sweeper gets in place of its metric."""


class Sweep:
    """All jobs of one sweep, in as many batches as its sweeper asks for.

    folder: the sweep's.
    runs: what became of jobs, by number; those that equal another one are not among them.
    equal: jobs left out because they equal another one, with that one's name.
    reused: jobs that were finished before.
    metric: what sweepers get, and cells of one pair are compared by.
    watched: whether a line shows its progress.
    signals: that end it after the present step of what is trained.
    """

    def __init__(self, folder: SweepFolder) -> None:
        self.folder = folder
        self.runs: dict[int, Outcome] = {}
        self.equal: list[tuple[SweepJob, str]] = []
        self.reused = 0
        self.metric = "loss/val"
        self.watched = self.drawn = True
        self.signals: Signals | None = None
        self._finished = folder.finished()
        self._before = set(self._finished)
        self._drawn: set[Sequence[str]] = set()

    @classmethod
    def open(cls, path: Path, resume: str | None) -> Sweep:
        """The sweep of a folder: a new one, or the one to resume.

        Raises:
            InputError: the folder is taken, or holds nothing to resume.
        """
        check_resume(path, resume)
        return cls(SweepFolder.claim(path) if resume is None else SweepFolder.resume(path))

    def batch(self, jobs: Sequence[SweepJob], engine: Engine | None) -> list[float | Exception]:
        """Run jobs; what fails takes nothing else down.

        Returns:
            By job, what `objective_metric` names (see `Outcome.objective`), or `JobError`.
        """
        self.metric = str(jobs[0].config["objective_metric"])
        hashes = self._judged(jobs)
        fresh = self._with_figures(jobs, self._fresh(jobs, hashes), hashes)
        fresh = _in_place(fresh, self.folder.unfinished())
        self.folder.drop_unfinished({key: job.folder for key, job in fresh.items()})
        self.folder.write(list(self.runs.values()), "running", len(self.equal))
        counts = Counter(outcome.status for outcome in self.runs.values())
        total = len(self.runs) + len(fresh)
        with live_line(total, counts) if self.watched else nullcontext(Watch()) as line:
            watch = _Collecting(line, self.runs)
            run_chunks(_grouped(fresh.values()), engine, self.folder.path, watch, self.signals)
        ended = {key: self.runs[job.number] for key, job in fresh.items()}
        self._finished |= {key: one for key, one in ended.items() if one.status in FINISHED}
        known = self._finished | ended
        ends = {job.number: known[hashes[job.number]] for job in jobs if job.number in hashes}
        return [_value(ends.get(job.number) or self.runs[job.number], job) for job in jobs]

    def _judged(self, jobs: Sequence[SweepJob]) -> dict[int, str]:
        """Hashes of the jobs that can run, by number."""
        hashes = {}
        for job in jobs:
            try:
                make_plan(job.config)
                hashes[job.number] = job.hash
            except InputError as error:
                self.runs[job.number] = unmade(job, "refused", error)
            except Exception as error:  # of a user's own part, most often
                self.runs[job.number] = unmade(job, "failed", error)
        return hashes

    def _fresh(self, jobs: Sequence[SweepJob], hashes: dict[int, str]) -> dict[str, SweepJob]:
        """The jobs to train, each of another hash."""
        fresh: dict[str, SweepJob] = {}
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
                fresh[key] = job
        return fresh

    def _with_figures(
        self, jobs: Sequence[SweepJob], fresh: dict[str, SweepJob], hashes: dict[int, str]
    ) -> dict[str, SweepJob]:
        """The jobs to train, and which are drawn; those finished before have their figures."""
        judged = sorted((job for job in jobs if job.number in hashes), key=lambda job: job.number)
        chosen = drawn_jobs(judged, self._drawn) if self.drawn else set()
        return {
            key: replace(job, drawn=True) if job.number in chosen else job
            for key, job in fresh.items()
        }


class _Collecting(Watch):
    """Keeps every outcome at once, so that an interruption loses none."""

    def __init__(self, line: Watch, runs: dict[int, Outcome]) -> None:
        self.line, self.runs = line, runs

    def ended(self, outcome: Outcome) -> None:
        self.runs[outcome.number] = outcome
        self.line.ended(outcome)

    def progress(self, runs: float) -> None:
        self.line.progress(runs)


def check_command(typed: Sequence[str], params: bool, resume: str | None) -> None:
    """Refuse what would train other runs than are meant.

    Args:
        typed: overrides of the command line.
        params: whether the sweeper has jobs of its own.
        resume: the folder to go on in.

    Raises:
        InputError: `resume` of a single run; or a folder of a sweep, and not a word of its jobs.
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
            f"give its command again, which is in {Path(resume, 'sweep.yaml')}."
        )


def check_resume(path: Path, resume: str | None) -> None:
    """Refuse two folders for one sweep.

    Raises:
        InputError: hydra.sweep.dir is another one than the sweep to resume.
    """
    if resume is not None and Path(resume).resolve() != path.resolve():
        raise InputError(
            f"sweep.resume={resume} and hydra.sweep.dir={path} are different folders; "
            "leave hydra.sweep.dir out to resume."
        )


def _in_place(fresh: Mapping[str, SweepJob], begun: Mapping[str, Path]) -> dict[str, SweepJob]:
    """The jobs, those that were begun where they were begun.

    More seeds, an option left out or another order change the names of jobs. Whose place is
    taken gets one that its owner has no need of.

    Args:
        fresh: by hash.
        begun: folders by hash.
    """
    taken = {begun[key] for key in fresh if key in begun}
    free = [job.folder for key, job in fresh.items() if key in begun and job.folder not in taken]
    placed = {}
    for key, job in fresh.items():
        own = free.pop() if key not in begun and job.folder in taken else job.folder
        placed[key] = replace(job, folder=begun.get(key, own))
    return placed


def _grouped(jobs: Iterable[SweepJob]) -> list[list[SweepJob]]:
    """Jobs that are likely to share a program, each group in the order of its jobs."""
    groups: dict[str, list[SweepJob]] = {}
    for job in jobs:
        groups.setdefault(group_key(job.config), []).append(job)
    return list(groups.values())


def _value(outcome: Outcome, job: SweepJob) -> float | Exception:
    if outcome.status == "failed":
        return JobError(f"job #{job.number} failed: {outcome.reason}")
    return outcome.objective(str(job.config["objective_metric"]))
