"""Compose the jobs that Hydra hands to a launcher, and run them as one batch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, cast

from hydra.core.utils import JobReturn, JobRuntime, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlr.app.config.composition_cache import (
    CachedLoader,
    Composed,
    current,
    identified,
    without_hydra,
)
from mlr.app.config.config_errors import one_sentence
from mlr.app.config.output_paths import check_place
from mlr.app.config.run_names import pair_of
from mlr.app.run.hydra_files import hydra_files
from mlr.app.run.job import CHDIR, Job
from mlr.app.sweep.engines import Engine
from mlr.app.sweep.sweep_names import RunNames
from mlr.core.checks import InputError

RUN_NAME = "${run_name:}"
"""mlr's own hydra.sweep.subdir, known here so that it need not be parsed for each job."""
NUMBER = "${hydra.job.num}"
"""Hydra's own hydra.sweep.subdir."""


class BatchTask(Protocol):
    """The task function that mlr gives to Hydra, which hands it on to the launcher.

    It is all that the two have in common, and so carries what a launcher needs beyond a job.
    """

    def __call__(self, config: DictConfig) -> Any:
        """Run one job."""

    def prepare(self, config: DictConfig) -> None:
        """Refuse a sweep before anything is written."""

    def batch(
        self, jobs: Sequence[Job], sweep_folder: Path, engine: Engine | None = None
    ) -> Sequence[float | Exception]:
        """Run all jobs; return a number or an exception for each."""


class Launch:
    """The work of a launcher, for the sweep of one configuration."""

    def __init__(self, context: HydraContext, task: TaskFunction, config: DictConfig) -> None:
        """Cache compositions, and let the task refuse the sweep.

        Raises:
            InputError: the sweep's folder cannot be used, or the task is not mlr's.
        """
        if not hasattr(task, "batch"):
            raise InputError("hydra/launcher=batched trains runs of mlr; use hydra/launcher=basic.")
        # the sweeper has every job composed before it hands them over, and asks this context
        self.loader = CachedLoader(context.config_loader, config)
        context.config_loader = self.loader  # type: ignore[assignment]
        self.context = context
        self.task = cast(BatchTask, task)
        self.config = config
        check_place("hydra.sweep.dir", config.hydra.sweep.dir)
        self.task.prepare(config)  # before the sweeper writes its multirun.yaml

    def __call__(
        self, overrides: Sequence[Sequence[str]], first: int, engine: Engine | None = None
    ) -> Sequence[JobReturn]:
        """Run the jobs of these overrides, numbered from `first`.

        Raises:
            InputError: a setting of Hydra's that one program for all jobs cannot honour, or
                two different jobs of one folder.
        """
        folder = _absolute(self.config.hydra.sweep.dir)
        jobs = [self._job(lines, first + index, folder) for index, lines in enumerate(overrides)]
        for index in {0, len(jobs) - 1} if jobs else ():
            self._check_sweep_folder(overrides[index], first + index, folder)
        _check_folders(jobs)
        folder.mkdir(parents=True, exist_ok=True)
        trees = [
            partial(self._tree, lines, job) for lines, job in zip(overrides, jobs, strict=True)
        ]
        returns = [BatchReturn(tree, job) for tree, job in zip(trees, jobs, strict=True)]
        self._call_back("on_job_start", trees, [{"task_function": self.task}] * len(jobs))
        options = {} if engine is None else {"engine": engine}
        with current(self.config.copy()):  # the sweep's: of no job, so it has no job.num
            results = self.task.batch(jobs, folder, **options)
        for one, result in zip(returns, results, strict=True):
            failed = isinstance(result, Exception)
            one.status = JobStatus.FAILED if failed else JobStatus.COMPLETED
            one.return_value = result
        self._call_back("on_job_end", trees, [{"job_return": one} for one in returns])
        return returns

    def _job(self, lines: Sequence[str], number: int, sweep: Path) -> Job:
        composed = self.loader.compose(lines)
        _check_settings(composed.base.hydra)
        config = composed.plain()
        folder = Path(os.path.normpath(sweep / self._subdir(composed, config, number)))
        if sweep not in folder.parents:
            raise InputError(f"hydra.sweep.subdir leads to {folder}, out of the sweep's {sweep}.")
        check_place("hydra.sweep.subdir", folder)
        files = hydra_files(config, composed.hydra(number, folder))
        if composed.base.interpolated:
            config = self._resolved(composed, number, folder)
        return Job(number, composed.overrides, config, folder, files)

    def _subdir(self, composed: Composed, config: Mapping[str, Any], number: int) -> str:
        raw = composed.base.hydra["sweep"]["subdir"]
        if raw == RUN_NAME and "${" not in f"{config.get('head')}{config.get('loss')}":
            return self.names(pair_of(config), composed.overrides)
        if raw == NUMBER:
            return str(number)
        return str(self._select(composed, number, "hydra.sweep.subdir"))

    @cached_property
    def names(self) -> RunNames:
        """Names of all jobs, those of later batches too."""
        typed: Any = OmegaConf.to_container(self.config.hydra.overrides.task, resolve=False)
        resumed = self.config.sweep.resume
        return RunNames.of(self.config.hydra, typed, resumed)

    def _select(self, composed: Composed, number: int, key: str) -> Any:
        tree = identified(self.loader.tree(composed), number)
        with current(tree), _in_one_sentence():
            return OmegaConf.select(tree, key)

    def _check_sweep_folder(self, lines: Sequence[str], number: int, folder: Path) -> None:
        own = self._select(self.loader.compose(lines), number, "hydra.sweep.dir")
        if _absolute(own) != folder:
            raise InputError(
                f"hydra.sweep.dir would be {own} for job #{number}, but {folder} for the sweep; "
                "one folder holds all of its runs. Put what differs into hydra.sweep.subdir."
            )

    def _resolved(self, composed: Composed, number: int, folder: Path) -> dict[str, Any]:
        tree = identified(self.loader.tree(composed), number, folder)
        with current(tree), _in_one_sentence():
            return OmegaConf.to_container(without_hydra(tree), resolve=True)  # type: ignore[return-value]

    def _tree(self, lines: Sequence[str], job: Job) -> DictConfig:
        """Return the whole configuration of a job, as Hydra gives it to callbacks."""
        return identified(self.loader.tree(self.loader.compose(lines)), job.number, job.folder)

    def _call_back(
        self,
        event: str,
        trees: Sequence[Callable[[], DictConfig]],
        arguments: Sequence[dict[str, Any]],
    ) -> None:
        """Call the user's callbacks for each job, with its whole configuration."""
        callbacks = self.context.callbacks
        for composed, more in zip(trees if callbacks.callbacks else (), arguments, strict=False):
            tree = composed()
            with current(tree):
                getattr(callbacks, event)(config=tree, **more)


class BatchReturn(JobReturn):
    """Outcome of a job, whose configuration is composed again when it is asked for.

    Ten thousand configurations at once would take a gigabyte.
    """

    def __init__(self, tree: Callable[[], DictConfig], job: Job) -> None:
        """Compose the configuration of `job` by `tree`."""
        self._tree = tree
        self.overrides = list(job.overrides)
        self.working_dir = str(Path.cwd())
        self.task_name = JobRuntime.instance().get("name")

    @property
    def cfg(self) -> DictConfig:  # type: ignore[override]
        """The task's part."""
        return without_hydra(self._tree())

    @property
    def hydra_cfg(self) -> DictConfig:  # type: ignore[override]
        """Hydra's part."""
        return OmegaConf.masked_copy(self._tree(), "hydra")


def _absolute(place: object) -> Path:
    """Return a folder from the root on, without `..`."""
    return Path(os.path.abspath(str(place)))  # noqa: PTH100  `absolute` leaves `..` in


def _check_settings(hydra: dict[str, Any]) -> None:
    """Refuse settings that would differ between jobs of one process."""
    if hydra["job"]["chdir"]:
        raise InputError(CHDIR)
    if hydra["job"]["env_set"]:
        names = ", ".join(hydra["job"]["env_set"])
        raise InputError(
            f"hydra.job.env_set (or env_copy) of {names} is not supported: runs of one program "
            "share one environment. Set it in the shell, or use hydra/launcher=basic."
        )


def _check_folders(jobs: Sequence[Job]) -> None:
    """Refuse different jobs in one folder; equal ones are trained once."""
    seen: dict[Path, Job] = {}
    for job in jobs:
        other = seen.setdefault(job.folder, job)
        if other is not job and other.hash != job.hash:
            raise InputError(
                f"jobs #{other.number} ({' '.join(other.overrides)}) and #{job.number} "
                f"({' '.join(job.overrides)}) would share the folder {job.folder}; "
                "let hydra.sweep.subdir tell them apart, as ${hydra.job.num} does."
            )


@contextmanager
def _in_one_sentence() -> Iterator[None]:
    """Turn errors of interpolations into an InputError."""
    try:
        yield
    except OmegaConfBaseException as error:
        raise InputError(f"{one_sentence(error)}.") from error
