"""Numbers of the charts of a report, few enough for a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlr.analysis.formatting import significant
from mlr.analysis.grouping import short
from mlr.analysis.quantities import CURVES, Quantity, recorded
from mlr.analysis.report.content import Content, ReportGroup
from mlr.analysis.report.theory import grid, measured, theory
from mlr.records.aggregate import QUANTILES

MOST_NUMBERS = 350_000
"""Most numbers in all curves of a page: about 2.5 MB."""
FEWEST_POINTS = 8


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
