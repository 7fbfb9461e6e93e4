"""The launcher that Hydra finds; its work is done by mlr.app.launch.

Hydra imports this module at every start, single runs included, so it imports little.
"""

# Hydra 1.3 runs this module before it is in sys.modules, where a dataclass looks up
# annotations that are strings: no `from __future__ import annotations`

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from mlr.app.launch import Launch


class BatchedLauncher(Launcher):
    """Hands all jobs of a batch to the task function at once."""

    def __init__(self, engine: str | None = None, **options: Any) -> None:
        """`engine` and its `options` are passed on to the task; None is this process."""
        self.engine = engine
        self.options = options
        self._launch: Launch | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Called by the sweeper, before it validates jobs."""
        from mlr.app.launch import Launch

        self._launch = Launch(hydra_context, task_function, config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run one batch of the sweep."""
        from mlr.app.sweepjob import Engine

        assert self._launch is not None, "launch before setup"
        engine = None
        if self.engine is not None:
            plain: Any = OmegaConf.to_container(OmegaConf.create(self.options), resolve=True)
            engine = Engine(self.engine, plain)
        return self._launch(job_overrides, initial_job_idx, engine)


@dataclass
class BatchedConf:
    """`hydra/launcher=batched`."""

    _target_: str = "hydra_plugins.mlr_batched.launcher.BatchedLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="batched", node=BatchedConf, provider="mlr"
)
