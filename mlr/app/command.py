"""The entry point of scripts/train.py: Hydra around `run_job`, and errors in one sentence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from mlr.app import console
from mlr.app.errors import one_sentence, raised_by_hydra
from mlr.app.job import Outcome, run_job
from mlr.app.names import register_resolvers
from mlr.app.schema import register_schema
from mlr.checks import InputError

CONFIGS = Path(__file__).parents[2] / "configs"
INTERRUPTED = 130


class Session:
    """What the jobs of this process came to, for the report at its end."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.sweep: Path | None = None

    def job(self, config: DictConfig) -> None:
        """Run one job; Hydra calls it once, or once for each combination of a sweep."""
        hydra_config = cast(DictConfig, HydraConfig.get())
        is_sweep = hydra_config.mode == RunMode.MULTIRUN
        number = len(self.outcomes)
        if is_sweep:
            self.sweep = Path(hydra_config.sweep.dir).absolute()
        label = f"#{number}" if is_sweep else "training"
        outcome = run_job(config, hydra_config, console.progress_bar(label))
        self.outcomes.append(outcome)
        if is_sweep:
            console.print_job(number, outcome)

    def report(self) -> int:
        """Print the summary; returns the exit code."""
        if self.sweep is not None:
            from mlr.records.sweep import write_runs_table

            write_runs_table(self.sweep / "runs.csv", [_row(outcome) for outcome in self.outcomes])
            console.print_sweep(self.outcomes, self.sweep)
            return int(any(outcome.status == "failed" for outcome in self.outcomes))
        for outcome in self.outcomes:
            if outcome.status in ("refused", "failed"):
                console.refuse(str(outcome.reason))
                return 1
            console.print_run(outcome)
        return 0


def _row(outcome: Outcome) -> dict[str, object]:
    overrides = dict(part.split("=", 1) for part in outcome.overrides if "=" in part)
    return {
        "run": outcome.name,
        "status": outcome.status,
        **overrides,
        **outcome.metrics,
        "reason": outcome.reason or "",
    }


def main() -> int:
    """Run what the command line asks for; returns the exit code."""
    # Hydra then raises instead of printing a shortened traceback and exiting by itself
    os.environ["HYDRA_FULL_ERROR"] = "1"
    register_schema()
    register_resolvers()
    session = Session()
    entry = hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
    try:
        entry(session.job)()
    except KeyboardInterrupt:
        console.refuse("interrupted; what was recorded until then is kept.")
        session.report()
        return INTERRUPTED
    except Exception as error:
        if isinstance(error, InputError):
            console.refuse(str(error))
        elif raised_by_hydra(error):
            console.refuse(one_sentence(error))
        elif isinstance(error, OSError):  # Hydra makes the run's folder before the job starts
            console.refuse(f"cannot write {error.filename}: {error.strerror}; set hydra.run.dir.")
        else:
            raise  # a mistake of ours, or of a user's own code: they need the traceback
        return 1
    return session.report()
