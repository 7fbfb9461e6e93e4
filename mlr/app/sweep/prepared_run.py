"""A job of a sweep that was judged and built, and its folder claimed or taken up again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlr.app.config.run_spec import Plan
from mlr.app.run.checkpointing import Kept
from mlr.app.run.job import first_entries, pair_name, part_names
from mlr.app.run.resume import Begun
from mlr.app.sweep.sweep_job import SweepJob
from mlr.core.checks import DataError
from mlr.core.durable import WriteError
from mlr.records import Recorder, RunFolder
from mlr.records.outcome import Outcome
from mlr.records.settings import hyperparameters
from mlr.training import Experiment
from mlr.training.log import run_tags


class Ready(NamedTuple):
    """A job that was judged and built."""

    job: SweepJob
    plan: Plan
    experiment: Experiment
    before: Begun | None = None
    """where it goes on; None begins it"""

    def outcome(self, status: str, reason: str | None = None, trace: str = "") -> Outcome:
        """How the job ended, without numbers."""
        job = self.job
        return Outcome(
            job.folder.name,
            job.overrides,
            status,
            reason,
            job.folder,
            pair=pair_name(part_names(self.plan)),
            number=job.number,
            trace=trace,
        )


class Claimed(NamedTuple):
    """A run whose folder is its own."""

    ready: Ready
    recorder: Recorder
    settings: Mapping[str, Any]

    @property
    def kept(self) -> Kept:
        """The run as a keeper wants it."""
        ready, before = self.ready, self.ready.before
        start = None if before is None else before.state
        return Kept(ready.plan.config, ready.experiment, self.recorder, start)


def claim(ready: Ready) -> Claimed:
    """Claim the folder of a run, or take it up again.

    Raises:
        InputError: it holds another run, or cannot be made.
        DataError: what was recorded before is damaged.
        WriteError: it cannot be written.
    """
    job, plan, before = ready.job, ready.plan, ready.before
    tags = run_tags(ready.experiment)
    settings = hyperparameters(plan.config, part_names(plan))
    if before is None or before.state is None:
        folder = RunFolder.claim(job.folder, **first_entries(plan, job.overrides, job.hash))
        return Claimed(ready, Recorder(folder, tags, settings), settings)
    folder = RunFolder.reopen(job.folder, overrides=list(job.overrides))
    try:
        recorder = Recorder.resume(folder, tags, before.about["records"], before.state.step)
    except WriteError as error:  # shorter than they were
        raise DataError(str(error)) from error
    return Claimed(ready, recorder, settings)
