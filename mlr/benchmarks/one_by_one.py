"""Train each job of a sweep as a separate run, by any of Hydra's launchers.

python -m mlr.benchmarks.one_by_one --multirun hydra/launcher=joblib seed=0,1
"""

from __future__ import annotations

from contextlib import nullcontext

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mlr.app.cli.command import VERSION_BASE
from mlr.app.config.output_paths import CONFIGS
from mlr.app.config.schema import register_schema
from mlr.app.run.job import run_job
from mlr.app.sweep.resolvers import register_resolvers


def task(config: DictConfig) -> None:
    """Run one job, in any process."""
    outcome = run_job(config, HydraConfig.get(), nullcontext(_no_progress))  # type: ignore[arg-type]
    if outcome.status != "done":
        raise RuntimeError(f"{outcome.status}: {outcome.reason}")


def _no_progress(done: int, total: int) -> None:
    """Show no progress, since other processes write to the same terminal."""


def main() -> None:
    """Run the command line."""
    register_schema()
    register_resolvers()
    hydra.main(**VERSION_BASE, config_path=str(CONFIGS), config_name="train")(task)()


if __name__ == "__main__":
    main()
