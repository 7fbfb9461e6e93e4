"""Runs by head, loss or any other key, and by learning rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from mlr.core.checks import known
from mlr.records.identity import is_of_run
from mlr.records.ranking import chosen
from mlr.records.reading import Recorded
from mlr.records.settings import RATE, Value, known_keys, setting, texts

PAIR = ("head", "loss")
_CLASSES = tuple(f"{group}._target_" for group in PAIR)


def check_keys(runs: Sequence[Recorded], keys: Iterable[str]) -> list[str]:
    """`keys` as they stand, `lr` for `optimizer.lr`.

    Raises:
        InputError: no run knows a key; lists those known.
    """
    found = [RATE if key == "lr" else key for key in keys]
    typed = {key for run in runs for key in run.typed}
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
    """Keys that somebody typed and in which runs differ, apart from head, loss and seed.

    The class of a head or loss is in its name, unless two classes have the same one. Options that
    only say what is measured make no other configuration.
    """
    typed = dict.fromkeys(key for run in runs for key in texts(filter(is_of_run, run.overrides)))
    keys = [key for key in typed if key not in ("seed", *PAIR) and not _measures(key)]
    differing = [key for key in keys if len({setting(run, key) for run in runs}) > 1]
    pairs = len({run.pair for run in runs})
    return [
        key
        for key in differing
        if key not in _CLASSES or len({(run.pair, setting(run, key)) for run in runs}) > pairs
    ]


def _measures(key: str) -> bool:
    return key.partition(".")[0] in ("probes", "evaluate")


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


def best_rate(rates: Mapping[Value, Sequence[Recorded]], tag: str | None) -> Value:
    """The learning rate to choose by `tag` (see `chosen_on`), the lowest of equals."""
    return list(rates)[chosen(list(rates.values()), tag)[0]]


def short(keys: Sequence[str]) -> list[str]:
    """Keys as a heading or a label names them: the last part, where it tells them apart."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]


def _number(value: Value) -> float:
    return float(value) if isinstance(value, (int, float)) else -inf
