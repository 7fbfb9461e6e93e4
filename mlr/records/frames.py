"""Runs as pandas DataFrames, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlr.core.checks import InputError
from mlr.records.reading import Recorded, read_runs
from mlr.records.run_folder import METRICS
from mlr.records.series import read_table
from mlr.records.settings import PAIR, Value, value_text

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped]


def load(place: Path | str, *more: Path | str, series: bool = False) -> DataFrame:
    """Load the runs of folders as a table.

    Columns, in this order:

    - run (the folder's name), folder, status, pair, head, loss: text.
    - seed: integers.
    - each override typed for any run, by its key, as in `optimizer.lr`; for other runs the
      value of their configuration. Integers, floats, bools or text; missing if a run has no such
      option.
    - without `series` the final numbers by tag, as in `accuracy/test`; float64, NaN for none.
      A run that is not done has a row too: see `status`.
    - with `series` step (integers), epoch and each tag of metrics.csv; float64, NaN if nothing
      was recorded at that step, infinite if it was not finite. Runs that recorded nothing and
      damaged runs have no row.

    Example:
        runs = records.load("runs/2026-01-31/12-00-00-abcdef")
        runs.groupby(["head", "loss", "optimizer.lr"])["accuracy/test"].agg(["mean", "std"])

    Args:
        place: folder of a run, of a sweep, or above them.
        *more: further ones; a run found twice is one row.
        series: one row per run and logged step, instead of one per run.

    Raises:
        InputError: there is no such folder, it holds no run, or pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise InputError("mlr.records.load needs pandas: pip install pandas.") from error
    runs = read_runs(place, *more)
    if series:
        runs = [run for run in runs if not run.changed]
    identities = pd.DataFrame(_identities(runs, pd))
    if series:
        return _long(runs, identities, pd)
    tags = dict.fromkeys(tag for run in runs for tag in run.finals)
    numbers = {tag: [run.finals.get(tag, float("nan")) for run in runs] for tag in tags}
    return pd.concat([identities, pd.DataFrame(numbers, dtype="float64")], axis=1)


def _identities(runs: Sequence[Recorded], pd: Any) -> dict[str, Any]:
    """Build the columns that identify a run."""
    columns: dict[str, Sequence[Value]] = {
        "run": [run.name for run in runs],
        "folder": [str(run.folder) for run in runs],
        "status": [run.status for run in runs],
    }
    typed = [key for run in runs for key in run.typed]
    for key in dict.fromkeys([*PAIR, "seed", *typed]):
        columns[key] = [run.setting(key) for run in runs]
    return {key: _column(values, pd) for key, values in columns.items()}


def _column(values: Sequence[Value], pd: Any) -> Any:
    """Convert values to a column of bools, integers, floats or text."""
    kinds = {type(value) for value in values if value is not None}
    missing = None in values
    if kinds == {bool}:
        return pd.array(values, dtype="boolean" if missing else "bool")
    if int in kinds <= {int, float} and not all(map(_fits, values)):
        return pd.Series(values, dtype="object")  # Python's own numbers have no end
    if kinds == {int}:
        return pd.array(values, dtype="Int64" if missing else "int64")
    if kinds and kinds <= {int, float}:
        return pd.array(values, dtype="float64")
    return pd.Series([None if value is None else value_text(value) for value in values])


def _fits(value: Value) -> bool:
    """Return True unless the value is an integer too large for int64."""
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _long(runs: Sequence[Recorded], identities: Any, pd: Any) -> DataFrame:
    import numpy as np

    tables = [read_table(run.folder / METRICS) for run in runs]
    lengths = [len(table) for _, table in tables]
    tags = dict.fromkeys(["step", "epoch", *(tag for own, _ in tables for tag in own)])
    columns = {tag: place for place, tag in enumerate(tags)}
    numbers = np.full((sum(lengths), len(tags)), np.nan)
    start = 0
    for own, table in tables:
        places = [columns[tag] for tag in ("step", "epoch", *own)]
        numbers[start : start + len(table), places] = table
        start += len(table)
    repeated = identities.iloc[np.repeat(np.arange(len(runs)), lengths)].reset_index(drop=True)
    recorded = pd.DataFrame(numbers, columns=list(tags)).astype({"step": "int64"})
    return pd.concat([repeated, recorded], axis=1)
