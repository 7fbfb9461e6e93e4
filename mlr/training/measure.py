"""From the kept tensors of logged steps to numbers: many steps in one computation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.probes import Histogram, Probe, StepValues, histogram
from mlr.training.evaluate import correct
from mlr.training.step import LoggedStep, Program

HISTOGRAMS = {"histogram/logits": "logits", "histogram/logit_grad": "logit_grads"}
"""Tag of each histogram → the field of `LoggedStep` that it shows."""

Numbers = NDArray[np.float64]


def by_batch_size(steps: Sequence[LoggedStep]) -> dict[int, list[int]]:
    """Positions of the steps of each batch size: only equal ones can be stacked."""
    positions: dict[int, list[int]] = defaultdict(list)
    for position, step in enumerate(steps):
        positions[step.logits.shape[1]].append(position)
    return positions


def measure_steps(
    program: Program, probes: Sequence[Probe], steps: Sequence[LoggedStep], classification: bool
) -> Numbers:
    """Every number of every probe (P, R, tags), in one transfer."""
    positions, blocks = [], []
    for chosen in by_batch_size(steps).values():
        values = stack_values(program, [steps[position] for position in chosen], classification)
        blocks.append(torch.cat([probe.measure(values) for probe in probes], dim=-1))
        positions += chosen
    return torch.cat(blocks).cpu().double().numpy()[np.argsort(positions)]


def stack_values(program: Program, steps: Sequence[LoggedStep], classification: bool) -> StepValues:
    """What probes read, of steps of one batch size."""
    objectives = program.objectives
    logits = torch.stack([kept.logits for kept in steps])
    targets = torch.stack([kept.targets for kept in steps])
    return StepValues(
        logits=logits,
        logit_grads=torch.stack([kept.logit_grads for kept in steps]),
        losses=objectives.losses(logits, targets, axis=1),
        slopes=objectives.slopes(logits, axis=1),
        right=correct(objectives, logits, targets, axis=1) if classification else None,
        layer_grad_norms=torch.stack([kept.layer_grad_norms for kept in steps]),
    )


def measure_histograms(steps: Sequence[LoggedStep]) -> dict[str, list[Histogram]]:
    """By tag, the histograms over batch and outputs of each run at every step (R × (P, bins))."""
    measured = {}
    for tag, field in HISTOGRAMS.items():
        parts: list[list[Tensor]] = []
        positions = []
        for chosen in by_batch_size(steps).values():
            stacked = torch.stack([getattr(steps[position], field) for position in chosen])
            shape = stacked.shape[:2]
            flat = histogram(stacked.reshape(shape.numel(), -1))
            parts.append([values.unflatten(0, shape) for values in flat])
            positions += chosen
        order = torch.tensor(np.argsort(positions))
        joined = [torch.cat(columns).cpu()[order] for columns in zip(*parts, strict=True)]
        runs = joined[0].shape[1]
        measured[tag] = [Histogram(*(values[:, run] for values in joined)) for run in range(runs)]
    return measured
