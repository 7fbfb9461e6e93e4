"""Train the runs of a slide by the same code as scripts/train.py, and read their numbers."""

from __future__ import annotations

import csv
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from numpy.typing import NDArray
from omegaconf import DictConfig

from mlr.app.cli.command import VERSION_BASE
from mlr.app.config.output_paths import CONFIGS
from mlr.app.config.schema import register_schema
from mlr.app.run.existing_runs import clear, runs_in
from mlr.app.run.single import SingleRun
from mlr.app.sweep.resolvers import register_resolvers
from mlr.app.sweep.sweep import JobError, Sweep, SweepRefused
from mlr.core.checks import InputError
from mlr.core.commandline import for_others
from mlr.core.durable import WriteError, append
from mlr.records.outcome import Outcome
from mlr.records.run_folder import CHECKPOINT, LOCK, METRICS, RUNS_TABLE, STORY
from mlr.records.status import FINISHED

MADE = ".made"
"""Names of the folders that the lab made in a slide's folder, a line each."""
OF_A_SWEEP = (RUNS_TABLE, STORY, "multirun.yaml", LOCK)
Series = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Trained:
    """A run that a lab has trained.

    command: shell command that trains it again.
    folder: the run's.
    whole: the run's folder, or that of its sweep.
    metrics: final numbers by tag.
    """

    command: str
    folder: Path
    whole: Path
    metrics: Mapping[str, float]

    @cached_property
    def series(self) -> dict[str, Series]:
        """Steps and values of every tag, from metrics.csv; both empty for a tag without values."""
        with (self.folder / METRICS).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {
            tag: (
                np.array([float(row["step"]) for row in rows if row[tag]]),
                np.array([float(row[tag]) for row in rows if row[tag]]),
            )
            for tag in (rows[0] if rows else ())
        }

    @cached_property
    def parameters(self) -> dict[str, Any]:
        """Trained parameters by name, as in `output.weight`: torch tensors."""
        from mlr.training.checkpoint import load_checkpoint

        state, _ = load_checkpoint(self.folder / CHECKPOINT)
        return state.state_dict


class Lab:
    """Trainer of the runs of one slide.

    folder: of the slide; each run or sweep gets a numbered folder in it.
    watched: True to show progress, for trainings of minutes.
    """

    def __init__(self, folder: Path, watched: bool = False) -> None:
        """Make the folder, and remove the runs of an earlier lab from it, and nothing else.

        Raises:
            WriteError: the folder cannot be made or written.
        """
        self.folder = folder
        self.watched = watched
        self._count = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _clear_made(folder)
        except OSError as error:
            raise WriteError(Path(error.filename or folder), error) from error

    def run(self, *overrides: str) -> Trained:
        """Train one configuration, given by arguments of `mlr train`.

        Raises:
            InputError: it is refused, or does not train to its end.
            WriteError: its folder cannot be written.
        """
        folder = self._next()
        single = SingleRun(watched=self.watched, drawn=False)
        command = for_others("train", *overrides)
        with _typed(command):
            _hydra(False, lambda config: single.train(config, _own_hydra()), folder, overrides)
        assert single.outcome is not None
        return _trained(single.outcome, command, folder)

    def sweep(self, *overrides: str) -> list[Trained]:
        """Train every combination of several values, as `mlr train -m` does, in its order.

        Raises:
            InputError: a job is refused, or does not train to its end.
            WriteError: their folder cannot be written.
        """
        folder = self._next()
        sweep = Sweep(watched=self.watched, drawn=False)
        command = for_others("train", "-m", *overrides)
        with _typed(command):
            _sweep(sweep, folder, overrides)
        return [_trained(outcome, command, folder) for _, outcome in sorted(sweep.runs.items())]

    def _next(self) -> Path:
        """Return a new folder for a run or a sweep; it is listed before it is made."""
        self._count += 1
        name = f"{self._count:02d}"
        append(self.folder / MADE, f"{name}\n".encode())
        return self.folder / name


@contextmanager
def _typed(command: str) -> Iterator[None]:
    """Record `command` as the command line of the runs inside; it trains them again."""
    own, sys.orig_argv = sys.orig_argv, shlex.split(command)
    try:
        yield
    finally:
        sys.orig_argv = own


def _sweep(sweep: Sweep, folder: Path, overrides: Sequence[str]) -> None:
    """Run all jobs, and write into the sweep's folder how it ended, as scripts/train.py does."""

    def task(config: Any) -> float:
        return sweep.job(config, _own_hydra())

    task.batch, task.prepare = sweep.batch, sweep.prepare  # type: ignore[attr-defined]
    try:
        with suppress(JobError):  # the outcome of its job reports it
            _hydra(True, task, folder, overrides)
        sweep.end()
    except SweepRefused as refusal:
        raise InputError(str(refusal)) from refusal
    except KeyboardInterrupt:
        sweep.end(interrupted=True)
        raise
    finally:
        sweep.close()


def _hydra(
    multirun: bool, task: Callable[[Any], float], folder: Path, overrides: Sequence[str]
) -> None:
    """Let Hydra compose and run into `folder`, as its own main does."""
    register_schema()
    register_resolvers()
    kind = "sweep" if multirun else "run"
    where = str(folder.absolute()).replace("'", "\\'")
    with initialize_config_dir(str(CONFIGS), job_name="train", **VERSION_BASE):
        hydra: Any = GlobalHydra.instance().hydra
        call = hydra.multirun if multirun else hydra.run
        call("train", task, [*overrides, f"hydra.{kind}.dir='{where}'"])


def _own_hydra() -> DictConfig:
    """Return Hydra's part of the configuration of the present job."""
    return cast(DictConfig, HydraConfig.get())


def _trained(outcome: Outcome, command: str, whole: Path) -> Trained:
    if outcome.status not in FINISHED or outcome.folder is None:
        error = InputError(f"{command} did not train to its end: {outcome.reason}")
        error.add_note(outcome.trace)
        raise error
    return Trained(command, outcome.folder, whole, outcome.metrics)


def _clear_made(folder: Path) -> None:
    """Remove the runs that a lab made in `folder`; files of others in them stay."""
    try:
        names = (folder / MADE).read_text(encoding="utf-8").split()
    except FileNotFoundError:
        return
    for name in names:
        made = folder / name
        for run in runs_in(made):
            clear(run)
        for own in OF_A_SWEEP:
            (made / own).unlink(missing_ok=True)
        with suppress(OSError):  # it holds files of others, or it is gone
            made.rmdir()
    (folder / MADE).unlink()
