"""A sweep: its jobs judged, equal and finished ones left out, the others trained in chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from mlr.app.config.run_spec import make_run_spec
from mlr.app.run.job import Job
from mlr.app.run.signals import Signals
from mlr.app.sweep.engines import Engine, OutcomeCollector, run_chunks
from mlr.app.sweep.progress import ProgressListener, progress_line
from mlr.app.sweep.sweep_folder import SweepFolder
from mlr.records.identity import group_key
from mlr.records.outcome import Outcome
from mlr.records.status import FINISHED

MOST_DRAWN = 12
"""Runs of a sweep that are drawn: a person looks at no more, and each takes a moment."""
PARTS = ("head", "loss", "model", "data")
"""Groups of which a run is drawn for each new combination."""


class JobError(Exception):
    """A job of a sweep failed; a sweeper gets it in place of the metric."""


class Sweep:
    """All jobs of one sweep, in as many batches as its sweeper asks for.

    folder: the sweep's.
    runs: outcomes by number; jobs that equal another one are not among them.
    equal: jobs left out because they equal another one, with that one's name.
    reused: number of jobs that were finished before.
    watched: True to show its progress.
    drawn: False to draw no figures.
    signals: that end it after the present step of what is trained.
    """

    def __init__(
        self,
        folder: SweepFolder,
        watched: bool = True,
        drawn: bool = True,
        signals: Signals | None = None,
    ) -> None:
        self.folder = folder
        self.runs: dict[int, Outcome] = {}
        self.equal: list[tuple[Job, str]] = []
        self.reused = 0
        self.watched, self.drawn, self.signals = watched, drawn, signals
        self._finished = folder.finished()
        self._before = set(self._finished)
        self._drawn: set[Sequence[str]] = set()

    def batch(self, jobs: Sequence[Job], engine: Engine | None) -> list[float | Exception]:
        """Run jobs; a failure ends no other job.

        Returns:
            By job, the number that `objective_metric` names (see `Outcome.objective`), or
            `JobError`.
        """
        hashes = self._judged(jobs)
        fresh = _in_place(self._fresh(jobs, hashes), self.folder.unfinished())
        self.folder.drop_unfinished({key: job.folder for key, job in fresh.items()})
        self.folder.write(list(self.runs.values()), "running", len(self.equal))
        counts = Counter(outcome.status for outcome in self.runs.values())
        total = len(self.runs) + len(fresh)
        line = progress_line(total, counts) if self.watched else nullcontext(ProgressListener())
        with line as listener:
            collector = OutcomeCollector(listener, self.runs)
            run_chunks(_grouped(fresh.values()), engine, self.folder.path, collector, self.signals)
        ended = {key: self.runs[job.number] for key, job in fresh.items()}
        self._finished |= {key: one for key, one in ended.items() if one.status in FINISHED}
        known = self._finished | ended
        ends = {job.number: known[hashes[job.number]] for job in jobs if job.number in hashes}
        return [_value(ends.get(job.number) or self.runs[job.number], job) for job in jobs]

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

    def _fresh(self, jobs: Sequence[Job], hashes: dict[int, str]) -> dict[str, Job]:
        """Return the jobs to train, each of another hash; finished runs have their figures."""
        fresh: dict[str, Job] = {}
        drawn = self._to_draw(jobs, hashes) if self.drawn else set()
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

    def _to_draw(self, jobs: Sequence[Job], hashes: dict[int, str]) -> set[int]:
        """Return the numbers of the jobs to draw."""
        judged = sorted((job for job in jobs if job.number in hashes), key=lambda job: job.number)
        return jobs_to_draw(judged, self._drawn)


def jobs_to_draw(jobs: Iterable[Job], seen: set[Sequence[str]]) -> set[int]:
    """Choose the jobs whose runs are drawn: the first of each head, loss, model and data.

    Args:
        jobs: of a sweep, in the order of their numbers.
        seen: combinations drawn in the sweep before; those chosen now are added.

    Returns:
        Their numbers.
    """
    chosen = set()
    for job in jobs:
        kind = tuple(str(job.config[part].get("_target_")) for part in PARTS)
        if kind not in seen and len(seen) < MOST_DRAWN:
            seen.add(kind)
            chosen.add(job.number)
    return chosen


def _in_place(fresh: Mapping[str, Job], begun: Mapping[str, Path]) -> dict[str, Job]:
    """Put each job where it was begun before; a displaced job takes a freed folder.

    More seeds, an option left out or another order change the names of jobs.

    Args:
        fresh: jobs by hash.
        begun: folders by hash.
    """
    taken = {begun[key] for key in fresh if key in begun}
    free = [job.folder for key, job in fresh.items() if key in begun and job.folder not in taken]
    placed = {}
    for key, job in fresh.items():
        own = free.pop() if key not in begun and job.folder in taken else job.folder
        placed[key] = replace(job, folder=begun.get(key, own))
    return placed


def _grouped(jobs: Iterable[Job]) -> list[list[Job]]:
    """Group jobs that are likely to share a program, each group in the order of its jobs."""
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(group_key(job.config), []).append(job)
    return list(groups.values())


def _value(outcome: Outcome, job: Job) -> float | Exception:
    if outcome.status == "failed":
        return JobError(f"job #{job.number} failed: {outcome.reason}")
    return outcome.objective(str(job.config["objective_metric"]))
