"""The only rule that orders configurations, chooses settings and decides which runs count.

A configuration is a list of runs that differ in their seed only. Only runs of one data set are
ranked together (`by_data`). Test data rank configurations; of several settings of one
configuration, such as learning rates, validation data choose one, because the best of many test
results is best partly by luck.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, inf, isfinite, nan, sqrt
from pathlib import Path
from typing import Any, NamedTuple

from mlr.analysis.formatting import brief
from mlr.analysis.grouping import collected
from mlr.records.reading import Recorded
from mlr.records.settings import RATE, Value, value_text
from mlr.records.status import FINISHED

ENOUGH = 0.9
"""Share of its finished runs that a configuration must not lose, or it ranks behind."""
ACCURACY, LOSS, ERROR = "accuracy/test", "loss/test", "rmse/test"
F1 = "f1_micro/test"
SCORES = ("accuracy/", "f1_micro/", "f1_macro/", "label_accuracy/", "exact_match/")
"""Beginnings of the shares of right predictions, which are to be high."""
HIGHER_IS_BETTER = (*SCORES, "resolution/")
"""Beginnings of the final numbers that are to be high."""
UNRANKED = ("coverage_", "temperature/", "uncertainty/")
"""Beginnings of those that are neither to be high nor low: a coverage is to be its interval's
probability, a temperature 1, and the uncertainty is that of the data."""
SPLITS = ("test", "val", "train")
"""In the order in which they rank."""
UNKNOWN = "unknown data"
NOT_THE_DATA = {"seed", "split_seed", "split", "scale", "root", "download", "order", "drop_last"}
"""Options of the data under which the task stays the same."""
_NOT_OF_DATA = {
    *("head", "loss", "objective", "model", "optimizer", "schedule", "probes", "seed", "epochs"),
    *("steps", "batch_size", "max_grad_norm", "patience", "stopping", "dtype", "device"),
}
"""Roots of keys that do not concern the data; any other might, as an experiment does."""

DataSet = tuple[str, tuple[tuple[str, str], ...]]
"""Name, and options by key."""


class Standing(NamedTuple):
    """Sort key of a configuration; the smaller, the better."""

    behind: bool
    """It has no number, or more than a tenth of its finished runs has none."""
    cost: float
    """Mean over seeds; the negative mean if higher is better."""


def is_higher_better(metric: str) -> bool:
    """Return True for accuracies, F1 scores and the resolution; others are to be low."""
    return metric.startswith(HIGHER_IS_BETTER)


def final(run: Recorded, metric: str) -> float | None:
    """Return the final `metric` of a run that is done; None if it has no finite one."""
    value = run.metrics.get(metric, nan)
    return value if run.status == "done" and isfinite(value) else None


def by_seed(runs: Iterable[Recorded], metric: str) -> dict[int | Path, float]:
    """Collect the final `metric` by seed, or folder without one; the mean of runs of one seed."""
    having = [(run, value) for run in runs if (value := final(run, metric)) is not None]
    by = collected(having, lambda one: one[0].folder if one[0].seed is None else one[0].seed)
    return {seed: fsum(value for _, value in found) / len(found) for seed, found in by.items()}


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Compute mean and standard deviation (over n − 1; NaN for n = 1) of at least one number."""
    mean = fsum(values) / len(values)
    if len(values) == 1:
        return mean, nan
    return mean, sqrt(fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def standing(runs: Sequence[Recorded], metric: str) -> Standing:
    """Compute the sort key of a configuration; runs that failed or still run do not count."""
    values = list(by_seed(runs, metric).values())
    if not values:
        return Standing(True, inf)
    ended = [run for run in runs if run.status in FINISHED]
    with_metric = [run for run in ended if final(run, metric) is not None]
    mean = mean_and_std(values)[0]
    cost = -mean if is_higher_better(metric) else mean
    return Standing(len(with_metric) < ENOUGH * len(ended), cost)


def ranked(groups: Sequence[Sequence[Recorded]], metric: str) -> list[int]:
    """Order places in `groups`, the best first; ties by the name of the pair, then test loss."""

    def key(runs: Sequence[Recorded]) -> tuple[Standing, tuple[str, ...], Standing]:
        return standing(runs, metric), (runs[0].pair, *loss_of(runs)), standing(runs, LOSS)

    return sorted(range(len(groups)), key=lambda place: key(groups[place]))


def places(groups: Sequence[Sequence[Recorded]], metric: str) -> list[int]:
    """Return the rank of each configuration of a ranked list, from 1; ties share one."""
    standings = [standing(runs, metric) for runs in groups]
    return [1 + sum(other < one for other in standings) for one in standings]


def shared_metric(groups: Iterable[Sequence[Recorded]]) -> str:
    """Choose the final number by which configurations of one data set are ranked.

    The test accuracy if all have one, of several labels F1 over all of them; of configurations
    with different losses the test RMSE if all have one; else the test loss. Loops of a user's own
    that share no test number are ranked by the same of validation, else of training.
    """
    runs = [run for group in groups for run in group]
    done = [tags for run in runs if (tags := set(_finite(run)))]
    common = set.intersection(*done) if done else {tag for run in runs for tag in run.metrics}
    if not common:
        return ACCURACY
    own = any(run.own_loop for run in runs)
    splits = [split for split in SPLITS if any(tag.endswith(f"/{split}") for tag in common)]
    split = splits[0] if splits and own else "test"
    accuracy, f1, loss, error = (tag.replace("test", split) for tag in (ACCURACY, F1, LOSS, ERROR))
    if accuracy in common or f1 in common:
        return accuracy if accuracy in common else f1
    return error if error in common and len({loss_of([run]) for run in runs}) > 1 else loss


def by_loss(runs: Sequence[Recorded]) -> dict[str, list[Recorded]]:
    """Group runs by name and options of their loss, each of which has its own unit."""
    typed = dict.fromkeys(key for run in runs for key in run.typed)
    return collected(runs, lambda run: _loss(run, typed))


def loss_of(runs: Sequence[Recorded]) -> tuple[str, ...]:
    """List every loss of the runs, with the options that were typed."""
    return tuple(sorted({_loss(run, run.typed) for run in runs}))


def chosen_on(metric: str, runs: Iterable[Recorded]) -> str | None:
    """Name the final number by which a setting is chosen if `metric` ranks; None for none.

    For a `metric` of the test split, that of validation, else of training, else the training loss.
    """
    name, _, split = metric.rpartition("/")
    if split != "test":
        return metric
    recorded = {tag for run in runs for tag in _finite(run)}
    candidates = (f"{name}/val", f"{name}/train", "loss/train")
    return next((tag for tag in candidates if tag in recorded), None)


def chosen(settings: Sequence[Sequence[Recorded]], tag: str | None) -> list[int]:
    """Order the settings of one configuration: their places, the one to choose first.

    Ties are broken by the loss on the same split if all have the same loss, then by the order of
    `settings`. If `tag`, from `chosen_on`, is None, the first that loses few runs is chosen.
    """
    alike = len(by_loss([run for runs in settings for run in runs])) == 1

    def key(runs: Sequence[Recorded]) -> tuple[Standing, ...] | bool:
        if tag is None:
            ended = [run for run in runs if run.status in FINISHED]
            return sum(run.status == "done" for run in ended) < ENOUGH * len(ended)
        loss = f"loss/{tag.rpartition('/')[2]}"
        return standing(runs, tag), *([standing(runs, loss)] if alike else [])

    return sorted(range(len(settings)), key=lambda place: key(settings[place]))


def by_rate(runs: Iterable[Recorded]) -> dict[Value, list[Recorded]]:
    """Group runs by learning rate, the lowest first: settings of which `chosen` takes one."""
    rates = collected(runs, lambda run: run.setting(RATE))
    numbers = {rate: rate if isinstance(rate, (int, float)) else -inf for rate in rates}
    return {rate: rates[rate] for rate in sorted(rates, key=numbers.__getitem__)}


def by_data(runs: Iterable[Recorded]) -> dict[str, list[Recorded]]:
    """Group runs by data set, named with the options in which sets of one name differ.

    As in `digits label_noise=0.2`; `UNKNOWN` if neither configuration nor command names any.
    """
    known: dict[object, DataSet] = {}

    def data_of(run: Recorded) -> DataSet:
        # equal for runs of one command with the same options of the data
        typed = (one for one in run.typed.items() if _root(one[0]) not in _NOT_OF_DATA)
        key = (run.folder.parent, str(run.entries.get("command")), *typed)
        if key not in known:  # reading a configuration takes a millisecond
            known[key] = _data(run)
        return known[key]

    found = collected(runs, data_of)
    return {_data_label(data, list(found)): members for data, members in found.items()}


def _finite(run: Recorded) -> list[str]:
    return [tag for tag in run.metrics if final(run, tag) is not None]


def _loss(run: Recorded, keys: Iterable[str]) -> str:
    """Name the loss of a run with those options among `keys` that are set."""
    options = {key: run.setting(key) for key in keys if key.startswith("loss.")}
    named = [
        f"{key.partition('.')[2]}={value_text(value)}"
        for key, value in options.items()
        if value is not None
    ]
    return " ".join(filter(None, (value_text(run.setting("loss")), *named)))


def _root(key: str) -> str:
    return key.partition(".")[0]


def _data(run: Recorded) -> DataSet:
    """Return name and options of a run's data, without those in `NOT_THE_DATA`."""
    typed = {key[5:]: value for key, value in run.typed.items() if key.startswith("data.")}
    configured: Any = run.config.get("data")
    options: dict[str, Value] = {**typed, **(configured if isinstance(configured, dict) else {})}
    target = str(options.get("_target_") or "").rpartition(".")[2].lower()
    name = value_text(run.setting("data")) or target
    own = {key: value for key, value in options.items() if key not in NOT_THE_DATA}
    return name, tuple(sorted((key, brief(value)) for key, value in own.items()))


def _data_label(data: DataSet, every: Sequence[DataSet]) -> str:
    name, options = data
    others = [dict(other) for other_name, other in every if other_name == name]
    differ = [
        f"{key}={value or 'null'}"
        for key, value in options
        if any(other.get(key) != value for other in others)
    ]
    return " ".join([name or UNKNOWN, *differ])
