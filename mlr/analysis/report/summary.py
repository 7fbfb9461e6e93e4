"""Sentences at the top of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from mlr.analysis.compare.comparison import CompareRow
from mlr.analysis.compare.headline import headline, namer
from mlr.analysis.compare.table import apart_lines
from mlr.analysis.formatting import percent
from mlr.analysis.report.content import Content, display_pair


def verdicts(content: Content) -> list[str]:
    """Write a text for each ranking: which pairs are significantly better, and which tie."""
    return [
        ranking.lead + headline(ranking, partial(_name, by_keys=namer(ranking)))
        for ranking in content.rated
    ]


def apart(content: Content) -> str:
    """Explain which rankings cannot be compared; empty if all can."""
    return " ".join(f"{line[0].upper()}{line[1:]}." for line in apart_lines(content.comparison))


def counts(content: Content) -> str:
    """Count runs and jobs by status."""
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
    untrained = Counter(one.status for one in content.untrained)
    jobs = [f" {_many(count, 'job')} {name}." for name, count in sorted(untrained.items())]
    return text + "".join(jobs)


def spread(content: Content) -> str:
    """Write the range of mean accuracies; empty for fewer than two, or for several data sets."""
    if len(content.comparison.rankings) > 1:
        return ""
    metric = content.comparison.rankings[0].metric
    means = [row.mean for row in content.comparison.rows if row.mean is not None]
    if len(means) < 2 or not metric.startswith("accuracy/"):
        return ""
    return (
        f"Means over seeds range from {percent(min(means))} to {percent(max(means))} "
        f"over {len(means)} configurations."
    )


def _name(row: CompareRow, by_keys: Callable[[CompareRow], str]) -> str:
    """Name a configuration with its pair written for people."""
    pair = str(row.keys["pair"] or "")
    return by_keys(row).replace(pair, display_pair(pair), 1) if pair else by_keys(row)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
