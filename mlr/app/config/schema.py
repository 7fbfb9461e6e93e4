"""The types of the root configuration; its values stand in configs/train.yaml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from mlr.app.config.default_losses import teach_usual_losses


@dataclass
class ObjectiveConfig:
    """strict=false lets a defined but senseless pair run."""

    strict: bool = MISSING


@dataclass
class SweepConfig:
    """How a sweep is made; what a run is does not depend on it."""

    max_runs_per_batch: int | None = MISSING
    yes: bool = MISSING
    resume: str | None = MISSING


@dataclass
class CheckpointConfig:
    """How often a run is kept while it is trained."""

    seconds: float = MISSING


@dataclass
class EvaluateConfig:
    """On what a run is judged while it is trained."""

    test_every_epoch: bool = MISSING


@dataclass
class Config:
    """One run, as the command line and YAML give it."""

    head: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    probes: dict[str, Any] = field(default_factory=dict)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    seed: int = MISSING
    epochs: int = MISSING
    steps: int | None = MISSING
    batch_size: int = MISSING
    max_grad_norm: float | None = MISSING
    patience: int | None = MISSING
    dtype: str = MISSING
    device: str = MISSING
    allow_targets: list[str] = MISSING
    objective_metric: str = MISSING
    resume: str | None = MISSING
    allow: list[str] = MISSING
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)


def register_schema() -> None:
    """Make the types known to Hydra, as the first entry of the defaults list, and the losses."""
    teach_usual_losses()
    store = ConfigStore.instance()
    if "schema.yaml" not in store.repo:  # 1.4 warns of a second time
        store.store(name="schema", node=Config)
