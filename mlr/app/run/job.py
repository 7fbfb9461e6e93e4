"""One job: a configuration, judged, trained, recorded in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlr.app.config.config_errors import one_sentence
from mlr.app.config.run_names import part_name
from mlr.app.config.run_spec import Plan, make_plan
from mlr.app.config.yaml_templates import to_yaml
from mlr.app.run.checkpointing import Kept, keeper_of
from mlr.app.run.existing_runs import outcome_of
from mlr.app.run.folder_lock import take
from mlr.app.run.job_files import remove_empty, write_files, write_hydra_files
from mlr.app.run.resume import (
    Begun,
    begun,
    check_same,
    continued,
    is_over,
)
from mlr.app.run.signals import Signals
from mlr.core import console, debugging
from mlr.core.checks import DataError, InputError
from mlr.core.durable import WriteError
from mlr.records.identity import config_hash
from mlr.records.outcome import Outcome, cause
from mlr.records.settings import hyperparameters

if TYPE_CHECKING:
    from mlr.records import RunFolder
    from mlr.training import Experiment, Result
    from mlr.training.loop import Progress

CHDIR = (
    "hydra.job.chdir=true is not supported: runs of one program share one folder to "
    "stand in. Leave it out; results go to the run's folder anyway."
)
DIVERGED = 4
"""Exit code of a command whose only run diverged."""
WORDS = {"running": "was killed", "done": "came to its end", "failed": "failed"}
"""How a run ended before, by its status."""
PARTS = ("head", "loss", "model", "data", "optimizer", "schedule")


def run_job(
    config: DictConfig,
    hydra: DictConfig,
    bar: AbstractContextManager[Progress],
    drawn: bool = True,
    signals: Signals | None = None,
) -> Outcome:
    """Train one configuration into the folder that Hydra made for it.

    A refused job leaves no folder behind; a job that cannot write is reported as failed.

    Args:
        config: the job's configuration.
        hydra: Hydra's own, of this job.
        bar: gives what is told of the progress, while it is entered.
        drawn: whether the run has figures, as far as its settings want them.
        signals: that end it after its present step; without any they end it at once.
    """
    folder = Path(hydra.runtime.output_dir)
    overrides = task_overrides(hydra)
    try:
        started = _start(config, hydra, folder, overrides)
    except BaseException as error:
        remove_empty(folder)
        if isinstance(error, (InputError, WriteError)):
            debugging.show(error)
            code = error.exit_code
            return Outcome(folder.name, overrides, "refused", str(error), exit_code=code)
        raise
    if isinstance(started, Outcome):
        return started
    settings = hyperparameters(started.plan.config, part_names(started.plan))
    try:
        with started.lock, closed_whatever_happens(started.folder):
            if started.before is None:
                write_hydra_files(started.folder, config, hydra)
            else:
                now = started.plan.config | {"resume": None, "allow": []}
                text = to_yaml(OmegaConf.create(now))
                write_files(started.folder, {"config.yaml": text})
            result = record(started, settings, bar, drawn, signals)
    except (WriteError, DataError) as error:  # a full disk; what was recorded before is kept
        debugging.show(error)
        code = error.exit_code
        return Outcome(folder.name, overrides, "failed", str(error), folder, exit_code=code)
    return Outcome(
        folder.name,
        overrides,
        result.status,
        result.reason,
        folder,
        result.metrics,
        settings,
        result.seconds,
        pair_name(settings),
        exit_code=DIVERGED if result.status == "diverged" else 0,
    )


class Started(NamedTuple):
    """A run whose folder is claimed, or taken up again.

    lock: lets its folder go when it is left.
    before: where it goes on; None for a new run.
    """

    plan: Plan
    experiment: Experiment
    folder: RunFolder
    lock: AbstractContextManager[Any]
    before: Begun | None


def _start(
    config: DictConfig, hydra: DictConfig, folder: Path, overrides: Sequence[str]
) -> Started | Outcome:
    """Judge a run and take its folder; the outcome of one that is over already.

    Raises:
        InputError: it is refused.
        WriteError: its folder cannot be written.
    """
    if hydra.job.chdir:
        raise InputError(CHDIR)
    if config.sweep.resume is not None:
        raise InputError(f"sweep.resume={config.sweep.resume} needs -m: it resumes a sweep.")
    values = resolved(config)
    # of a command that names both, a scheduler may start it the first time or again
    either = any(one.startswith("hydra.run.dir=") for one in hydra.overrides.hydra)
    resume = values["resume"]
    if resume is not None and Path(resume).resolve() != folder.resolve():
        raise InputError(
            f"resume={resume} and hydra.run.dir={folder} are different folders; leave "
            "hydra.run.dir out to continue."
        )
    before = None if resume is None else begun(folder, or_new=either)
    plan = make_plan(values if before is None else continued(before, values, overrides))
    if before is not None and is_over(before, plan):
        return _as_before(before, plan)
    experiment = plan.build()
    entries = first_entries(plan, overrides, config_hash(plan.config))
    if before is not None:
        check_same(before, plan.config, experiment)
    claimed, lock = take(folder, entries, resume is not None, before)
    return Started(plan, experiment, claimed, lock, before)


def _as_before(before: Begun, plan: Plan) -> Outcome:
    """Return the outcome of a run that has nothing left to do."""
    found = outcome_of(before.folder, before.status)
    names = part_names(plan)
    settings = hyperparameters(plan.config, names)
    code = DIVERGED if found.status == "diverged" else 0
    return replace(found, settings=settings, pair=pair_name(names), exit_code=code)


def first_entries(plan: Plan, overrides: Sequence[str], hash_of_config: str) -> dict[str, Any]:
    """Entries of status.json from the start of a run on, enough to find it again."""
    return {
        "seed": plan.config["seed"],
        "pair": pair_name(part_names(plan)),
        "overrides": list(overrides),
        "config_hash": hash_of_config,
    }


def pair_name(names: Mapping[str, Any]) -> str:
    """Head and loss as run folders and tables name them."""
    return f"{names['head']}+{names['loss']}"


def task_overrides(hydra: DictConfig) -> list[str]:
    """The job's overrides as they were typed."""
    return OmegaConf.to_container(hydra.overrides.task, resolve=False)  # type: ignore[return-value]


def resolved(config: DictConfig) -> dict[str, Any]:
    """Plain values, interpolations filled in.

    Raises:
        InputError: an interpolation leads nowhere.
    """
    try:
        return OmegaConf.to_container(config, resolve=True)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise InputError(f"{one_sentence(error)}.") from error


@contextmanager
def closed_whatever_happens(folder: RunFolder) -> Iterator[None]:
    """No claimed folder says "running" after its job: not after an error, not after Ctrl-C."""
    try:
        yield
    except BaseException as error:
        if folder.status["status"] == "running":
            status = "failed" if isinstance(error, Exception) else "interrupted"
            with suppress(OSError):  # the first error is the one to tell
                folder.write_status(status, reason=cause(error))
        raise


def record(
    run: Started,
    settings: Mapping[str, Any],
    bar: AbstractContextManager[Progress],
    drawn: bool,
    signals: Signals | None,
) -> Result:
    """Train one experiment, or go on with it, and write all that its folder holds."""
    from mlr.analysis.figures.record import moments_before_end, record_figures
    from mlr.records import Recorder
    from mlr.training import train
    from mlr.training.log import run_tags

    experiment, before = run.experiment, run.before
    tags = run_tags(experiment)
    if before is None or before.state is None:
        recorder = Recorder(run.folder, tags, settings)
    else:
        recorder = Recorder.resume(run.folder, tags, before.about["records"], before.state.step)
    if before is not None:
        console.say(_goes_on(before, experiment.total_steps))
    with recorder, bar as progress:
        moments = moments_before_end(experiment) if drawn else ()
        start = None if before is None else before.state
        keeper = keeper_of([Kept(run.plan.config, experiment, recorder, start)], signals)
        with nullcontext() if signals is None else signals.deferred():
            (result,) = train([experiment], [recorder], progress, [moments], keeper)
        if drawn:
            record_figures(recorder, experiment, result)
        entries = last_entries(experiment, result)
        recorder.finish(result.status, result.metrics, result.reason, at=result.point, **entries)
    return result


def _goes_on(before: Begun, total: int) -> str:
    """How a run ended before, and where it goes on."""
    ended = before.status.get("status")
    how = "does not say how it ended" if ended is None else WORDS.get(ended, f"was {ended}")
    if before.state is None:
        return f"the run {how} before its first checkpoint; it starts again."
    return f"the run {how}; it continues after {before.state.step:,} of {total:,} updates."


def last_entries(experiment: Experiment, result: Result) -> dict[str, Any]:
    """Entries of status.json on how a run was trained."""
    import torch

    return {
        "steps": result.steps,
        # products of wide networks are split by threads: another count rounds otherwise
        "threads": torch.get_num_threads(),
        "device": experiment.device,
        "data": experiment.data.fingerprint,
        "anatomy": result.anatomy,
    } | ({"refused": dict(result.refused)} if result.refused else {})


def part_names(plan: Plan) -> dict[str, str]:
    """The chosen part of each group: its own name, or that of the user's class."""
    return {group: part_name(plan.config[group]["_target_"]) for group in PARTS}
