"""Sweeps composed in a test: by Hydra itself, and by mlr."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from mlr.app.cli.command import CONFIGS, VERSION_BASE
from mlr.app.config.schema import register_schema
from mlr.app.sweep.launch import Launch
from mlr.app.sweep.resolvers import register_resolvers


class Stock(NamedTuple):
    """A job as Hydra composes it, and as its own launcher prepares it."""

    tree: DictConfig
    config: dict[str, Any]
    folder: Path
    files: dict[str, str]


class Sweep:
    """One multirun's configuration and its loader, stock and cheap."""

    def __init__(self, hydra_overrides: Sequence[str]) -> None:
        self.loader = GlobalHydra.instance().hydra.config_loader
        self.master = self.loader.load_configuration(
            "train", list(hydra_overrides), RunMode.MULTIRUN
        )
        # every sweeper asks for it first, and what its resolvers say is remembered
        str(self.master.hydra.sweep.dir)
        self.context = HydraContext(self.loader, Callbacks(self.master))
        self.jobs: list = []

        def task(config):
            raise AssertionError("the batch is run as one")

        def batch(jobs, folder, engine):
            self.jobs, self.folder, self.engine = list(jobs), folder, engine
            return [float(job.number) for job in jobs]

        task.batch, task.prepare = batch, lambda config: None
        self.launch = Launch(self.context, task, self.master)
        self.cached = self.launch.loader

    def cheap(self, *jobs: Sequence[str], first: int = 0) -> list:
        """Jobs as the batch gets them."""
        self.launch([list(job) for job in jobs], first)
        return self.jobs

    def stock(self, overrides: Sequence[str], number: int = 0) -> Stock:
        """Prepare a job as hydra.core.utils.run_job does before it calls the task."""
        composed = self.loader.load_sweep_config(self.master, list(overrides))
        tree = composed.copy()
        with open_dict(tree):
            tree.hydra.job.id = str(number)
            tree.hydra.job.num = number
        before = HydraConfig.instance().cfg
        HydraConfig.instance().set_config(tree)
        try:
            parts = (str(OmegaConf.select(tree, f"hydra.sweep.{key}")) for key in ("dir", "subdir"))
            folder = os.path.abspath(os.path.join(*parts))  # noqa: PTH100, PTH118
            with read_write(tree.hydra.runtime), open_dict(tree.hydra.runtime):
                tree.hydra.runtime.output_dir = folder
            task = tree.copy()
            with read_write(task), open_dict(task):
                del task["hydra"]
            config = OmegaConf.to_container(task, resolve=True)
        finally:
            HydraConfig.instance().cfg = before
        own = tree.copy()
        with read_write(own), read_write(own.hydra), open_dict(own.hydra):
            own.hydra.output_subdir = own.hydra.output_subdir or ".hydra"
        files = {
            "config.yaml": OmegaConf.to_yaml(task),
            "hydra.yaml": OmegaConf.to_yaml(OmegaConf.masked_copy(own, "hydra")),
            "overrides.yaml": OmegaConf.to_yaml(tree.hydra.overrides.task),
        }
        return Stock(composed, config, Path(folder), files)


def sweep_of(*hydra_overrides: str) -> Sweep:
    register_schema()
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), job_name="train", **VERSION_BASE):
        return Sweep(hydra_overrides)
