"""Runs by head, loss or any other key, the numbers of each seed, and the best learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import fsum, inf, isfinite, nan
from pathlib import Path

from mlr.app.cells import mean_and_std
from mlr.app.identity import is_of_run
from mlr.app.outcome import FINISHED
from mlr.checks import known
from mlr.records.reading import Recorded
from mlr.records.settings import RATE, Value, known_keys, setting, texts

PAIR = ("head", "loss")
_SHARE = 0.9  # of the runs trained to an end; the same as in a sweep's summary


def check_keys(runs: Sequence[Recorded], keys: Iterable[str]) -> list[str]:
    """`keys` as they stand, `lr` for `optimizer.lr`.

    Raises:
        InputError: no run knows a key; lists those known.
    """
    found = [RATE if key == "lr" else key for key in keys]
    typed = {key for run in runs for key in texts(run.overrides)}
    if not set(found) <= {*PAIR, "pair", "seed", *typed}:  # else no need to read any files
        allowed = known_keys(runs)
        found = [known("--by", key, allowed) for key in found]
    return found


def grouped(runs: Iterable[Recorded], keys: Sequence[str]) -> dict[tuple[Value, ...], list]:
    """Runs by their values of `keys`, in the order of their first appearance."""
    groups: dict[tuple[Value, ...], list[Recorded]] = {}
    for run in runs:
        groups.setdefault(tuple(setting(run, key) for key in keys), []).append(run)
    return groups


def varied(runs: Sequence[Recorded]) -> list[str]:
    """Keys that somebody typed and in which runs differ, beside head, loss and seed."""
    typed = dict.fromkeys(key for run in runs for key in texts(filter(is_of_run, run.overrides)))
    keys = [key for key in typed if key not in ("seed", *PAIR)]
    return [key for key in keys if len({setting(run, key) for run in runs}) > 1]


def by_rate(runs: Sequence[Recorded], rated: bool = True) -> dict[Value, list[Recorded]]:
    """Runs by learning rate, the lowest first; all under None unless they are `rated`.

    Args:
        runs: of one group.
        rated: whether the learning rate tells runs apart.
    """
    if not rated:
        return {None: list(runs)}
    rates = {key[0]: found for key, found in grouped(runs, [RATE]).items()}
    return dict(sorted(rates.items(), key=lambda pair: _number(pair[0])))


def final(run: Recorded, metric: str) -> float | None:
    """The final `metric` of a run that ended well; None where it has none that is finite."""
    value = run.metrics.get(metric, nan)
    return value if run.status == "done" and isfinite(value) else None


def by_seed(runs: Iterable[Recorded], metric: str) -> dict[int | Path, float]:
    """The final `metric` of each seed; the mean where several runs have one seed.

    A run without a seed stands for itself.
    """
    values: dict[int | Path, list[float]] = {}
    for run in runs:
        value = final(run, metric)
        if value is not None:
            values.setdefault(run.folder if run.seed is None else run.seed, []).append(value)
    return {seed: fsum(found) / len(found) for seed, found in values.items()}


def is_higher_better(metric: str) -> bool:
    """Whether more of `metric` is better: of an accuracy; of all else less is."""
    return metric.startswith("accuracy/")


def rank(runs: Sequence[Recorded], metric: str) -> tuple[bool, float]:
    """What orders runs of one kind by their mean over seeds: smaller is better.

    Where fewer than nine of ten runs that were trained to an end have a number, the others
    diverged, and such runs stand behind.
    """
    values = by_seed(runs, metric)
    if not values:
        return True, inf
    ended = [run for run in runs if run.status in FINISHED]
    there = [run for run in ended if final(run, metric) is not None]
    mean = mean_and_std(list(values.values()))[0]
    return len(there) < _SHARE * len(ended), -mean if is_higher_better(metric) else mean


def best_rate(rates: Mapping[Value, Sequence[Recorded]], metric: str) -> Value:
    """The learning rate whose mean of `metric` over seeds is best, the lowest of equals."""
    return min(rates, key=lambda rate: rank(rates[rate], metric))


def _number(value: Value) -> float:
    return float(value) if isinstance(value, (int, float)) else -inf
