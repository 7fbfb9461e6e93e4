"""Settings of a run by key: as typed, else as its configuration says."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mlr.records.identity import identity

if TYPE_CHECKING:
    from mlr.records.reading import Recorded  # needs numpy, which a refused sweep does without

Value = bool | int | float | str | None
RATE = "optimizer.lr"
_WORDS: Mapping[str, Value] = {"true": True, "false": False, "null": None}
PAIR = ("pair", "head", "loss")


def texts(overrides: Iterable[str]) -> dict[str, str]:
    """Overrides by key, values as typed; of `+key=1` the key is `key`, and `~key` sets nothing."""
    parts = [override.lstrip("+").partition("=") for override in overrides]
    return {key: value for key, equals, value in parts if equals and not key.startswith("~")}


def plain(typed: str) -> Value:
    """The value that a text stands for on the command line: a number, bool, null or text."""
    if typed.lower() in _WORDS:
        return _WORDS[typed.lower()]
    for kind in (int, float):
        with suppress(ValueError):
            found = kind(typed)
            # a whole number that no float can hold is none to compute with
            return typed if kind is int and abs(found) > sys.float_info.max else found
    if typed.startswith("["):
        return typed.replace(" ", "")
    quoted = len(typed) > 1 and typed[0] == typed[-1] and typed[0] in "\"'"
    return typed[1:-1] if quoted else typed


def text(value: Value) -> str:
    """A value as it is typed; nothing for None."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def setting(run: Recorded, key: str) -> Value:
    """Setting of `run`: `pair`, `head`, `loss`, `seed`, or any key of the configuration.

    Args:
        run: its configuration is read only where its status.json does not tell.
        key: as in an override: `optimizer.lr`; a group, as `model`, gives the name chosen.

    Returns:
        None where nothing is set, or nothing is known; lists as text, `[1,2]`.
    """
    if key == "seed":
        return run.seed
    if key in PAIR and run.pair:
        head, _, loss = run.pair.partition("+")
        return {"pair": run.pair, "head": head, "loss": loss}[key]
    if key in run.typed:
        return plain(run.typed[key])
    found = _leaf(run.config, key)
    return run.choices.get(key) if found is None else found


def known_keys(runs: Sequence[Recorded]) -> list[str]:
    """Every key that `setting` may be asked for: typed in any run, or in its files."""
    typed = [key for run in runs for key in run.typed]
    groups = [key for run in runs for key in run.choices if not key.startswith("hydra")]
    options = [key for run in runs for key in _leaves(run.config)]
    return list(dict.fromkeys([*PAIR, "seed", *typed, *groups, *options]))


def _leaf(config: Mapping[str, Any], key: str) -> Value:
    node: Any = config
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    if isinstance(node, Mapping):
        return None
    if isinstance(node, list):
        return f"[{','.join(map(str, node))}]"
    return node if isinstance(node, (bool, int, float)) or node is None else str(node)


def _leaves(config: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{prefix}{key}.")
        elif key != "_target_":
            found.append(f"{prefix}{key}")
    return found


def hyperparameters(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The whole configuration as flat scalars, the parts by name and the rate as `lr` first.

    Args:
        config: plain, resolved configuration.
        names: group → name of the part chosen.
    """
    flat: dict[str, Any] = dict(names)
    flat["lr"] = config["optimizer"].get("lr")
    flat["seed"] = config["seed"]
    for key, value in leaves(identity(config)):
        if key not in ("seed", "optimizer.lr") and not key.endswith("_target_"):
            flat[key] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat


def leaves(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Values by their whole key, as in `optimizer.lr`; lists are values."""
    found: list[tuple[str, Any]] = []
    for key, value in node.items():
        if isinstance(value, Mapping):
            found += leaves(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found
