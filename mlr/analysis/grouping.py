"""Runs grouped by their settings: by any keys, or by all that differs but the seed."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mlr.core.checks import known
from mlr.records.identity import is_of_run
from mlr.records.reading import Recorded
from mlr.records.settings import PAIR, RATE, Value, leaves, parse_value
from mlr.records.status import FINISHED

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)
HEAD_LOSS = ("head", "loss")
_CLASSES = tuple(f"{group}._target_" for group in HEAD_LOSS)


@dataclass(frozen=True)
class SeedGroup:
    """Finished runs that differ in their seed only."""

    pair: str
    chosen: Mapping[str, str]
    """the overrides that distinguish it from other groups, by key, as typed"""
    runs: list[Recorded]

    @property
    def name(self) -> str:
        """Pair and overrides, as in `sigmoid+se optimizer.lr=0.1`."""
        return " ".join([self.pair, *(f"{k}={v}" for k, v in self.chosen.items())]).strip()

    @property
    def hparams(self) -> dict[str, Any]:
        """Head, loss and the overrides as typed values."""
        head, _, loss = self.pair.partition("+")
        values = {key: parse_value(value) for key, value in self.chosen.items()}
        values = {key: "none" if value is None else value for key, value in values.items()}
        rate = {"lr": values.pop(RATE)} if RATE in values else {}
        return {"head": head, "loss": loss, **rate, **values}


def seed_groups(runs: Sequence[Recorded]) -> list[SeedGroup]:
    """Group finished runs by all overrides but the seed, in the order of first appearance."""
    ended = [run for run in runs if run.status in FINISHED]
    typed = [_overrides(run) for run in ended]
    keys = dict.fromkeys(key for one in typed for key in one)
    varying = [key for key in keys if len({one.get(key) for one in typed}) > 1]

    def chosen(run: Recorded) -> tuple[str, tuple[tuple[str, str], ...]]:
        own = _overrides(run)
        return run.pair, tuple((key, own[key]) for key in varying if key in own)

    found = collected(ended, chosen).items()
    return [SeedGroup(pair, dict(own), members) for (pair, own), members in found]


def _overrides(run: Recorded) -> dict[str, str]:
    """Typed settings of a run by key, without seed, sweep, and the parts that a pair names."""
    named = ("seed", *HEAD_LOSS) if run.pair else ("seed",)
    return {key: value for key, value in run.typed.items() if key not in named and is_of_run(key)}


def collected(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    """Group items by key, in the order of first appearance."""
    found: dict[Key, list[Item]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return found


def grouped(
    runs: Iterable[Recorded], keys: Sequence[str]
) -> dict[tuple[Value, ...], list[Recorded]]:
    """Group runs by their values of `keys`, in the order of first appearance."""
    return collected(runs, lambda run: tuple(map(run.setting, keys)))


def differs(runs: Iterable[Recorded], key: str) -> bool:
    """Return True if a setting has several values."""
    return len({run.setting(key) for run in runs}) > 1


def varied(runs: Sequence[Recorded]) -> list[str]:
    """List the typed keys in which runs differ, apart from head, loss, seed and measuring.

    The class of a head or loss is in its name, unless two classes have the same one.
    """
    typed = dict.fromkeys(key for run in runs for key in _overrides(run))
    pairs = len({run.pair for run in runs})
    return [
        key
        for key in typed
        if key not in HEAD_LOSS
        and key.partition(".")[0] not in ("probes", "evaluate")
        and differs(runs, key)
        and (key not in _CLASSES or len({(run.pair, run.setting(key)) for run in runs}) > pairs)
    ]


def check_keys(runs: Sequence[Recorded], keys: Iterable[str]) -> list[str]:
    """Return `keys` with `lr` written out; raises InputError with the known ones for another."""
    found = [RATE if key == "lr" else key for key in keys]
    if set(found) <= {*PAIR, "seed", *(key for run in runs for key in run.typed)}:
        return found  # no file need be read
    allowed = known_keys(runs)
    return [known("--by", key, allowed) for key in found]


def known_keys(runs: Sequence[Recorded]) -> list[str]:
    """List every key that `Recorded.setting` knows: typed for any run, or in its files."""
    typed = [key for run in runs for key in run.typed]
    groups = [key for run in runs for key in run.choices if not key.startswith("hydra")]
    options = [key for run in runs for key, _ in leaves(run.config)]
    every = dict.fromkeys([*PAIR, "seed", *typed, *groups, *options])
    return [key for key in every if key.rpartition(".")[2] != "_target_" or key in typed]


def short(keys: Sequence[str]) -> list[str]:
    """Shorten keys to their last part if no other key has the same."""
    last = [key.rpartition(".")[2] for key in keys]
    return [name if last.count(name) == 1 else key for name, key in zip(last, keys, strict=True)]
