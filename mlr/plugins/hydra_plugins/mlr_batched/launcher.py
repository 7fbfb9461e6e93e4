"""Launcher plugin that Hydra finds; its work is done by mlr.app.sweep.launch.

Hydra imports this module at every start, single runs included, so it imports little.
"""

# Hydra 1.3 runs this module before it is in sys.modules, where a dataclass looks up
# annotations that are strings: no `from __future__ import annotations`

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from mlr.app.sweep.launch import Launch


class BatchedLauncher(Launcher):
    """Launcher that hands all jobs of a batch to the task function at once."""

    def __init__(self, **options: Any) -> None:
        """Keep the options for the task: a cluster's `engine` and its own; none is this process."""
        self.options: Any = OmegaConf.to_container(OmegaConf.create(options), resolve=True)
        self._launch: Launch | None = None

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Prepare the sweep; called by the sweeper before it validates jobs."""
        from mlr.app.sweep.launch import Launch

        self._launch = Launch(hydra_context, task_function, config)

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Run one batch of the sweep."""
        assert self._launch is not None, "launch before setup"
        return self._launch(job_overrides, initial_job_idx, self.options or None)


@dataclass
class BatchedConf:
    """Configuration of `hydra/launcher=batched`."""

    _target_: str = "hydra_plugins.mlr_batched.launcher.BatchedLauncher"


@dataclass
class ClusterConf(BatchedConf):
    """Configuration that all engines have in common.

    workers: tasks that a group of runs is split into; null takes as many as can run at once.
    runs_per_task: a smaller size of task.
    retries: how often a lost task is begun again.
    """

    workers: int | None = None
    runs_per_task: int | None = None
    cpus_per_task: int = 1
    gpus_per_task: int = 0
    retries: int = 3


@dataclass
class RayConf(ClusterConf):
    """Configuration of `hydra/launcher=batched_ray`.

    address: of a cluster; null starts one on this machine, with `num_cpus` (null: all).
    """

    engine: str = "ray"
    address: str | None = None
    num_cpus: int | None = None


@dataclass
class SlurmConf(ClusterConf):
    """Configuration of `hydra/launcher=batched_slurm`.

    cluster: slurm; local trains in processes of this machine, to try it.
    additional: more of sbatch's options, by name.
    """

    engine: str = "slurm"
    workers: int | None = 4
    cluster: str = "slurm"
    partition: str | None = None
    timeout_min: int = 240
    mem_gb: float | None = None
    additional: dict[str, Any] = field(default_factory=dict)


for name, node in {
    "batched": BatchedConf,
    "batched_ray": RayConf,
    "batched_slurm": SlurmConf,
}.items():
    ConfigStore.instance().store(group="hydra/launcher", name=name, node=node, provider="mlr")
