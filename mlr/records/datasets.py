"""Runs by the data they were trained on: only those of one data set can be ranked together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlr.records.reading import Recorded
from mlr.records.settings import Value, setting, text

UNKNOWN = "unknown data"
NOT_THE_DATA = {"seed", "split_seed", "scale", "root", "download", "order", "drop_last"}
"""Options under which the task stays the same: draws, places, scaling, and how batches are made."""
_NOT_OF_DATA = {
    *("head", "loss", "objective", "model", "optimizer", "schedule", "probes", "seed", "epochs"),
    *("steps", "batch_size", "max_grad_norm", "patience", "dtype", "device"),
}
"""Roots of overrides that say nothing of the data; any other might, as an experiment does."""

Options = tuple[tuple[str, str], ...]


def by_data(runs: Sequence[Recorded]) -> dict[str, list[Recorded]]:
    """Runs by data set, in the order of their first appearance.

    Returns:
        By the name of the data, with the options in which data sets of that name differ, as in
        `digits label_noise=0.2`; `UNKNOWN` where neither configuration nor command names any.
    """
    known: dict[object, tuple[str, Options]] = {}
    found: dict[tuple[str, Options], list[Recorded]] = {}
    for run in runs:
        key = _same_data(run)
        if key not in known:  # reading a configuration takes a millisecond
            known[key] = _data(run)
        found.setdefault(known[key], []).append(run)
    return {_label(data, list(found)): members for data, members in found.items()}


def _same_data(run: Recorded) -> tuple[Path, str, tuple[str, ...]]:
    """Equal for runs of one command whose options for the data are the same."""
    typed = [key for key in run.overrides if _root(key) not in _NOT_OF_DATA]
    return run.folder.parent, str(run.entries.get("command")), tuple(typed)


def _root(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition(".")[0]


def _data(run: Recorded) -> tuple[str, Options]:
    """The name of a run's data, and what else makes them what they are."""
    written: Any = run.config.get("data")
    options: dict[str, Value] = dict(written) if isinstance(written, Mapping) else {}
    for key, value in run.typed.items():
        if key.startswith("data."):
            options.setdefault(key.removeprefix("data."), value)
    target = str(options.get("_target_") or "").rpartition(".")[2].lower()
    name = text(setting(run, "data")) or target
    kept = {key: value for key, value in options.items() if key not in NOT_THE_DATA}
    return name, tuple(sorted((key, _text(value)) for key, value in kept.items()))


def _text(value: Value) -> str:
    """A value as text, 1.0 as 1."""
    whole = isinstance(value, float) and value.is_integer()
    return text(int(value) if whole and isinstance(value, float) else value)


def _label(data: tuple[str, Options], all_of_them: Sequence[tuple[str, Options]]) -> str:
    name, options = data
    others = [dict(other) for other_name, other in all_of_them if other_name == name]
    differ = [
        f"{key}={value}"
        for key, value in options
        if any(other.get(key) != value for other in others)
    ]
    return " ".join([name or UNKNOWN, *differ])
