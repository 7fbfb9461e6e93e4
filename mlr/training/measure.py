"""From the kept tensors of logged steps to numbers: many steps in one computation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.probes import Histogram, Probe, StepValues, histogram
from mlr.training.background import side_by_side
from mlr.training.evaluate import correct
from mlr.training.step import LoggedStep, Program

HISTOGRAMS = {"histogram/logits": "logits", "histogram/logit_grad": "logit_grads"}
"""Tag of each histogram → the field of `LoggedStep` that it shows."""

STACK_VALUES = 1 << 18
"""Logits measured at a time: a probe's intermediate values then stay in cache."""

Numbers = NDArray[np.floating]


def by_batch_size(steps: Sequence[LoggedStep]) -> list[list[int]]:
    """Positions of steps to stack: of one batch size, and few enough to stay in cache."""
    positions: dict[int, list[int]] = defaultdict(list)
    for position, step in enumerate(steps):
        positions[step.logits.shape[1]].append(position)
    stacks = []
    for chosen in positions.values():
        size = max(1, STACK_VALUES // steps[chosen[0]].logits.numel())
        stacks += [chosen[start : start + size] for start in range(0, len(chosen), size)]
    return stacks


def measure_steps(
    program: Program,
    probes: Sequence[Probe],
    steps: Sequence[LoggedStep],
    classification: bool,
    workers: int,
) -> Numbers:
    """Every number of every probe (P, R, tags)."""

    def measured(chosen: Sequence[int]) -> Tensor:
        values = stack_values(program, [steps[position] for position in chosen], classification)
        return torch.cat([probe.measure(values) for probe in probes], dim=-1)

    stacks = by_batch_size(steps)
    blocks = side_by_side(measured, stacks, _worth(steps, workers))
    joined = torch.cat(blocks).cpu().numpy()
    return joined[np.argsort([position for chosen in stacks for position in chosen])]


def stack_values(program: Program, steps: Sequence[LoggedStep], classification: bool) -> StepValues:
    """What probes read, of steps of one batch size."""
    objectives = program.objectives
    logits = _stack([kept.logits for kept in steps])
    targets = program.targets(_stack([kept.targets for kept in steps]))
    return StepValues(
        logits=logits,
        logit_grads=_stack([kept.logit_grads for kept in steps]),
        losses=objectives.losses(logits, targets, axis=1),
        slopes=objectives.slopes(logits, axis=1),
        right=correct(objectives, logits, targets.values, axis=1) if classification else None,
        layer_grad_norms=torch.stack([kept.layer_grad_norms for kept in steps]),
    )


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """(P, R, B, K) of P tensors (R, B, K), whatever lay where: run by run, the batch last."""
    return torch.stack([tensor.mT for tensor in tensors]).mT


def _worth(steps: Sequence[LoggedStep], workers: int) -> int:
    """How many workers pay for their threads."""
    return workers if len(steps) * steps[0].logits.numel() > 2 * STACK_VALUES else 1


def measure_histograms(steps: Sequence[LoggedStep], workers: int) -> dict[str, Histogram]:
    """By tag, the histograms over batch and outputs of each run at every step (P, R, …)."""
    stacks = by_batch_size(steps)
    order = torch.tensor(np.argsort([position for chosen in stacks for position in chosen]))
    measured = {}
    for tag, field in HISTOGRAMS.items():

        def drawn(chosen: Sequence[int], field: str = field) -> Histogram:
            stacked = torch.stack([getattr(steps[position], field) for position in chosen])
            return histogram(stacked.flatten(2))

        parts = side_by_side(drawn, stacks, _worth(steps, workers))
        measured[tag] = Histogram(
            *(torch.cat(columns).cpu()[order] for columns in zip(*parts, strict=True))
        )
    return measured
