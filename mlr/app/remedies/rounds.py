"""Rounds of training: the runs as they are and with each remedy, as one sweep of each round."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from mlr.analysis.explain import explain
from mlr.analysis.explain.trial import Judgement, candidates, judge
from mlr.analysis.ranking import final, is_higher_better
from mlr.app.remedies.jobs import Case
from mlr.app.run.job import Job
from mlr.app.run.signals import Signals
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.durable import WriteError
from mlr.diagnosis.findings import Diagnosis
from mlr.records.identity import group_key
from mlr.records.outcome import Outcome
from mlr.records.reading import Recorded, read_runs

MINUTES = 10
"""Minutes after which no program goes on, and no round begins that would last longer."""
MOST_STAGES = 3
"""Most remedies that are put together: a remedy can show or make the next fault."""


@dataclass(frozen=True)
class Tried:
    """Outcome of the last round of a case.

    case: whose remedies were tried.
    updates: of each run in that round.
    judgement: on the remedies.
    then: the best remedy, or the first one if none helps.
    left: faults of runs with it; of the best remedy, those of most runs.
    """

    case: Case
    updates: int
    judgement: Judgement
    then: str
    left: Sequence[Diagnosis]

    @property
    def length(self) -> str:
        """Number of updates in words."""
        whole = self.updates == self.case.total
        return f"{self.updates:,} updates{'' if whole else f' of {self.case.total:,}'}"


class TimeLimit(Signals):
    """Signals that also end a program when its time is over."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.end = monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.end - monotonic()

    def asked(self) -> bool:
        """Return True after a signal, or at the end of the time."""
        return super().asked() or self.left <= 0


class Rounds:
    """Rounds of all cases.

    known: what the last round of each case gave, and of the cases that followed from its best
        remedy, by the name of its group.
    failed: reasons by the groups that cannot be trained.
    ended: why it ended early; empty for rounds that came to their end.
    exit_code: of the command.
    """

    def __init__(self, cases: Sequence[Case], minutes: float = MINUTES) -> None:
        """Take cases; `run` trains them for at most so many minutes."""
        self.minutes = minutes
        self.waiting = [(case, list(case.rounds)) for case in cases]
        self.known: dict[str, list[Tried]] = {}
        self.failed: dict[str, str] = {}
        self.ended, self.exit_code = "", 0

    def run(self) -> None:
        """Train round after round, in a temporary folder, until every case is clear."""
        limit = TimeLimit(60 * self.minutes)
        try:
            with limit:
                self._run(limit)
        except KeyboardInterrupt:
            if limit.received is not None:
                self.ended, self.exit_code = "interrupted", limit.exit_code
            else:
                self.ended = f"stopped after {self.minutes:g} minutes"

    def _run(self, limit: TimeLimit) -> None:
        while self.waiting:
            began = limit.left
            batch = [(case, rounds[0]) for case, rounds in self.waiting]
            with _temporary() as place:
                runs = _train(batch, place, limit)
                judged = [_judged(*one, runs) for one in batch]
            waiting = []
            for (case, (_, *rounds)), tried in zip(self.waiting, judged, strict=True):
                if isinstance(tried, str):
                    self.failed[case.cell] = tried
                    continue
                stages = self.known.setdefault(case.cell, [])
                stages[:] = [*(one for one in stages if one.case is not case), tried]
                if rounds and not _is_clear(tried):
                    waiting.append((case, rounds))
                elif len(stages) < MOST_STAGES and (next_case := _next(tried)):
                    waiting.append((next_case, list(next_case.rounds)))
            self.waiting = waiting
            # the next one may have twice as many updates
            if waiting and 2 * (began - limit.left) > limit.left:
                self.ended = f"a longer training would not end within {self.minutes:g} minutes"
                return


def _judged(
    case: Case, updates: int, runs: Mapping[tuple[str, str], Sequence[_Run]]
) -> Tried | str:
    """Judge the runs of a case, while their files are there; the reason if it has none."""
    control = _recorded(runs[case.cell, case.base])
    if isinstance(control, str):
        return f"{case.runs[0].name} cannot be trained again: {control}"
    remedies = [remedy for remedy in case.configs if remedy != case.base]
    others = {remedy: _recorded(runs[case.cell, remedy]) for remedy in remedies}
    trained = {key: one for key, one in others.items() if not isinstance(one, str)}
    refused = {key: one for key, one in others.items() if isinstance(one, str)}
    whole = updates == case.total
    judgement = judge(control, trained, case.examples, refused, whole)
    then = judgement.best or next(iter(trained), "")
    found = explain(trained[then]) if then else []
    # a remedy that helps is good enough for most runs; what spoilt another one may differ
    left = [one for one in found if not judgement.best or 2 * len(one.runs) > one.total]
    return Tried(case, updates, judgement, then, left)


def _next(tried: Tried) -> Case | None:
    """Return the case of the faults that are left with a remedy; None without any."""
    remedies = candidates(tried.left)
    if not remedies:
        return None
    try:
        case = tried.case.then(
            tried.then, remedies, tried.updates, tried.judgement.best or tried.case.base
        )
    except InputError:
        return None
    return case if len(case.configs) > 1 else None


@contextmanager
def _temporary() -> Iterator[Path]:
    """Make a folder that is removed at the end, however that comes.

    Raises:
        WriteError: it cannot be made.
    """
    try:
        folder = TemporaryDirectory(prefix="mlr-try-", ignore_cleanup_errors=True)
    except OSError as error:
        raise WriteError(Path(os.environ.get("TMPDIR", "/tmp")), error) from error
    with folder as place:
        yield Path(place)


_Run = Recorded | Outcome
"""A run, or the outcome of one that could not be trained."""


def _recorded(runs: Sequence[_Run]) -> list[Recorded] | str:
    """Return runs; the reason if one could not be trained."""
    found = [run for run in runs if isinstance(run, Recorded)]
    lost = next((run.reason for run in runs if isinstance(run, Outcome)), None)
    return found if lost is None else lost


def _train(
    batch: Sequence[tuple[Case, int]], place: Path, limit: TimeLimit
) -> dict[tuple[str, str], list[_Run]]:
    """Train one round; runs by case and remedy."""
    from mlr.app.sweep.packing import run_chunk

    jobs: dict[str, Job] = {}
    keys: dict[tuple[str, str], list[str]] = {}
    for case, updates in batch:
        for remedy in case.configs:
            for seed in case.seeds:
                job = case.job(remedy, seed, updates, place / str(len(jobs)))
                job = jobs.setdefault(job.hash, replace(job, number=len(jobs)))
                keys.setdefault((case.cell, remedy), []).append(job.hash)
    groups: dict[str, list[Job]] = {}
    for job in jobs.values():
        groups.setdefault(group_key(job.config), []).append(job)
    outcomes: dict[int, Outcome] = {}
    with console.progress_bar("trying") as show:

        def progress(runs: float) -> None:
            show(len(outcomes) + runs, len(jobs))

        def report(outcome: Outcome) -> None:
            outcomes[outcome.number] = outcome

        for chunk in groups.values():
            run_chunk(chunk, report, progress, limit)
    found = {key: _read(outcomes[job.number]) for key, job in jobs.items()}
    return {key: [found[one] for one in hashes] for key, hashes in keys.items()}


def _read(outcome: Outcome) -> _Run:
    """Read all of a run that the judgement needs, before its folder is removed."""
    if outcome.folder is None or outcome.status in ("refused", "failed"):
        return outcome
    (run,) = read_runs(outcome.folder)
    run.config  # noqa: B018  read on first use
    return run


def _is_clear(tried: Tried) -> bool:
    """Return True if the best remedy has passed by now what the run reached in the end."""
    judgement = tried.judgement
    best = next((one for one in judgement.remedies if one.remedy == judgement.best), None)
    if best is None or best.tag != judgement.tag:
        return False
    ends = [end for run in tried.case.runs if (end := final(run, best.tag)) is not None]
    sign = 1 if is_higher_better(best.tag) else -1
    return all(sign * best.mean > sign * end for end in ends)
