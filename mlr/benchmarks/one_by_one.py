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
from mlr.app.run.single import SingleRun
from mlr.app.sweep.resolvers import register_resolvers


def task(config: DictConfig) -> None:
    """Run one job, in any process."""
    single = SingleRun(watched=False, drawn=False)
    single.train(config, HydraConfig.get())  # type: ignore[arg-type]
    outcome = single.outcome
    if outcome is None or outcome.status != "done":
        raise RuntimeError(f"{outcome and outcome.status}: {outcome and outcome.reason}")


def main() -> None:
    """Run the command line."""
    register_schema()
    register_resolvers()
    hydra.main(**VERSION_BASE, config_path=str(CONFIGS), config_name="train")(task)()


if __name__ == "__main__":
    main()
