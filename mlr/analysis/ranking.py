"""The one rule by which configurations are ranked, and by which a setting of each is chosen.

The terminal, compare, report and the summary of a sweep all order by this module. A configuration
is a list of runs that differ in their seed only. Test data rank configurations; where several
settings of one configuration were tried, such as learning rates, validation data choose among them,
because the best of many test results is best partly by luck.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, inf, isfinite, nan, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlr.records.settings import Value, setting, text

if TYPE_CHECKING:
    from mlr.records.reading import Recorded  # needs numpy, which a refused sweep does without

FINISHED = ("done", "diverged")
"""Statuses of a run that was trained to an end; it need not be trained again."""
ENOUGH = 0.9
"""Of its finished runs, what a configuration must not lose without standing behind."""
ACCURACY, LOSS, ERROR = "accuracy/test", "loss/test", "rmse/test"


class Standing(NamedTuple):
    """Where a configuration stands; the smaller, the further ahead."""

    behind: bool
    """It has no number, or more than a tenth of its finished runs has none."""
    cost: float
    """Its mean over seeds; the negative mean where higher is better."""


def is_higher_better(metric: str) -> bool:
    """Tell the direction of a metric: accuracies are to be high, all else low."""
    return metric.startswith("accuracy/")


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


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation (over n − 1; NaN for one number) of at least one number."""
    mean = fsum(values) / len(values)
    if len(values) == 1:
        return mean, nan
    return mean, sqrt(fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def standing(runs: Sequence[Recorded], metric: str) -> Standing:
    """Where runs of one configuration stand.

    Runs that failed or still run count neither for it nor against it.
    """
    values = list(by_seed(runs, metric).values())
    if not values:
        return Standing(True, inf)
    ended = [run for run in runs if run.status in FINISHED]
    there = [run for run in ended if final(run, metric) is not None]
    mean = mean_and_std(values)[0]
    cost = -mean if is_higher_better(metric) else mean
    return Standing(len(there) < ENOUGH * len(ended), cost)


def ranked(groups: Sequence[Sequence[Recorded]], metric: str) -> list[int]:
    """Places of configurations in `groups`, the best first.

    Configurations of one mean are in the order of their pairs' names, and those of one loss
    in the order of its value.
    """

    def key(place: int) -> tuple[Standing, tuple[str, ...], Standing, int]:
        runs = groups[place]
        return standing(runs, metric), (runs[0].pair, *loss_of(runs)), standing(runs, LOSS), place

    return sorted(range(len(groups)), key=key)


def places(groups: Sequence[Sequence[Recorded]], metric: str) -> list[int]:
    """The rank of each configuration of a ranked list, from 1; equal means share one."""
    standings = [standing(runs, metric) for runs in groups]
    return [1 + sum(other < one for other in standings) for one in standings]


def shared_metric(groups: Iterable[Sequence[Recorded]]) -> str:
    """The final number by which configurations trained on one data set can be ranked.

    That is the test accuracy where all have one; the test loss where all have the same loss; else
    the root mean squared error of the predicted means on test data where all have one. Where there
    is none of them it is the test loss, by which only configurations of one loss can be compared.
    """
    runs = [run for group in groups for run in group]
    done = [tags for run in runs if (tags := set(_finite(run)))]
    common = set.intersection(*done) if done else {tag for run in runs for tag in run.metrics}
    if ACCURACY in common or not common:
        return ACCURACY
    return ERROR if ERROR in common and len({loss_of([run]) for run in runs}) > 1 else LOSS


def by_loss(runs: Sequence[Recorded]) -> dict[str, list[Recorded]]:
    """Runs by the name and the options of their loss, whose values have units of their own."""
    found: dict[str, list[Recorded]] = {}
    options = _options(runs)
    for run in runs:
        found.setdefault(" ".join(filter(None, _loss(run, options))), []).append(run)
    return found


def loss_of(runs: Sequence[Recorded]) -> tuple[str, ...]:
    """Every loss of the runs, with the options that were typed."""
    return tuple(sorted({" ".join(_loss(run, _options([run]))) for run in runs}))


def chosen_on(metric: str, runs: Iterable[Recorded]) -> str | None:
    """The final number by which a setting is chosen where `metric` ranks.

    Returns:
        The same quantity of the validation split; where there is none, of the training data, or the
        training loss; None where nothing of them was recorded. A `metric` that is not of the test
        split is itself.
    """
    name, _, split = metric.rpartition("/")
    if split != "test":
        return metric
    there = {tag for run in runs for tag in _finite(run)}
    candidates = (f"{name}/val", f"{name}/train", "loss/train")
    return next((tag for tag in candidates if tag in there), None)


def chosen(settings: Sequence[Sequence[Recorded]], tag: str | None) -> list[int]:
    """Places of the settings of one configuration, the one to choose first.

    Among settings that are equal in `tag`, the loss on the same split decides where all have the
    same loss; after that, the order in which they come.

    Args:
        settings: the runs of each, the first to be preferred first.
        tag: from `chosen_on`; None chooses the first that loses no runs.
    """
    split = (tag or "").rpartition("/")[2]
    alike = len(by_loss([run for runs in settings for run in runs])) == 1

    def key(place: int) -> tuple[bool, Standing, Standing]:
        runs = settings[place]
        if tag is None:
            ended = [run for run in runs if run.status in FINISHED]
            lost = sum(run.status == "diverged" for run in ended)
            return len(ended) - lost < ENOUGH * len(ended), Standing(False, 0), Standing(False, 0)
        tie = standing(runs, f"loss/{split}") if alike else Standing(False, 0)
        return False, standing(runs, tag), tie

    return sorted(range(len(settings)), key=key)


def _finite(run: Recorded) -> list[str]:
    """Tags of the final numbers that a run ended well with."""
    return [tag for tag in run.metrics if final(run, tag) is not None]


def _options(runs: Iterable[Recorded]) -> list[str]:
    """Options of losses that somebody typed."""
    typed = dict.fromkeys(key for run in runs for key in run.typed)
    return [key for key in typed if key.startswith("loss.")]


def _loss(run: Recorded, options: Sequence[str]) -> tuple[str, ...]:
    found: dict[str, Value] = {key.partition(".")[2]: setting(run, key) for key in options}
    named = [f"{key}={text(value)}" for key, value in found.items() if value is not None]
    return (text(setting(run, "loss")), *named)
