"""What keeps the runs of a program while they are trained: their records, then their states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mlr.app.run.signals import Signals
from mlr.core import durable
from mlr.records.identity import identity
from mlr.records.run_folder import STATUS
from mlr.records.status import versions

if TYPE_CHECKING:
    from mlr.records import Recorder
    from mlr.training import Experiment
    from mlr.training.keeper import Keeper
    from mlr.training.state import State


class Kept(NamedTuple):
    """A run that is kept while it is trained."""

    config: Mapping[str, Any]
    experiment: Experiment
    recorder: Recorder
    start: State | None = None
    """where it goes on; None begins anew"""


def keeper_of(runs: Sequence[Kept], signals: Signals | None) -> Keeper:
    """The keeper of runs that are trained as one program, all from the same step on.

    Args:
        runs: in the order of the program's callers.
        signals: that end the program after its present step.
    """
    from mlr.training.keeper import Keeper

    starts = [run.start for run in runs if run.start is not None]
    return Keeper(
        _Files(runs).write,
        min(run.config["checkpoint"]["seconds"] for run in runs),
        signals.asked if signals is not None else _never,
        starts or None,
        at_end=len(runs) == 1,  # a sweep writes what its runs came to, and nothing to go on with
    )


class _Files:
    """Checkpoints of some runs.

    A single run waits for each of its files; many share one wait for all that the system has
    to write, and one that cannot be kept fails alone: its recorder holds the error.
    """

    def __init__(self, runs: Sequence[Kept]) -> None:
        self.runs, self.alone = runs, len(runs) == 1
        self.claims_wait = self.alone  # to be on the disk, with all folders above

    def write(self, states: Sequence[State]) -> None:
        """Records first, so that no checkpoint tells of some that are not there."""
        from mlr.records.recorder import failing_alone, raise_if_none_left

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

    def _save(self, run: Kept, state: State, records: Mapping[str, Any]) -> None:
        from mlr.training.checkpoint import save_checkpoint

        about = about_of(run.config, run.experiment) | {"records": records}
        save_checkpoint(run.recorder.folder, state, about, self.alone)

    def _wait(self) -> None:
        if not self.alone:
            durable.sync_all()


def about_of(config: Mapping[str, Any], experiment: Experiment) -> dict[str, Any]:
    """What a run's end depends on, as its checkpoint says it."""
    return {
        "config": identity(config),
        "versions": dict(versions()),
        "device": experiment.device,
        "data": experiment.data.fingerprint,
    }


def _never() -> bool:
    return False
