"""One job: a composed configuration, the folder of its run, and the texts of its `.hydra`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from traceback import format_exception
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlr.app.config.config_errors import one_sentence, scarce_memory
from mlr.app.config.run_names import pair_of, part_name
from mlr.app.run.hydra_files import hydra_files
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.durable import WriteError
from mlr.records.identity import config_hash
from mlr.records.outcome import Outcome, cause
from mlr.records.settings import hyperparameters

CHDIR = (
    "hydra.job.chdir=true is not supported: runs of one program share one folder to "
    "stand in. Leave it out; results go to the run's folder anyway."
)
CRASHED = 1
"""Exit code of a command with a traceback, as Python's own."""
Report = Callable[[Outcome], None]
"""Called with the outcome of each run."""
ProgressReport = Callable[[float], None]
"""Called with how many runs' worth of the program in training is done."""
PARTS = ("head", "loss", "model", "data", "optimizer", "schedule")


@dataclass(frozen=True)
class Job:
    """A configuration that is composed but not checked yet.

    Plain and picklable, so that it can be trained by another process or machine.

    number: of the job in its sweep, from 0.
    overrides: of the task, as typed.
    config: of the task, plain, interpolations resolved.
    folder: absolute; the run's, not made yet.
    files: texts of the run's `.hydra`, by name.
    drawn: True to draw the run's figures.
    """

    number: int
    overrides: tuple[str, ...]
    config: dict[str, Any]
    folder: Path
    files: Mapping[str, str]
    drawn: bool = False

    @cached_property
    def hash(self) -> str:
        """Hash of the configuration, as in `config_hash`."""
        return config_hash(self.config)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The configuration as flat scalars, each part by its name."""
        names = {group: part_name(self.config[group]["_target_"]) for group in PARTS}
        return hyperparameters(self.config, names)

    def outcome(self, status: str, reason: str | None = None, **more: Any) -> Outcome:
        """Return the job's outcome; `more` are further fields of it."""
        name, pair = self.folder.name, pair_of(self.config)
        return Outcome(name, self.overrides, status, reason, pair=pair, number=self.number, **more)

    def failed(
        self, error: BaseException, status: str = "failed", folder: Path | None = None
    ) -> Outcome:
        """Return the outcome of the job that `error` ended; `folder` if its run has begun."""
        known = isinstance(error, (InputError, WriteError))
        scarce = None if known else scarce_memory(error)
        expected = known or scarce or status == "interrupted"
        return self.outcome(
            status,
            scarce or cause(error),
            folder=folder,
            trace="" if expected and not console.is_debugging else "".join(format_exception(error)),
            error_code=WriteError.exit_code if scarce else getattr(error, "exit_code", CRASHED),
        )

    def not_begun(self, error: Exception) -> Outcome:
        """Return the outcome of the job whose configuration raised `error`."""
        return self.failed(error, "refused" if isinstance(error, InputError) else "failed")


def job_of(config: DictConfig, hydra: DictConfig, drawn: bool = False) -> Job:
    """Return the job that Hydra composed.

    Raises:
        InputError: a setting of Hydra's that is not supported, or an interpolation without target.
    """
    if hydra.job.chdir:
        raise InputError(CHDIR)
    return Job(
        number=OmegaConf.select(hydra, "job.num", default=0),  # a single run has none
        overrides=task_overrides(hydra),
        config=resolved(config),
        folder=Path(hydra.runtime.output_dir),
        files=hydra_files(config, hydra),
        drawn=drawn,
    )


def task_overrides(hydra: DictConfig) -> tuple[str, ...]:
    """Return the job's overrides as they were typed."""
    return tuple(OmegaConf.to_container(hydra.overrides.task, resolve=False))  # type: ignore[arg-type]


def resolved(config: DictConfig) -> dict[str, Any]:
    """Return plain values, interpolations filled in.

    Raises:
        InputError: an interpolation leads nowhere.
    """
    try:
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise InputError(f"{one_sentence(error)}.") from error


def remove_empty(folder: Path) -> None:
    """Remove the folder that Hydra made, if it is empty, and `runs/<date>/` above it."""
    with suppress(OSError):
        folder.rmdir()
        date, runs = folder.parent, folder.parent.parent
        if re.fullmatch(r"\d{4}-\d\d-\d\d", date.name) and runs.name == "runs":
            date.rmdir()
            runs.rmdir()
