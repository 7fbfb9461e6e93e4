"""Train one configuration as a command does: a new run, or by resume=<folder> an earlier one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mlr.app.config.run_spec import RunSpec, make_run_spec
from mlr.app.run.existing_runs import outcome_of
from mlr.app.run.hydra_files import to_yaml
from mlr.app.run.job import Job, job_of, part_names, task_overrides
from mlr.app.run.resume import EarlierRun, check_same, continued, earlier_run, is_over
from mlr.app.run.signals import Signals
from mlr.core.checks import InputError
from mlr.core.console import Progress
from mlr.records.outcome import Outcome
from mlr.records.settings import hyperparameters


def train_single(
    config: DictConfig,
    hydra: DictConfig,
    report: Callable[[Outcome], None],
    bar: AbstractContextManager[Progress | None] | None = None,
    drawn: bool = True,
    signals: Signals | None = None,
) -> None:
    """Train one configuration into the folder that Hydra made for it.

    Args:
        config: the job's configuration.
        hydra: Hydra's own, of this job.
        report: called with the outcome, once.
        bar: gives a function that shows progress, while it is entered.
        drawn: False to draw no figures, whatever the settings say.
        signals: that end it after its present step; without any they end it at once.
    """
    job = Job(0, task_overrides(hydra), {}, Path(hydra.runtime.output_dir), {})
    # of a command that names both, a scheduler may start it the first time or again
    typed: Any = OmegaConf.to_container(hydra.overrides.hydra, resolve=False)
    or_new = any(one.startswith("hydra.run.dir=") for one in typed)
    try:
        job = job_of(config, hydra, drawn)
        before = _before(job, or_new)
        spec = make_run_spec(continued(before, job.config, job.overrides) if before else job.config)
        if before is not None and is_over(before, spec):
            settings = hyperparameters(spec.config, part_names(spec.config))
            return report(replace(outcome_of(job.folder, before.status), settings=settings))
        experiment = spec.build()
        if before is not None:
            check_same(before, spec.config, experiment)
            job = _continued_job(job, spec)
    except Exception as error:
        return report(job.not_begun(error))
    from mlr.app.run.claiming import PreparedRun  # torch: not before there is something to train
    from mlr.app.run.lifecycle import train_program

    if before is None and job.config["resume"] is not None:
        before = EarlierRun.unreadable(job.folder)
    run, total = PreparedRun(job, experiment, before, single=True), experiment.total_steps
    with bar or nullcontext() as show:
        progress = None if show is None else lambda runs: show(round(runs * total), total)
        train_program([run], report, progress, signals)


def _before(job: Job, or_new: bool) -> EarlierRun | None:
    """Return the run to continue; None for a new run.

    Raises:
        InputError: there is none, or the command names two folders.
        DataError: it is damaged.
    """
    resume, sweep = job.config["resume"], job.config["sweep"]["resume"]
    if sweep is not None:
        raise InputError(f"sweep.resume={sweep} needs -m: it resumes a sweep.")
    if resume is None:
        return None
    if Path(resume).resolve() != job.folder.resolve():
        raise InputError(
            f"resume={resume} and hydra.run.dir={job.folder} are different folders; leave "
            "hydra.run.dir out to continue."
        )
    return earlier_run(job.folder, or_new)


def _continued_job(job: Job, spec: RunSpec) -> Job:
    """Return the job with the configuration that its run continues with."""
    text = to_yaml(spec.config | {"resume": None, "allow": []})
    return replace(job, config=spec.config, files={"config.yaml": text})
