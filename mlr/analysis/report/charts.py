"""Numbers of the charts of a report: curves of training, closed forms, and measured gradients."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any

import numpy as np
import torch

from mlr.analysis.formatting import significant
from mlr.analysis.grouping import short
from mlr.analysis.quantities import CURVES, Quantity, recorded
from mlr.analysis.report.content import Content, ReportGroup
from mlr.core.checks import InputError
from mlr.core.domains import Densities, Interval
from mlr.data.inputs import LOSS_NUMBERS, Description
from mlr.heads import Head
from mlr.records.aggregate import QUANTILES
from mlr.records.reading import Recorded
from mlr.records.run_folder import INPUTS
from mlr.training.instantiate import make_part, recorded_loss, split_loss
from mlr.training.loss_options import LossOptions

MOST_NUMBERS = 350_000
"""Most numbers in all curves of a page: about 2.5 MB."""
FEWEST_POINTS = 8
LIMIT, POINTS = 10, 321
"""Logits run from −LIMIT to LIMIT, on a grid that has all whole and half numbers."""
CLASSES = 2
"""Number of classes if it is unknown."""


def charts(content: Content) -> dict[str, Any]:
    """Collect the numbers of the page's charts as plain values."""
    panels = content.panels
    lines = curves(content.groups)
    names = zip(content.keys, short(content.keys), strict=True)
    return {
        "pairs": [panel.label for panel in panels],
        "losses": [panel.loss for panel in panels],
        "sets": [panel.data for panel in panels],
        "quantities": [one.as_object() for one in drawn(content.groups)],
        "finals": [one.as_object() for one in content.finals],
        "steps": lines["steps"],
        "groups": [
            {
                "pair": panels.index(group.panel),
                "label": group.label,
                "runs": len(group.runs),
                "diverged": group.diverged,
                "best": group.choice == 0,
                "choice": group.choice,
                "values": dict(group.chosen),
                "finals": {one.tag: _spread(group.finals(one.tag)) for one in content.finals},
                "curves": own,
            }
            for group, own in zip(content.groups, lines["groups"], strict=True)
        ],
        "keys": [[key, name] for key, name in names if key in content.numeric_keys],
        "theory": {
            "z": grid(),
            "pairs": {
                panels.index(panel): theory(group) | {"points": measured(group.runs)}
                for panel, group in content.best.items()
            },
        },
    }


def curves(groups: Sequence[ReportGroup]) -> dict[str, Any]:
    """Compute curves of each group's quantities against the number of updates.

    Returns:
        steps: lists of step numbers, shared by curves.
        groups: one mapping per group, from tag to [place in `steps`, mean] or, for several
            runs, [place, mean, 10 % quantile, 90 % quantile].
    """
    shown = drawn(groups)
    count = sum(1 + 2 * (len(group.runs) > 1) for group in groups) * len(shown)
    points = max(FEWEST_POINTS, MOST_NUMBERS // max(count, 1))
    steps: dict[tuple[int, ...], int] = {}
    found = [_of_group(group, shown, points, steps) for group in groups]
    return {"groups": found, "steps": [list(one) for one in steps]}


def drawn(ordered: Sequence[ReportGroup]) -> list[Quantity]:
    """List the quantities that any group has recorded."""
    found = [group.aggregate for group in ordered]
    return recorded(CURVES, {tag for one in found if one is not None for tag in one.tags})


def _of_group(
    group: ReportGroup, shown: Sequence[Quantity], points: int, steps: dict[tuple[int, ...], int]
) -> dict[str, Any]:
    found, several = group.aggregate, len(group.runs) > 1
    result: dict[str, Any] = {}
    for tag in (one.tag for one in shown):
        if found is None or tag not in found.tags:
            continue
        column = found.tags.index(tag)
        rows = np.flatnonzero(np.isfinite(found.mean[:, column]))
        if not len(rows):
            continue
        if len(rows) > points:
            rows = rows[np.linspace(0, len(rows) - 1, points).round().astype(np.int64)]
        place = steps.setdefault(tuple(found.steps[rows].tolist()), len(steps))
        tables = (found.mean, found.low, found.high) if several else (found.mean,)
        result[tag] = [place, *(significant(table[rows, column].tolist()) for table in tables)]
    return result


def _spread(values: Sequence[float]) -> list[float] | None:
    """Compute mean, 10 % and 90 % quantile."""
    if not values:
        return None
    return significant([float(np.mean(values)), *np.quantile(values, QUANTILES)])


def theory(group: ReportGroup) -> dict[str, Any]:
    """Compute the curves of a group's pair for targets 0 and 1.

    Of outputs that share a sum of 1 the logit stands against all others, as z_k − log Σ e^z_j
    over j ≠ k, which are equal, and for target 0 another class is the right one. Outputs that
    do not share in each other's cost are drawn alone: of several weights of target 1 the first
    one counts. Weights of classes count where there are two.

    Returns:
        outputs: K of the curves; loss, gradient: two lists over the grid; or why: what keeps
        it from being drawn.
    """
    run = group.runs[0]
    try:
        head = make_part("head", run.config.get("head") or {}, Head, ())  # type: ignore[type-abstract]
        loss = recorded_loss(run.config, ())
        if head.range.per_target != 1:
            count = "two" if head.range.per_target == 2 else str(head.range.per_target)
            raise InputError(f"head={head.name} has {count} logits for each target: no one curve.")
        classes = ((run.anatomy or {}).get("classes") or {}).get("count") or [0] * CLASSES
        alone = head.range.least_outputs == 1 and isinstance(loss.domain, (Interval, Densities))
        outputs = 1 if alone else head.outputs(len(classes))
        options, own = objective_options(run)
        objective = options.of_numbers(
            *(head, loss, outputs, False),
            own.get("pos_weight", [])[:outputs] or options.pos_weight,
            own.get("prior", options.prior),
        )
    except InputError as error:  # not mlr's own parts, or not of one logit for each target
        return {"why": str(error)}
    # two cases, target 0 and target 1, of the first logit; together the others come to e^0
    logits = torch.full((2, POINTS, outputs), -log(max(1, outputs - 1)), dtype=torch.float64)
    logits[..., 0] = torch.tensor(grid(), dtype=torch.float64)
    targets = torch.zeros_like(logits)
    targets[1, :, 0] = 1
    targets[0, :, 1:2] = float(not head.ordered)
    losses = objective.losses(logits, targets)
    gradients = objective.gradient(logits, targets)[..., 0]
    weights = own.get("class_weights", [])
    if len(weights) == CLASSES:
        # by the class of the example, which the first of several outputs is
        column = torch.tensor(weights if outputs == 1 else weights[::-1]).double().unsqueeze(1)
        losses, gradients = losses * column, gradients * column
    return {
        "outputs": outputs,
        "loss": [significant(row.tolist()) for row in losses],
        "gradient": [significant(row.tolist()) for row in gradients],
    }


def objective_options(run: Recorded) -> tuple[LossOptions, dict[str, list[float]]]:
    """Return the options of a run's objective, and the numbers that it made of its data.

    Raises:
        InputError: the file of these numbers is missing or damaged.
    """
    options = LossOptions(**split_loss(run.config.get("loss") or {})[1])
    if (options.weight, options.pos_weight, options.prior) == (None, None, None):
        return options, {}
    path = run.folder / INPUTS
    try:
        found = Description.decode(path.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"{path}, which has the numbers of its losses, cannot be read.") from error
    numbers = {name: getattr(found, name) for name in LOSS_NUMBERS}
    return options, {name: list(own) for name, own in numbers.items() if own is not None}


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
