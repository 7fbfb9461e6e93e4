"""Result of a run: status, final numbers, parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Result:
    """Outcome of one run.

    status: done or diverged.
    reason: why it ended before its last step, or None.
    steps: updates of the returned parameters.
    metrics: final numbers by tag (`loss/test`, `logit_grad/wrong`, …), over whole splits; of
        training data over at most 10,000 examples.
    anatomy: diagnostics of the training examples, see `mlr.training.final_diagnostics`; plain
        values for JSON.
    parameters: θ by name, on the CPU.
    state_dict: the module's state_dict with these parameters, on the CPU.
    optimizer_state: the optimizer's moments as flat (P,) tensors.
    seconds: wall time of the program that the run was part of.
    snapshots: updates done and θ by then, on the CPU, if `train` was asked for them.
    best: updates done when the validation loss was lowest, and θ by then if that was before
        the end; (0, {}) for none.
    refused: for an update that would have made it diverge: its number, the first tensor that is
        not finite, the training examples of its batch; its final numbers are then NaN.
    point: updates and epochs of the final numbers.
    """

    status: str
    reason: str | None
    steps: int
    metrics: dict[str, float]
    anatomy: dict[str, Any]
    parameters: dict[str, Tensor]
    state_dict: dict[str, Tensor]
    optimizer_state: dict[str, Tensor]
    seconds: float
    snapshots: tuple[tuple[int, dict[str, Tensor]], ...] = ()
    best: tuple[int, dict[str, Tensor]] = field(default_factory=lambda: (0, {}))
    refused: Mapping[str, Any] = field(default_factory=dict)
    point: tuple[int, float] = (0, 0.0)
