"""The report in a few plain sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from mlr.analysis.compare.comparison import Row
from mlr.analysis.compare.headline import headline, namer
from mlr.analysis.compare.table import apart_lines
from mlr.analysis.formatting import percent
from mlr.analysis.report.content import Content, parted, written


def verdicts(content: Content) -> list[str]:
    """A text for each ranking: which pairs are significantly better, and which tie."""
    found = []
    for ranking in content.rated:
        name, lead = namer(ranking), f"{ranking.title}: " if ranking.title else ""
        found.append(lead + headline(ranking, partial(_name, by_keys=name)))
    return found


def apart(content: Content) -> str:
    """Which rankings cannot be compared, and why; empty where all can."""
    return " ".join(f"{line[0].upper()}{line[1:]}." for line in apart_lines(content.comparison))


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
    """How far groups of runs lie apart; empty where there are less than two, or several data."""
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


def _name(row: Row, by_keys: Callable[[Row], str]) -> str:
    """A configuration with its pair as a person writes it."""
    pair = str(row.keys["pair"] or "")
    return by_keys(row).replace(pair, written(parted(pair)), 1) if pair else by_keys(row)


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"
