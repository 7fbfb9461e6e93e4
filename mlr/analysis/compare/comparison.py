"""Rankings of configurations, one for each data set, and the runs that do not count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite

import numpy as np

from mlr.analysis import ranking
from mlr.analysis.compare.significance import Verdict, verdicts
from mlr.analysis.compare.time_to_target import Target, median_of, reached, shared_target
from mlr.analysis.grouping import HEAD_LOSS, check_keys, differs, grouped, varied
from mlr.analysis.quantities import DIRECTED
from mlr.analysis.ranking import by_data, by_rate, by_seed, final, mean_and_std
from mlr.core.checks import InputError, known, listed
from mlr.records.reading import Recorded
from mlr.records.settings import RATE, Value
from mlr.records.status import FINISHED

OF_DATA = ("data", "experiment")
"""Roots of keys that determine the data."""
LOST = ("diverged", "failed", "interrupted", "running")
"""Statuses of runs without a final result, which are fields of `CompareRow`."""
Rates = Mapping[Value, Sequence[Recorded]]
Spread = tuple[float, float | None]
"""Mean over seeds, and standard deviation if there are two."""


@dataclass(frozen=True)
class CompareRow:
    """One configuration at the learning rate chosen on validation data; None for what it lacks.

    keys: settings that distinguish the configuration.
    place: rank from 1; configurations of equal means share one.
    rates: mean of the ranking metric by learning rate.
    runs: number of runs, at any learning rate, and below how many of them were lost.
    seeds: runs with the metric; mean and std are over these.
    missing: runs that were trained to an end without it.
    stands_behind: True if these are so many that it ranks behind configurations that lost fewer.
    epochs_to_90, updates_to_90: median over runs, see `time_to_target.Target`.
    logit_grad_wrong, logit_grad_right, stuck: means over seeds of the final numbers.
    p, common, verdict: see `significance.Verdict`.
    finals: mean and std of every final number.
    members: its runs.
    """

    keys: Mapping[str, Value]
    place: int
    lr: Value
    rates: Mapping[Value, float | None]
    runs: int
    diverged: int
    failed: int
    interrupted: int
    running: int
    seeds: int
    missing: int
    stands_behind: bool
    mean: float | None
    std: float | None
    epochs_to_90: float | None
    updates_to_90: float | None
    logit_grad_wrong: float | None
    logit_grad_right: float | None
    stuck: float | None
    p: float | None = None
    common: int = 0
    verdict: str = ""
    finals: Mapping[str, Spread] = field(default_factory=dict, repr=False)
    members: Sequence[Recorded] = field(default=(), repr=False)


_NOT_COLUMNS = ("keys", "rates", "finals", "members")
COLUMNS = tuple(one.name for one in fields(CompareRow) if one.name not in _NOT_COLUMNS)


@dataclass(frozen=True)
class Ranking:
    """Configurations that can be compared with each other, the best first."""

    data: str
    """the data set; empty if all runs have the same"""
    loss: str
    """the loss of all rows; empty if losses do not separate rankings"""
    metric: str
    chosen_on: str | None
    """the final number by which learning rates were chosen; None for none"""
    target: Target | None
    rows: Sequence[CompareRow]
    p: np.ndarray
    """of each two rows (G, G), NaN for no test"""
    order: Sequence[CompareRow] = ()
    """the rows as they are listed; empty for the order of rank"""

    @property
    def listed(self) -> Sequence[CompareRow]:
        """Rows in the order in which they are shown."""
        return self.order or self.rows

    @property
    def keys(self) -> list[str]:
        """Keys that distinguish its rows, without those that only name its data."""
        every = list(self.rows[0].keys)
        of_data = [key for key in every if self.data and key.partition(".")[0] in OF_DATA]
        return [key for key in every if key not in of_data or self.varies(key)] or every

    def varies(self, key: str) -> bool:
        """Return True if rows differ in a key."""
        return len({row.keys[key] for row in self.rows}) > 1

    @property
    def title(self) -> str:
        """Data or loss that distinguish it from other rankings; empty if it is the only one."""
        return ", ".join(filter(None, (self.data, self.loss and f"loss {self.loss}")))

    @property
    def lead(self) -> str:
        """Title before a sentence, as `digits: `; empty without a title."""
        return f"{self.title}: " if self.title else ""

    @property
    def rated(self) -> bool:
        """True if a learning rate was chosen for any row."""
        return any(len(row.rates) > 1 for row in self.rows)


@dataclass(frozen=True)
class CompareResult:
    """Every ranking; rows of different ones cannot be compared."""

    by: Sequence[str]
    rankings: Sequence[Ranking]
    mixed: Sequence[str]
    """other keys in which runs of one row differ, apart from seed and learning rate"""
    unended: Sequence[Recorded]
    """runs that were not trained to an end, and do not count"""
    runs: int
    """number of all runs"""
    unknown: bool = False
    """True if a ranking has several rows whose data were not recorded"""

    @property
    def rows(self) -> list[CompareRow]:
        """Rows of all rankings, one ranking after the other."""
        return [row for one in self.rankings for row in one.rows]


def compare(
    runs: Sequence[Recorded],
    by: Sequence[str] = HEAD_LOSS,
    metric: str | None = None,
    timed: bool = True,
) -> CompareResult:
    """Rank the configurations of each data set, each at the learning rate chosen on validation.

    Args:
        runs: at least one.
        by: keys that distinguish configurations, see `Recorded.setting`.
        metric: a final number; None is the one that all configurations share, see
            `ranking.shared_metric`. If it is a loss, each loss has its own ranking.
        timed: whether to read metrics.csv for the times to 90 %.

    Raises:
        InputError: no run has a key or the metric, or neither more nor less of the metric is
            better; lists the known ones.
    """
    keys = check_keys(runs, by)
    if metric is not None:
        tags = {tag for run in runs for tag in run.metrics}
        if not tags:
            raise InputError(f"--metric={metric} is not known yet: no run was trained to an end.")
        known("--metric", metric, tags)
        if metric.startswith(ranking.UNRANKED):
            better = listed(sorted(tag for tag in tags if tag.startswith(DIRECTED)), 200)
            raise InputError(
                f"--metric={metric} ranks nothing, as neither more nor less of it is better; use "
                f"one of {better}."
            )
    sound = [run for run in runs if not run.changed] or list(runs)
    found = []
    data_sets = by_data(sound)
    for data, members in data_sets.items():
        label = data if len(data_sets) > 1 else ""
        tag = metric or ranking.shared_metric(list(grouped(members, keys).values()))
        parts = ranking.by_loss(members) if tag.startswith("loss/") else {"": members}
        for loss, own in parts.items():
            title = loss if len(parts) > 1 else ""
            found.append(_ranking(label, title, tag, own, keys, timed))
    named = (RATE, *keys, *(HEAD_LOSS if "pair" in keys else ()))
    others = [key for key in (*HEAD_LOSS, *varied(sound)) if key not in named]
    rows = [group for members in data_sets.values() for group in grouped(members, keys).values()]
    return CompareResult(
        keys,
        found,
        [key for key in others if any(differs(group, key) for group in rows)],
        [run for run in runs if run.status not in FINISHED],
        len(runs),
        len(grouped(data_sets.get(ranking.UNKNOWN, []), keys)) > 1,
    )


def compare_apart(
    runs: Sequence[Recorded],
    keys: Sequence[str] = HEAD_LOSS,
    metric: str | None = None,
    timed: bool = True,
) -> CompareResult:
    """Compare runs by keys; by head and loss, runs that differ otherwise have rows of their own.

    The arguments and errors are those of `compare`.
    """
    found = compare(runs, keys, metric, timed)
    if found.mixed and tuple(keys) == HEAD_LOSS:  # means over other settings were not asked for
        return compare(runs, [*keys, *found.mixed], metric, timed)
    return found


def _ranking(
    data: str, loss: str, metric: str, runs: Sequence[Recorded], keys: Sequence[str], timed: bool
) -> Ranking:
    rated = RATE not in keys and RATE in varied(runs)
    tag = ranking.chosen_on(metric, runs)
    found = []
    for values, own in grouped(runs, keys).items():
        rates: Rates = by_rate(own) if rated else {None: own}
        lr = list(rates)[ranking.chosen(list(rates.values()), tag)[0]]
        found.append((dict(zip(keys, values, strict=True)), rates, lr))
    order = ranking.ranked([rates[lr] for _, rates, lr in found], metric)
    found = [found[at] for at in order]
    members = [rates[lr] for _, rates, lr in found]
    target = shared_target(members) if timed else None
    texts, p = verdicts(members, metric)
    others = zip(ranking.places(members, metric), texts, strict=True)
    rows = [_row(*one, metric, target, *two) for one, two in zip(found, others, strict=True)]
    return Ranking(data, loss, metric, tag, target, rows, p)


def _row(
    keys: Mapping[str, Value],
    rates: Rates,
    lr: Value,
    metric: str,
    target: Target | None,
    place: int,
    verdict: Verdict,
) -> CompareRow:
    runs, everyone = rates[lr], [run for members in rates.values() for run in members]
    status = Counter(run.status for run in everyone)
    tags = {tag: None for run in runs for tag in run.metrics} | {metric: None}
    if len(ranking.loss_of(runs)) > 1:  # values of different losses have no mean
        tags = {tag: None for tag in tags if not tag.startswith("loss/")}
    finals = {tag: one for tag in tags if (one := _spread(runs, tag)) is not None}
    mean, std = finals.get(metric, (None, None))
    with_metric = [run for run in runs if final(run, metric) is not None]
    ended = [run for run in runs if run.status in FINISHED]
    times = [reached(run.series, target) for run in with_metric] if target is not None else []
    return CompareRow(
        keys=keys,
        place=place,
        lr=lr,
        rates={rate: (_spread(members, metric) or (None,))[0] for rate, members in rates.items()},
        runs=len(everyone),
        diverged=status["diverged"],
        failed=status["failed"],
        interrupted=status["interrupted"],
        running=status["running"],
        seeds=len(by_seed(runs, metric)),
        missing=len(ended) - len(with_metric),
        stands_behind=ranking.standing(runs, metric).behind and mean is not None,
        mean=mean,
        std=std,
        epochs_to_90=median_of(time and time.epochs for time in times),
        updates_to_90=median_of(time and time.updates for time in times),
        logit_grad_wrong=finals.get("logit_grad/wrong", (None,))[0],
        logit_grad_right=finals.get("logit_grad/right", (None,))[0],
        stuck=finals.get("stuck/fraction", (None,))[0],
        p=verdict.p,
        common=verdict.common,
        verdict=verdict.text,
        finals=finals,
        members=runs,
    )


def _spread(runs: Sequence[Recorded], metric: str) -> Spread | None:
    values = list(by_seed(runs, metric).values())
    if not values:
        return None
    mean, std = mean_and_std(values)
    return mean, std if isfinite(std) else None
