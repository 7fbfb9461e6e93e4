"""A batch of jobs, as Hydra's launcher gets it: composed, and handed to the task as one.

A task function takes a whole batch if it has an attribute `batch`, called with the jobs
and the sweep's folder, and with an engine if the launcher names one. It answers with a
number or an exception for each. Any other task is run by Hydra's basic launcher, one job
after the other. An attribute `prepare`, if there is one, is called with the sweep's
configuration before anything is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobRuntime, JobStatus, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlr.app.config.composition import Composer
from mlr.app.config.composition_cache import Composed, current, identified, without_hydra
from mlr.app.config.config_errors import one_sentence
from mlr.app.config.output_paths import check_place
from mlr.app.config.run_names import pair_of
from mlr.app.run.job import CHDIR
from mlr.app.sweep.sweep_job import Engine, SweepJob
from mlr.app.sweep.sweep_names import RunNames
from mlr.core.checks import InputError

RUN_NAME = "${run_name:}"
"""mlr's own hydra.sweep.subdir, known here so that it need not be parsed for each job."""
NUMBER = "${hydra.job.num}"
"""Hydra's own, likewise."""


class Launch:
    """The work of a launcher, for the sweep of one configuration."""

    def __init__(self, context: HydraContext, task: TaskFunction, config: DictConfig) -> None:
        """Put the cheap composition in Hydra's place, for the sweeper too."""
        self.composer = Composer(context.config_loader, config)
        context.config_loader = self.composer  # type: ignore[assignment]
        check_place("hydra.sweep.dir", config.hydra.sweep.dir)
        prepare = getattr(task, "prepare", None)
        if prepare is not None:  # before the sweeper writes its multirun.yaml
            prepare(config)
        self.context = context
        self.task = task
        self.config = config

    def __call__(
        self, overrides: Sequence[Sequence[str]], first: int, engine: Engine | None = None
    ) -> Sequence[JobReturn]:
        """Run the jobs of these overrides, numbered from `first`.

        Raises:
            InputError: a setting of Hydra's that one program for all jobs cannot honour, or
                two different jobs of one folder.
        """
        batch = getattr(self.task, "batch", None)
        if batch is None:
            return _one_by_one(self.context, self.task, self.config, overrides, first)
        setup_globals()
        folder = _whole(self.config.hydra.sweep.dir)
        jobs = [self._job(lines, first + index, folder) for index, lines in enumerate(overrides)]
        for index in {0, len(jobs) - 1} if jobs else ():
            self._check_sweep_folder(overrides[index], first + index, folder)
        _check_folders(jobs)
        folder.mkdir(parents=True, exist_ok=True)
        returns = [self._unfinished(lines, job) for lines, job in zip(overrides, jobs, strict=True)]
        self._call_back("on_job_start", overrides, jobs, [{"task_function": self.task}] * len(jobs))
        options = {} if engine is None else {"engine": engine}
        with current(self.config.copy()):  # the sweep's: of no job, so it has no job.num
            results = batch(jobs, folder, **options)
        for one, result in zip(returns, results, strict=True):
            failed = isinstance(result, Exception)
            one.status = JobStatus.FAILED if failed else JobStatus.COMPLETED
            one.return_value = result
        self._call_back("on_job_end", overrides, jobs, [{"job_return": one} for one in returns])
        return returns

    def _job(self, lines: Sequence[str], number: int, sweep: Path) -> SweepJob:
        composed = self.composer.compose(lines)
        _check_settings(composed.base.hydra)
        config = composed.plain()
        folder = Path(os.path.normpath(sweep / self._subdir(composed, config, number)))
        if sweep not in folder.parents:
            raise InputError(f"hydra.sweep.subdir leads to {folder}, out of the sweep's {sweep}.")
        check_place("hydra.sweep.subdir", folder)
        if composed.base.interpolated:
            config = self._resolved(composed, number, folder)
        files = composed.documents(number, folder)
        return SweepJob(number, composed.overrides, config, folder, files)

    def _subdir(self, composed: Composed, config: Mapping[str, Any], number: int) -> str:
        raw = composed.base.hydra["sweep"]["subdir"]
        if raw == RUN_NAME and "${" not in f"{config.get('head')}{config.get('loss')}":
            return self.names(pair_of(config), composed.overrides)
        if raw == NUMBER:
            return str(number)
        return str(self._select(composed, number, "hydra.sweep.subdir"))

    @cached_property
    def names(self) -> RunNames:
        """Of all jobs, those of later batches too."""
        typed: Any = OmegaConf.to_container(self.config.hydra.overrides.task, resolve=False)
        resumed = self.config.sweep.resume
        return RunNames.of(self.config.hydra, typed, resumed)

    def _select(self, composed: Composed, number: int, key: str) -> Any:
        tree = identified(self.composer.tree(composed), number)
        with current(tree), _in_one_sentence():
            return OmegaConf.select(tree, key)

    def _check_sweep_folder(self, lines: Sequence[str], number: int, folder: Path) -> None:
        own = self._select(self.composer.compose(lines), number, "hydra.sweep.dir")
        if _whole(own) != folder:
            raise InputError(
                f"hydra.sweep.dir would be {own} for job #{number}, but {folder} for the sweep; "
                "one folder holds all of its runs. Put what differs into hydra.sweep.subdir."
            )

    def _resolved(self, composed: Composed, number: int, folder: Path) -> dict[str, Any]:
        tree = identified(self.composer.tree(composed), number, folder)
        with current(tree), _in_one_sentence():
            return OmegaConf.to_container(without_hydra(tree), resolve=True)  # type: ignore[return-value]

    def _tree(self, lines: Sequence[str], job: SweepJob) -> DictConfig:
        """The job's whole configuration, as Hydra gives it to callbacks."""
        tree = self.composer.tree(self.composer.compose(lines))
        return identified(tree, job.number, job.folder)

    def _unfinished(self, lines: Sequence[str], job: SweepJob) -> BatchReturn:
        return BatchReturn(partial(self._tree, tuple(lines), job), list(job.overrides))

    def _call_back(
        self,
        event: str,
        overrides: Sequence[Sequence[str]],
        jobs: Sequence[SweepJob],
        arguments: Sequence[dict[str, Any]],
    ) -> None:
        callbacks = self.context.callbacks
        if not callbacks.callbacks:
            return
        for lines, job, more in zip(overrides, jobs, arguments, strict=True):
            tree = self._tree(lines, job)
            with current(tree):
                getattr(callbacks, event)(config=tree, **more)


class BatchReturn(JobReturn):
    """The outcome of a job; its configurations are composed again when they are asked for.

    Ten thousand of them at once would take a gigabyte.
    """

    def __init__(self, tree: Callable[[], DictConfig], overrides: list[str]) -> None:
        """`tree` composes the whole configuration."""
        self._tree = tree
        name = JobRuntime.instance().get("name")
        super().__init__(overrides=overrides, working_dir=str(Path.cwd()), task_name=name)

    @property
    def cfg(self) -> DictConfig:
        """The task's part."""
        return without_hydra(self._tree())

    @cfg.setter
    def cfg(self, _: DictConfig | None) -> None:
        """Nothing is kept of what the dataclass sets first."""

    @property
    def hydra_cfg(self) -> DictConfig:
        """Hydra's part."""
        return OmegaConf.masked_copy(self._tree(), "hydra")

    @hydra_cfg.setter
    def hydra_cfg(self, _: DictConfig | None) -> None:
        """Likewise."""


def _one_by_one(
    context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
    overrides: Sequence[Sequence[str]],
    first: int,
) -> Sequence[JobReturn]:
    from hydra._internal.core_plugins.basic_launcher import BasicLauncher

    basic = BasicLauncher()
    basic.setup(hydra_context=context, task_function=task, config=config)
    return basic.launch(overrides, first)


def _whole(place: object) -> Path:
    """A folder from the root on, without `..`."""
    return Path(os.path.abspath(str(place)))  # noqa: PTH100  `absolute` leaves `..` in


def _check_settings(hydra: dict[str, Any]) -> None:
    """Refuse what all jobs of one process have in common."""
    if hydra["job"]["chdir"]:
        raise InputError(CHDIR)
    if hydra["job"]["env_set"]:
        names = ", ".join(hydra["job"]["env_set"])
        raise InputError(
            f"hydra.job.env_set (or env_copy) of {names} is not supported: runs of one program "
            "share one environment. Set it in the shell, or use hydra/launcher=basic."
        )


def _check_folders(jobs: Sequence[SweepJob]) -> None:
    """Refuse different jobs in one folder; equal ones are trained once."""
    seen: dict[Path, SweepJob] = {}
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
    """Errors of interpolations, as ours."""
    try:
        yield
    except OmegaConfBaseException as error:
        raise InputError(f"{one_sentence(error)}.") from error
