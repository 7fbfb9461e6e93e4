"""What a finished run is: its status, its final numbers, its parameters."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Result:
    """Outcome of one run.

    status: done or diverged.
    reason: why it ended before its last step, or None.
    steps: updates that the returned parameters have seen.
    metrics: final numbers over whole splits, by tag (`loss/test`, `logit_grad/wrong`, …).
    parameters: θ by name, as the module's state_dict, on the CPU.
    buffers: the module's buffers by name, on the CPU.
    optimizer_state: the optimizer's moments as flat (P,) tensors.
    seconds: wall time of the program that the run was part of.
    """

    status: str
    reason: str | None
    steps: int
    metrics: dict[str, float]
    parameters: dict[str, Tensor]
    buffers: dict[str, Tensor]
    optimizer_state: dict[str, Tensor]
    seconds: float
