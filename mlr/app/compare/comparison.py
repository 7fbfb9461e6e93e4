"""A row a group, best first: the numbers behind the table, and what has no share in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import isnan

from mlr.app.cells import mean_and_std
from mlr.app.compare.groups import (
    PAIR,
    best_rate,
    by_rate,
    by_seed,
    check_keys,
    final,
    grouped,
    rank,
    varied,
)
from mlr.app.compare.measures import STUCK, median_of, time_to_share, wrong_gradient
from mlr.app.compare.verdicts import verdicts
from mlr.app.outcome import FINISHED
from mlr.checks import InputError, known
from mlr.records.reading import Recorded
from mlr.records.settings import RATE, Value, setting


@dataclass(frozen=True)
class Row:
    """What became of the runs of one group; None where there is nothing to tell.

    keys: what tells the group from others.
    lr: the learning rate that the numbers below are of, the best; None where nobody chose one.
    rates: mean of the metric by learning rate, None where no run has it.
    runs: how many the group has, at any learning rate.
    diverged, failed, interrupted, running: how many of these.
    seeds: how many have the metric, at this learning rate; its mean and std are over these.
    missing: how many runs at this learning rate were trained to an end without it.
    epochs_to_90, updates_to_90: until 90 % of what a run came to, the median over runs.
    wrong_gradient: |dL/dz| on wrong samples, the median over logged steps, then over runs.
    stuck: the final part of training samples that are wrong and without gradient, the mean.
    p: of the paired test against the best row, corrected; None for that row itself.
    common: seeds that both have.
    verdict: best, worse, not significant, or why there is no test.
    """

    keys: Mapping[str, Value]
    lr: Value
    rates: Mapping[Value, float | None]
    runs: int
    diverged: int
    failed: int
    interrupted: int
    running: int
    seeds: int
    missing: int
    mean: float | None
    std: float | None
    epochs_to_90: float | None
    updates_to_90: float | None
    wrong_gradient: float | None
    stuck: float | None
    p: float | None = None
    common: int = 0
    verdict: str = ""


COLUMNS = tuple(field.name for field in fields(Row) if field.name not in ("keys", "rates"))


@dataclass(frozen=True)
class Comparison:
    """Groups of runs, the best first.

    metric: the final number that ranks them.
    by: keys that tell groups apart.
    mixed: other keys in which runs of one group differ, beside seed and learning rate.
    unended: runs that have no share because they were not trained to an end.
    runs: how many there are in all.
    """

    metric: str
    by: Sequence[str]
    rows: Sequence[Row]
    mixed: Sequence[str]
    unended: Sequence[Recorded]
    runs: int

    @property
    def rated(self) -> bool:
        """Whether rows are of one learning rate each."""
        return any(row.lr is not None for row in self.rows) and RATE not in self.by


def compare(
    runs: Sequence[Recorded], by: Sequence[str] = PAIR, metric: str | None = None
) -> Comparison:
    """Runs by group, each at its best learning rate, the best group first.

    Args:
        runs: at least one.
        by: keys that tell groups apart, see `mlr.records.settings.setting`.
        metric: a final number; None is accuracy/test, or loss/test where no run has that.

    Raises:
        InputError: no run knows a key or has the metric; lists those known.
    """
    keys, tag = check_keys(runs, by), _metric(runs, metric)
    differ = varied(runs)
    found = grouped(runs, keys)
    members = [by_rate(group, rated=RATE in differ) for group in found.values()]
    chosen = [rates[best_rate(rates, tag)] for rates in members]
    order = sorted(range(len(chosen)), key=lambda group: rank(chosen[group], tag))
    names = [dict(zip(keys, place, strict=True)) for place in found]
    rows = [_row(names[group], members[group], chosen[group], tag) for group in order]
    tested = zip(rows, verdicts([chosen[group] for group in order], tag), strict=True)
    others = [key for key in (*PAIR, *differ) if key != RATE and not _told(key, keys)]
    return Comparison(
        tag,
        keys,
        [replace(row, p=one.p, common=one.common, verdict=one.text) for row, one in tested],
        [key for key in others if any(_differ(group, key) for group in found.values())],
        [run for run in runs if run.status not in FINISHED],
        len(runs),
    )


def _metric(runs: Sequence[Recorded], metric: str | None) -> str:
    tags = {tag for run in runs for tag in run.metrics}
    if metric is None:
        return "accuracy/test" if "accuracy/test" in tags or not tags else "loss/test"
    if not tags:
        raise InputError(f"--metric={metric} is not known yet: no run was trained to an end.")
    return known("--metric", metric, tags)


def _told(key: str, keys: Sequence[str]) -> bool:
    """Whether groups differ in `key` by the way they are made."""
    return key in keys or (key in PAIR and "pair" in keys)


def _differ(runs: Sequence[Recorded], key: str) -> bool:
    return len({setting(run, key) for run in runs}) > 1


def _row(
    keys: Mapping[str, Value],
    rates: Mapping[Value, Sequence[Recorded]],
    runs: Sequence[Recorded],
    metric: str,
) -> Row:
    """The numbers of `runs`, which are those of one of the group's learning rates."""
    everyone = [run for members in rates.values() for run in members]
    status = Counter(run.status for run in everyone)
    mean, std = _spread(runs, metric)
    with_metric = [run for run in runs if final(run, metric) is not None]
    ended = [run for run in runs if run.status in FINISHED]
    times = [time_to_share(run.series) for run in with_metric]
    return Row(
        keys=keys,
        lr=next(rate for rate, members in rates.items() if members is runs),
        rates={rate: _spread(members, metric)[0] for rate, members in rates.items()},
        runs=len(everyone),
        diverged=status["diverged"],
        failed=status["failed"],
        interrupted=status["interrupted"],
        running=status["running"],
        seeds=len(by_seed(runs, metric)),
        missing=len(ended) - len(with_metric),
        mean=mean,
        std=std,
        epochs_to_90=median_of(time and _finite(time.epochs) for time in times),
        updates_to_90=median_of(time and time.updates for time in times),
        wrong_gradient=median_of(wrong_gradient(run.series) for run in with_metric),
        stuck=_spread(runs, STUCK)[0],
    )


def _spread(runs: Sequence[Recorded], metric: str) -> tuple[float | None, float | None]:
    values = by_seed(runs, metric).values()
    if not values:
        return None, None
    mean, std = mean_and_std(list(values))
    return mean, _finite(std)


def _finite(value: float) -> float | None:
    return None if isnan(value) else value
