"""Learning curves of groups as numbers, few enough for a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlr.analysis.quantities import CURVES, Quantity, recorded
from mlr.analysis.report.groups import ReportGroup

MOST_NUMBERS = 350_000
"""Most numbers in all curves of a page: about 2.5 MB."""
FEWEST_POINTS = 8


def curves(ordered: Sequence[ReportGroup]) -> dict[str, Any]:
    """Compute curves of each group's quantities against the number of updates.

    Returns:
        steps: lists of step numbers, shared by curves.
        groups: one mapping per group, from tag to [place in `steps`, mean] or, for several
            runs, [place, mean, 10 % quantile, 90 % quantile].
    """
    shown = drawn(ordered)
    count = sum(1 + 2 * (len(group.runs) > 1) for group in ordered) * len(shown)
    points = max(FEWEST_POINTS, MOST_NUMBERS // max(count, 1))
    steps: dict[tuple[int, ...], int] = {}
    return {
        "groups": [_of_group(group, shown, points, steps) for group in ordered],
        "steps": [list(one) for one in steps],
    }


def drawn(ordered: Sequence[ReportGroup]) -> list[Quantity]:
    """List the quantities that any group has recorded."""
    found = [group.aggregate for group in ordered]
    return recorded(CURVES, {tag for one in found if one is not None for tag in one.tags})


def significant(values: Sequence[float] | np.ndarray) -> list[float]:
    """Round values to four significant digits."""
    return [float(f"{value:.4g}") for value in np.asarray(values).tolist()]


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
        result[tag] = [place, *(significant(table[rows, column]) for table in tables)]
    return result
