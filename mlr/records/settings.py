"""Settings of a run by key, and their values as text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from mlr.records.identity import identity

Value = bool | int | float | str | None
RATE = "optimizer.lr"
PAIR = ("pair", "head", "loss")
_WORDS: Mapping[str, Value] = {"true": True, "false": False, "null": None}


def split_overrides(overrides: Iterable[str]) -> dict[str, str]:
    """Split overrides into key and value, as typed.

    The key of `+key=1` is `key`; `~key` sets nothing.
    """
    parts = [override.lstrip("+").partition("=") for override in overrides]
    return {key: value for key, equals, value in parts if equals and not key.startswith("~")}


def parse_value(typed: str) -> Value:
    """Parse a value of the command line: a number, a bool, null or text."""
    if typed.lower() in _WORDS:
        return _WORDS[typed.lower()]
    for kind in (int, float):
        with suppress(ValueError):
            found = kind(typed)
            # an integer beyond the largest float cannot be computed with
            return typed if kind is int and abs(found) > sys.float_info.max else found
    if typed.startswith("["):
        return typed.replace(" ", "")
    quoted = len(typed) > 1 and typed[0] == typed[-1] and typed[0] in "\"'"
    return typed[1:-1] if quoted else typed


def value_text(value: Value) -> str:
    """Write a value as it is typed; None is the empty text."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def hyperparameters(config: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Flatten a configuration to scalars: names of the parts and the rate as `lr` first.

    Args:
        config: plain, resolved configuration.
        names: group → name of the part chosen.
    """
    flat: dict[str, Any] = dict(names)
    flat["lr"] = config["optimizer"].get("lr")
    flat["seed"] = config["seed"]
    for key, value in leaves(identity(config)):
        if key not in ("seed", RATE) and not key.endswith("_target_"):
            flat[key] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat


def leaves(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """List the values of a nested mapping by whole key, as `optimizer.lr`; lists are values."""
    found: list[tuple[str, Any]] = []
    for key, value in node.items():
        if isinstance(value, Mapping):
            found += leaves(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found
