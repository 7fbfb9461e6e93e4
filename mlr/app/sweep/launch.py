"""Compose the jobs that Hydra hands to a launcher, and run them as one batch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobRuntime, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlr.app.config.composition_cache import (
    Base,
    CachedLoader,
    Composed,
    current,
    identified,
    without_hydra,
)
from mlr.app.config.config_errors import one_sentence
from mlr.app.config.output_paths import check_place
from mlr.app.config.run_names import pair_of
from mlr.app.run.hydra_files import HydraTexts
from mlr.app.run.job import CHDIR, Job, resolved
from mlr.app.sweep.resolvers import RunNames
from mlr.core.checks import InputError

RUN_NAME = "${run_name:}"
"""mlr's own hydra.sweep.subdir, known here so that it need not be parsed for each job."""
NUMBER = "${hydra.job.num}"
"""Hydra's own hydra.sweep.subdir."""


class Launch:
    """The work of a launcher, for the sweep of one configuration.

    The task function of mlr, which Hydra hands on, has two attributes: `prepare(config)` refuses a
    sweep before anything is written, and `batch(jobs, folder, engine)` runs all jobs.
    """

    def __init__(self, context: HydraContext, task: TaskFunction, config: DictConfig) -> None:
        """Cache compositions, and let the task refuse the sweep.

        Raises:
            InputError: the sweep's folder cannot be used, or the task is not mlr's.
        """
        own: Any = task
        if not hasattr(own, "batch"):
            raise InputError("hydra/launcher=batched trains runs of mlr; use hydra/launcher=basic.")
        # the sweeper has every job composed before it hands them over, and asks this context
        self.loader = CachedLoader(context.config_loader, config)
        context.config_loader = self.loader  # type: ignore[assignment]
        self.context, self.task, self.config = context, own, config
        check_place("hydra.sweep.dir", config.hydra.sweep.dir)
        own.prepare(config)  # before the sweeper writes its multirun.yaml

    def __call__(
        self,
        overrides: Sequence[Sequence[str]],
        first: int,
        engine: Mapping[str, Any] | None = None,
    ) -> Sequence[JobReturn]:
        """Run the jobs of these overrides, numbered from `first`, by an engine with its options."""
        folder = Path(os.path.abspath(self.config.hydra.sweep.dir))  # noqa: PTH100  without `..`
        jobs = [self._job(lines, first + index, folder) for index, lines in enumerate(overrides)]
        folder.mkdir(parents=True, exist_ok=True)
        returns = [
            BatchReturn(self.loader, lines, job) for lines, job in zip(overrides, jobs, strict=True)
        ]
        callbacks = self.context.callbacks
        heard = returns if callbacks.callbacks else []
        for one in heard:
            with current(one.tree()) as tree:
                callbacks.on_job_start(config=tree, task_function=self.task)
        with current(self.config.copy()):  # the sweep's: of no job, so it has no job.num
            results = self.task.batch(jobs, folder, engine)
        for one, result in zip(returns, results, strict=True):
            failed = isinstance(result, Exception)
            one.status = JobStatus.FAILED if failed else JobStatus.COMPLETED
            one.return_value = result
        for one in heard:
            with current(one.tree()) as tree:
                callbacks.on_job_end(config=tree, job_return=one)
        return returns

    def _job(self, lines: Sequence[str], number: int, sweep: Path) -> Job:
        composed = self.loader.compose(lines)
        _check_settings(composed.base.hydra)
        config = composed.plain()
        folder = Path(os.path.normpath(sweep / self._subdir(composed, config, number)))
        if sweep not in folder.parents:
            raise InputError(f"hydra.sweep.subdir leads to {folder}, out of the sweep's {sweep}.")
        check_place("hydra.sweep.subdir", folder)
        own = dict(composed.patches), composed.hydra_patches(number, folder)
        files = _texts(composed.base).files(*own)
        if composed.base.interpolated:
            with current(identified(self.loader.tree(composed), number, folder)) as tree:
                config = resolved(without_hydra(tree))
        return Job(number, composed.overrides, config, folder, files)

    def _subdir(self, composed: Composed, config: Mapping[str, Any], number: int) -> str:
        raw = composed.base.hydra["sweep"]["subdir"]
        if raw == RUN_NAME and "${" not in f"{config.get('head')}{config.get('loss')}":
            return self.names(pair_of(config), composed.overrides)
        if raw == NUMBER:
            return str(number)
        with current(identified(self.loader.tree(composed), number)) as tree:
            try:
                return str(tree.hydra.sweep.subdir)
            except OmegaConfBaseException as error:
                raise InputError(f"{one_sentence(error)}.") from error

    @cached_property
    def names(self) -> RunNames:
        """Names of all jobs, those of later batches too."""
        typed: Any = OmegaConf.to_container(self.config.hydra.overrides.task, resolve=False)
        resumed = self.config.sweep.resume
        return RunNames.of(self.config.hydra, typed, resumed)


@lru_cache(maxsize=16)
def _texts(base: Base) -> HydraTexts:
    return HydraTexts(base.plain, base.hydra)


class BatchReturn(JobReturn):
    """Outcome of a job, whose configuration is composed again when it is asked for.

    Ten thousand configurations at once would take a gigabyte.
    """

    def __init__(self, loader: CachedLoader, lines: Sequence[str], job: Job) -> None:
        """Compose the configuration of `job` by `loader`, from its `lines`."""
        self._loader, self._lines, self._job = loader, lines, job
        self.overrides = list(job.overrides)
        self.working_dir = str(Path.cwd())
        self.task_name = JobRuntime.instance().get("name")

    def tree(self) -> DictConfig:
        """Return the whole configuration, as Hydra gives it to callbacks."""
        composed = self._loader.compose(self._lines)
        return identified(self._loader.tree(composed), self._job.number, self._job.folder)

    @property
    def cfg(self) -> DictConfig:  # type: ignore[override]
        """The task's part."""
        return without_hydra(self.tree())

    @property
    def hydra_cfg(self) -> DictConfig:  # type: ignore[override]
        """Hydra's part."""
        return OmegaConf.masked_copy(self.tree(), "hydra")


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
