"""Entry point of scripts/train.py: run Hydra, and print errors in one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from mlr.app.cli.help import register_help
from mlr.app.config.arguments import canonical, read_arguments
from mlr.app.config.config_errors import one_sentence, raised_by_hydra
from mlr.app.config.config_policy import check_output, guarded
from mlr.app.config.output_paths import CONFIGS
from mlr.app.config.schema import register_schema
from mlr.app.run.job import remove_empty
from mlr.app.run.signals import Signals
from mlr.app.run.single import SingleRun
from mlr.app.sweep.resolvers import register_resolvers
from mlr.app.sweep.sweep import JobError, Sweep, SweepRefused
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.commandline import command, override, trusted
from mlr.core.durable import WriteError
from mlr.records.run_folder import CHECKPOINT

# Hydra 1.4 knows no other behaviour, and warns when it is asked for
VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3.") else {}


def main() -> int:
    """Run the command line; return the exit code."""
    # Hydra then raises instead of printing a shortened traceback and exiting by itself
    os.environ["HYDRA_FULL_ERROR"] = "1"
    console.take_debug_flag()
    register_help()
    register_schema()
    register_resolvers(sys.argv[1:])
    signals = Signals()
    single, sweep = SingleRun(signals=signals), Sweep(signals=signals)
    try:
        return _run(single, sweep, signals)
    except SweepRefused as refusal:
        console.show_traceback(refusal)
        console.refuse(str(refusal))
        return refusal.exit_code
    except Exception as error:
        return _failed(sweep, error)
    finally:
        sweep.close()


def _run(single: SingleRun, sweep: Sweep, signals: Signals) -> int:
    """Let Hydra run the jobs of the command line; return the exit code."""
    flags = read_arguments(sys.argv[1:])
    sys.argv[1:] = map(canonical, sys.argv[1:])  # Hydra reads them from there
    entry = hydra.main(**VERSION_BASE, config_path=str(CONFIGS), config_name="train")
    with signals, guarded(flags):
        try:
            with suppress(JobError):  # reported with the others
                entry(_task(single, sweep))()
            if signals.asked():  # an import that was interrupted can hide it, and fail later
                raise KeyboardInterrupt
            return single.report() or sweep.report()
        except KeyboardInterrupt:
            return _interrupted(single, sweep, signals)


def _task(single: SingleRun, sweep: Sweep) -> Callable[[DictConfig], float]:
    """Return the function that Hydra calls for each job, and its launcher for a batch."""

    def task(config: DictConfig) -> float:
        hydra = cast(DictConfig, HydraConfig.get())
        try:
            check_output(hydra)
        except InputError as error:
            remove_empty(Path(hydra.runtime.output_dir))
            raise SweepRefused(error) from error
        own = sweep.job if hydra.mode == RunMode.MULTIRUN else single.train
        return own(config, hydra)

    task.batch, task.prepare = sweep.batch, sweep.prepare  # type: ignore[attr-defined]
    return task


def _failed(sweep: Sweep, error: Exception) -> int:
    """Report an error in one sentence; raise it again if its traceback is what helps."""
    console.show_traceback(error)
    message = _sentence(error)
    if message is None:
        raise error
    console.refuse(message)
    sweep.withdraw()
    sweep.report(interrupted=True)
    is_lost = isinstance(error, OSError) and error.errno
    return getattr(error, "exit_code", WriteError.exit_code if is_lost else InputError.exit_code)


def _interrupted(single: SingleRun, sweep: Sweep, signals: Signals) -> int:
    run, saved = single.outcome, ""
    if sweep.folder is not None:
        saved = "; what was finished is saved"
    elif run is not None and run.folder is not None:
        saved = f"; what was recorded until then is saved in {run.folder}"
        if (run.folder / CHECKPOINT).exists():
            place = override("resume", console.shown(run.folder))
            saved = f"; continue with: {command('train', place, *trusted(run.overrides))}"
    console.say(f"interrupted{saved}")
    sweep.report(interrupted=True)
    return signals.exit_code


def _sentence(error: Exception) -> str | None:
    """Return the sentence about `error`; None if its traceback is what helps."""
    if isinstance(error, (InputError, WriteError)):
        return str(error)
    if isinstance(error, OSError) and error.errno:  # also as Hydra writes
        other = "choose another hydra.run.dir or hydra.sweep.dir"
        return f"cannot write {error.filename or 'the output'}: {error.strerror}; {other}."
    return one_sentence(error) if raised_by_hydra(error) else None
