"""Checkpoints of runs that are trained as one program: their records, then their states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlr.app.run.claiming import ClaimedRun
from mlr.app.run.resume import conditions
from mlr.app.run.signals import Signals
from mlr.core import durable
from mlr.records.recorder import failing_alone, raise_if_none_left
from mlr.records.run_folder import STATUS
from mlr.training.checkpoint import save_checkpoint
from mlr.training.checkpointing import CheckpointPolicy
from mlr.training.state import State


def checkpoint_policy(runs: Sequence[ClaimedRun], signals: Signals | None) -> CheckpointPolicy:
    """Return the hooks by which the loop writes checkpoints of the runs and stops them.

    Args:
        runs: in the order of the program's callers; all continue from the same step, or none does.
        signals: that end the program after its present step.
    """
    before = [run.prepared.before for run in runs]
    starts = [one.state for one in before if one is not None and one.state is not None]
    return CheckpointPolicy(
        CheckpointWriter(runs).write,
        min(run.prepared.job.config["checkpoint"]["seconds"] for run in runs),
        signals.asked if signals is not None else lambda: False,
        starts or None,
    )


class CheckpointWriter:
    """Writes the checkpoints of runs.

    A single run waits for each of its files; many share one wait for all that the system has
    to write, and one that cannot be written fails alone: its recorder holds the error.
    """

    def __init__(self, runs: Sequence[ClaimedRun]) -> None:
        self.runs, self.alone = runs, len(runs) == 1
        self.claims_wait = self.alone  # to be on the disk, with all folders above

    def write(self, states: Sequence[State]) -> None:
        """Write records first, so that no checkpoint refers to records that are not there.

        Raises:
            WriteError: no run is left that can be written.
        """
        positions: dict[int, dict[str, Any]] = {}
        for number, run in enumerate(self.runs):
            if run.recorder.error is None:
                with failing_alone(run.recorder):
                    positions[number] = run.recorder.position(self.alone)
        if self.claims_wait:
            durable.sync_path(self.runs[0].recorder.folder.path / STATUS)
            self.claims_wait = False
        self._wait()
        for number, records in positions.items():
            with failing_alone(self.runs[number].recorder):
                self._save(self.runs[number], states[number], records)
        self._wait()
        raise_if_none_left([run.recorder for run in self.runs])

    def _save(self, run: ClaimedRun, state: State, records: Mapping[str, Any]) -> None:
        own = run.prepared
        about = conditions(own.job.config, own.experiment) | {"records": records}
        save_checkpoint(run.recorder.folder, state, about, self.alone)

    def _wait(self) -> None:
        if not self.alone:
            durable.sync_all()
