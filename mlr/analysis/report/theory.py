"""Loss and dL/dz of pairs against one logit: closed forms and measured means."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np

from mlr.analysis.formatting import significant
from mlr.analysis.report.content import ReportGroup
from mlr.core.checks import InputError
from mlr.core.domains import Interval
from mlr.heads import Head
from mlr.losses import Loss
from mlr.records.reading import Recorded
from mlr.training.instantiate import make_part

if TYPE_CHECKING:
    from torch import Tensor

    from mlr.objectives import Objective

LIMIT, POINTS = 10, 321
"""Logits run from −LIMIT to LIMIT, on a grid that has all whole and half numbers."""
CLASSES = 2
"""Number of classes if it is unknown."""


def theory(group: ReportGroup) -> dict[str, Any]:
    """Compute the curves of a group's pair for targets 0 and 1.

    Of outputs that share a sum of 1 the logit stands against all others, as z_k − log Σ e^z_j
    over j ≠ k, which are equal, and for target 0 another class is the right one. Outputs that
    do not share in each other's cost are drawn alone.

    Returns:
        outputs: K of the curves; loss, gradient: two lists over the grid; or why: what keeps
        it from being drawn.
    """
    try:
        objective, outputs = _objective(group.runs[0])
    except InputError as error:
        return {"why": str(error)}
    logits, targets = _cases(outputs)
    losses = objective.losses(logits, targets)
    gradients = objective.gradient(logits, targets)[..., 0]
    return {
        "outputs": outputs,
        "loss": [significant(row.tolist()) for row in losses],
        "gradient": [significant(row.tolist()) for row in gradients],
    }


def grid() -> list[float]:
    """Return the logits of the curves."""
    return [round(2 * LIMIT * at / (POINTS - 1) - LIMIT, 6) for at in range(POINTS)]


def measured(runs: Sequence[Recorded]) -> list[list[list[float]]]:
    """Compute mean dL/dz by logit over all outputs of all runs, in the middle of each bin.

    Returns:
        For target 0 and for target 1: [z, mean dL/dz, share of all outputs of that target];
        empty if nothing was measured. The open first and last bins are placed half a bin beyond
        their edge.
    """
    tables = [table for run in runs if (table := (run.anatomy or {}).get("logits"))]
    if not tables:
        return [[], []]
    edges = tables[0]["edges"]
    tables = [table for table in tables if table["edges"] == edges]
    half = (edges[1] - edges[0]) / 2
    centres = np.array([edges[0] - half, *(edge + half for edge in edges)])
    counts = np.array([table["count"] for table in tables])
    grads = np.array([table["grad"] for table in tables], float)  # NaN for None
    whole = counts.sum((0, 2))
    seen = np.where(np.isnan(grads), 0, counts)
    sums = np.nansum(seen * grads, 0)
    return [
        [
            significant([centres[at], sums[target, at] / count, count / whole[target]])
            for at, count in enumerate(seen[:, target].sum(0))
            if count
        ]
        for target in (0, 1)
    ]


def _objective(run: Recorded) -> tuple[Objective, int]:
    """Build the objective of a run's pair, and choose the number of outputs of its curves.

    Raises:
        InputError: head or loss are not mlr's own, or not of one logit for each target.
    """
    # takes seconds, and nothing else of the page needs torch
    from mlr.objectives import Objective

    head = make_part("head", run.config.get("head") or {}, Head, ())  # type: ignore[type-abstract]
    loss = make_part("loss", run.config.get("loss") or {}, Loss, ())  # type: ignore[type-abstract]
    if head.range.per_target != 1:
        raise InputError(f"head={head.name} has two logits for each target: no one curve.")
    classes = ((run.anatomy or {}).get("classes") or {}).get("count") or [0] * CLASSES
    alone = head.range.least_outputs == 1 and isinstance(loss.domain, Interval)
    outputs = 1 if alone else head.outputs(len(classes))
    return Objective(head, loss, outputs=outputs, strict=False), outputs


def _cases(outputs: int) -> tuple[Tensor, Tensor]:
    """Build logits and targets (2, POINTS, K): the first logit varies, of target 0, then 1."""
    import torch

    # together the others come to e^0
    logits = torch.full((2, POINTS, outputs), -log(max(1, outputs - 1)), dtype=torch.float64)
    logits[..., 0] = torch.tensor(grid(), dtype=torch.float64)
    targets = torch.zeros_like(logits)
    targets[1, :, 0] = 1
    if outputs > 1:
        targets[0, :, 1] = 1
    return logits, targets
