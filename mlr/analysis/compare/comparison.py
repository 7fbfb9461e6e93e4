"""A ranking for each data set, a row for each configuration, and the runs that have not ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from math import isfinite

import numpy as np

from mlr.analysis.compare.groups import PAIR, best_rate, by_rate, check_keys, grouped, varied
from mlr.analysis.compare.measures import Mark, marks, median_of, reached
from mlr.analysis.compare.verdicts import verdicts
from mlr.core.checks import InputError, known
from mlr.records import ranking
from mlr.records.datasets import UNKNOWN, by_data
from mlr.records.ranking import by_seed, final, mean_and_std
from mlr.records.reading import Recorded
from mlr.records.settings import RATE, Value, setting
from mlr.records.status import FINISHED

OF_DATA = ("data", "experiment")
"""Roots of keys that decide which data there are."""
Spread = tuple[float, float | None]
"""Mean over seeds, and standard deviation where there are two."""


@dataclass(frozen=True)
class Row:
    """One configuration; None where there is nothing to tell.

    keys: what tells the configuration from others.
    place: from 1; configurations of equal means share one.
    lr: the learning rate that the numbers below are of, chosen on validation data; None where
        nobody chose one.
    rates: mean of the ranking metric by learning rate, None where no run has it.
    runs: how many the configuration has, at any learning rate.
    diverged, failed, interrupted, running: how many of these.
    seeds: how many have the metric, at this learning rate; its mean and std are over these.
    missing: how many runs at this learning rate were trained to an end without it.
    stands_behind: whether these are more than a tenth, so that it ranks behind those that lost
        fewer.
    epochs_to_90, updates_to_90: until 90 % of the way to where the best configuration ends (see
        `measures.Mark`), the median over runs.
    logit_grad_wrong: the final `logit_grad/wrong`, ‖dL/dz‖ averaged over the training examples that
        are predicted wrongly at the end; the mean over seeds.
    logit_grad_right: likewise of those predicted rightly.
    stuck: the final share of training examples that are wrong and without gradient, the mean.
    p: of the paired test against the first row, corrected; None for that row itself.
    common: seeds that both have.
    verdict: best, first, worse, not significant, or why there is no test.
    finals: mean and std of every final number.
    members: the runs at this learning rate.
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
COLUMNS = tuple(one.name for one in fields(Row) if one.name not in _NOT_COLUMNS)


@dataclass(frozen=True)
class Ranking:
    """Configurations that can be compared with each other, the best first.

    data: the data set; empty where all runs have the same.
    loss: the loss that all rows have; empty where losses do not keep rows apart.
    metric: the final number that ranks.
    chosen_on: the final number by which learning rates were chosen; None for nothing.
    mark: what `updates_to_90` is counted to, for the first row.
    rows: at least one.
    p: of each pair of rows (G, G), NaN for no test.
    order: numbers of the rows as they are listed; empty for as they are ranked.
    """

    data: str
    loss: str
    metric: str
    chosen_on: str | None
    mark: Mark | None
    rows: Sequence[Row]
    p: np.ndarray = field(repr=False, compare=False, default_factory=lambda: np.empty((0, 0)))
    order: Sequence[int] = ()

    @property
    def listed(self) -> list[Row]:
        """The rows in the order in which a person wants them."""
        return [self.rows[number] for number in self.order] if self.order else list(self.rows)

    @property
    def keys(self) -> list[str]:
        """The keys that tell its rows apart: without those that only say which data it is of."""
        every = list(self.rows[0].keys)
        found = [
            key
            for key in every
            if not self.data
            or key.partition(".")[0] not in OF_DATA
            or len({row.keys[key] for row in self.rows}) > 1
        ]
        return found or every

    @property
    def title(self) -> str:
        """The data or loss that tells it from the other rankings; empty where there are none."""
        return ", ".join(filter(None, (self.data, self.loss and f"loss {self.loss}")))

    @property
    def rated(self) -> bool:
        """True where a learning rate was chosen for any row."""
        return any(len(row.rates) > 1 for row in self.rows)


@dataclass(frozen=True)
class Comparison:
    """Every ranking.

    by: keys that tell configurations apart.
    rankings: at least one; rows of different ones cannot be compared.
    mixed: other keys in which runs of one row differ, apart from seed and learning rate.
    unended: runs that were not trained to an end, and do not count.
    runs: how many there are in all.
    unknown: whether a ranking has several rows whose data nobody recorded.
    """

    by: Sequence[str]
    rankings: Sequence[Ranking]
    mixed: Sequence[str]
    unended: Sequence[Recorded]
    runs: int
    unknown: bool = False

    @property
    def rows(self) -> list[Row]:
        """The rows of all rankings, one ranking after the other."""
        return [row for one in self.rankings for row in one.rows]


def compare(
    runs: Sequence[Recorded],
    by: Sequence[str] = PAIR,
    metric: str | None = None,
    timed: bool = True,
) -> Comparison:
    """Rank the configurations of each data set, each at the learning rate chosen on validation.

    Args:
        runs: at least one.
        by: keys that tell configurations apart, see `mlr.records.settings.setting`.
        metric: a final number; None is the one that all configurations share, see
            `mlr.records.ranking.shared_metric`. Where it is a loss, each loss has its own ranking.
        timed: whether to read metrics.csv for the times to 90 %.

    Raises:
        InputError: no run knows a key or has the metric; lists those known.
    """
    keys = check_keys(runs, by)
    _check(runs, metric)
    sound = [run for run in runs if not run.changed] or list(runs)
    differ = varied(sound)
    found = []
    datasets = by_data(sound)
    for data, members in datasets.items():
        label = data if len(datasets) > 1 else ""
        tag = metric or ranking.shared_metric(list(grouped(members, keys).values()))
        parts = ranking.by_loss(members) if tag.startswith("loss/") else {"": members}
        for loss, own in parts.items():
            told = loss if len(parts) > 1 else ""
            groups = grouped(own, keys)
            found.append(_ranking(Ranking(label, told, tag, None, None, ()), groups, keys, timed))
    others = [key for key in (*PAIR, *differ) if key != RATE and not _told(key, keys)]
    rows = [group for members in datasets.values() for group in grouped(members, keys).values()]
    return Comparison(
        keys,
        found,
        [key for key in others if any(_differ(group, key) for group in rows)],
        [run for run in runs if run.status not in FINISHED],
        len(runs),
        len(grouped(datasets.get(UNKNOWN, []), keys)) > 1,
    )


def _check(runs: Sequence[Recorded], metric: str | None) -> None:
    tags = {tag for run in runs for tag in run.metrics}
    if metric is not None and not tags:
        raise InputError(f"--metric={metric} is not known yet: no run was trained to an end.")
    if metric is not None:
        known("--metric", metric, tags)


def _ranking(
    about: Ranking,
    groups: Mapping[tuple[Value, ...], list[Recorded]],
    keys: Sequence[str],
    timed: bool,
) -> Ranking:
    """`about` with the rows of its groups."""
    metric, everyone = about.metric, [run for runs in groups.values() for run in runs]
    rated = RATE not in keys and RATE in varied(everyone)
    members = [by_rate(runs, rated) for runs in groups.values()]
    tag = ranking.chosen_on(metric, everyone)
    picked = [rates[best_rate(rates, tag)] for rates in members]
    order = ranking.ranked(picked, metric)
    names = [dict(zip(keys, values, strict=True)) for values in groups]
    sorted_ones = [picked[at] for at in order]
    goals = marks(sorted_ones) if timed else [None] * len(order)
    rows = [
        _row(names[at], place, members[at], picked[at], metric, goal)
        for at, place, goal in zip(order, ranking.places(sorted_ones, metric), goals, strict=True)
    ]
    found, p = verdicts(sorted_ones, metric)
    rows = [
        replace(row, p=one.p, common=one.common, verdict=one.text)
        for row, one in zip(rows, found, strict=True)
    ]
    return replace(about, chosen_on=tag, mark=goals[0], rows=rows, p=p)


def _told(key: str, keys: Sequence[str]) -> bool:
    """Tell if `key` is among the keys that tell groups apart, itself or within a pair."""
    return key in keys or (key in PAIR and "pair" in keys)


def _differ(runs: Sequence[Recorded], key: str) -> bool:
    return len({setting(run, key) for run in runs}) > 1


def _row(
    keys: Mapping[str, Value],
    place: int,
    rates: Mapping[Value, Sequence[Recorded]],
    runs: Sequence[Recorded],
    metric: str,
    mark: Mark | None,
) -> Row:
    """The numbers of `runs`, which are those of one of the group's learning rates."""
    everyone = [run for members in rates.values() for run in members]
    status = Counter(run.status for run in everyone)
    tags = {tag: None for run in runs for tag in run.metrics} | {metric: None}
    if len(ranking.loss_of(runs)) > 1:  # values of different losses have no mean
        tags = {tag: None for tag in tags if not tag.startswith("loss/")}
    finals = {tag: one for tag in tags if (one := _spread(runs, tag)) is not None}
    mean, std = finals.get(metric, (None, None))
    with_metric = [run for run in runs if final(run, metric) is not None]
    ended = [run for run in runs if run.status in FINISHED]
    times = [reached(run.series, mark) for run in with_metric] if mark is not None else []
    return Row(
        keys=keys,
        place=place,
        lr=next(rate for rate, members in rates.items() if members is runs),
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
        epochs_to_90=median_of(time and _counted(time.epochs) for time in times),
        updates_to_90=median_of(time and time.updates for time in times),
        logit_grad_wrong=finals.get("logit_grad/wrong", (None,))[0],
        logit_grad_right=finals.get("logit_grad/right", (None,))[0],
        stuck=finals.get("stuck/fraction", (None,))[0],
        finals=finals,
        members=runs,
    )


def _spread(runs: Sequence[Recorded], metric: str) -> Spread | None:
    values = list(by_seed(runs, metric).values())
    if not values:
        return None
    mean, std = mean_and_std(values)
    return mean, std if isfinite(std) else None


def _counted(epochs: float) -> float | None:
    """Epochs, infinite where a mark was not reached; None where nobody counted them."""
    return None if epochs != epochs else epochs
