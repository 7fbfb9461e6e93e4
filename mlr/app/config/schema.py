"""The types of the root configuration; its values stand in configs/train.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import InputDefault
from omegaconf import MISSING

from mlr.app.config.probe_families import register_families
from mlr.objectives.compatibility import usual_loss

_USUAL_LOSS = re.compile(r"\$\{usual_loss:\s*\$\{head\}\s*\}")
"""The entry of the defaults list in train.yaml that makes the loss depend on the head."""


@dataclass
class ObjectiveConfig:
    """Options of the objective."""

    strict: bool = MISSING


@dataclass
class SweepConfig:
    """Options of a sweep, on which the runs themselves do not depend."""

    max_runs_per_batch: int | None = MISSING
    processes: int | None = MISSING
    yes: bool = MISSING
    resume: str | None = MISSING


@dataclass
class CheckpointConfig:
    """Seconds between two checkpoints of a run."""

    seconds: float = MISSING


@dataclass
class EvaluateConfig:
    """Splits that are evaluated during training."""

    test_every_epoch: bool = MISSING


@dataclass
class StoppingConfig:
    """Patience in updates, and how much lower a validation loss must be to count."""

    by: str = MISSING
    updates: int | None = MISSING
    factor: float = MISSING
    threshold: float = MISSING


@dataclass
class Config:
    """Configuration of one run, as the command line and YAML give it."""

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
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    dtype: str = MISSING
    device: str = MISSING
    allow_targets: list[str] = MISSING
    objective_metric: str = MISSING
    resume: str | None = MISSING
    allow: list[str] = MISSING
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    sweep: SweepConfig = field(default_factory=SweepConfig)


def register_schema() -> None:
    """Register the types with Hydra, as the first entry of the defaults list."""
    _teach_usual_loss()
    store = ConfigStore.instance()
    if "schema.yaml" not in store.repo:  # 1.4 warns of a second time
        store.store(name="schema", node=Config)
    register_families()


def _teach_usual_loss() -> None:
    """Have Hydra 1.4 understand `${usual_loss:${head}}` in a defaults list.

    Hydra 1.3 asks OmegaConf, and so the resolver. Hydra 1.4 fills in nothing but names of groups.
    """
    plain: Any = InputDefault._resolve_interpolation_impl
    if hydra.__version__.startswith("1.3.") or getattr(plain, "taught", False):
        return

    def resolved(self: InputDefault, choices: Mapping[str, Any], value: str, *more: Any) -> Any:
        head = choices.get("head")
        if isinstance(head, str) and _USUAL_LOSS.fullmatch(str(value)):
            return usual_loss(head), usual_loss(head)
        return plain(self, choices, value, *more)

    resolved.taught = True  # type: ignore[attr-defined]
    InputDefault._resolve_interpolation_impl = resolved  # type: ignore[method-assign,assignment]
