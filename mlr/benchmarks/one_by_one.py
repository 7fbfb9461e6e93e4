"""Train each job of a sweep as a separate run, by any of Hydra's launchers.

python -m mlr.benchmarks.one_by_one --multirun hydra/launcher=joblib seed=0,1
"""

from __future__ import annotations

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mlr.app.cli.command import VERSION_BASE
from mlr.app.config.output_paths import CONFIGS
from mlr.app.config.schema import register_schema
from mlr.app.run.single import train_single
from mlr.app.sweep.resolvers import register_resolvers
from mlr.records.outcome import Outcome


def task(config: DictConfig) -> None:
    """Run one job, in any process."""
    outcomes: list[Outcome] = []
    train_single(config, HydraConfig.get(), outcomes.append)  # type: ignore[arg-type]
    if outcomes[0].status != "done":
        raise RuntimeError(f"{outcomes[0].status}: {outcomes[0].reason}")


def main() -> None:
    """Run the command line."""
    register_schema()
    register_resolvers()
    hydra.main(**VERSION_BASE, config_path=str(CONFIGS), config_name="train")(task)()


if __name__ == "__main__":
    main()
