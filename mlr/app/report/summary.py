"""The report in a few plain sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isfinite

from mlr.app.compare.comparison import Row
from mlr.app.report.content import Content, parted, written
from mlr.app.report.quantities import FINALS, told, told_with_spread


def verdict(content: Content) -> str:
    """The best pair and the last one, with their numbers."""
    metric = content.comparison.metric
    quantity = next((one for one in FINALS if one.tag == metric), None)
    label, share = (quantity.label, quantity.share) if quantity else (metric, False)
    rows = _first_of_pairs(content.comparison.rows)
    if not rows:
        return "No run has ended yet."

    def number(row: Row) -> str:
        std = float("nan") if row.std is None else row.std
        assert row.mean is not None
        return told_with_spread(row.mean, std, share)

    best = rows[0]
    if len(rows) == 1:
        return f"{_name(best)}: {number(best)} {label}."
    text = f"{_name(best)} is best with {number(best)} {label}"
    if all(row.verdict == "not significant" for row in rows[1:]):
        return f"{text}; its lead over each other pair could be chance."
    last = rows[-1]
    same_unit = share or parted(str(best.keys["pair"]))[1] == parted(str(last.keys["pair"]))[1]
    if same_unit:
        text += f"; {_name(last)} is last with {number(last)}"
    return text + "."


def counts(content: Content) -> str:
    """How many runs there are, and what became of them."""
    runs = len(content.runs)
    status = Counter(run.status for run in content.runs)
    pairs = len({run.pair for run in content.runs})
    seeds = len({run.seed for run in content.runs})
    text = f"{_many(runs, 'run')} of {_many(pairs, 'pair')} of head and loss"
    if seeds > 1:
        text += f", {seeds} seeds"
    diverged = status.pop("diverged", 0)
    others = [f"{count} {name}" for name, count in sorted(status.items())]
    text += f": {', '.join([*others, f'{diverged} diverged'])}."
    unmade = Counter(one.status for one in content.unmade)
    jobs = [f" {_many(count, 'job')} {name}." for name, count in sorted(unmade.items())]
    return text + "".join(jobs)


def spread(content: Content) -> str:
    """How far groups of runs lie apart; empty where there are less than two."""
    metric = content.comparison.metric
    means = [row.mean for row in content.comparison.rows if row.mean is not None]
    if len(means) < 2 or not metric.startswith("accuracy/"):
        return ""
    low, high = min(means), max(means)
    return (
        f"Means over seeds range from {told(low, True)} to {told(high, True)} "
        f"over {len(means)} settings."
    )


def _first_of_pairs(rows: Sequence[Row]) -> list[Row]:
    found: dict[object, Row] = {}
    for row in rows:
        if row.mean is not None and isfinite(row.mean):
            found.setdefault(row.keys["pair"], row)
    return list(found.values())


def _name(row: Row) -> str:
    return written(parted(str(row.keys["pair"] or "")))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
