"""Runs as they lie on disk, written by hand: status.json, metrics.csv and what was configured."""

from pathlib import Path

import numpy as np

from mlr.records import MetricsTable, RunFolder
from mlr.records.metrics_table import format_rows
from mlr.records.run_folder import read_status

NONE = float("nan")


def retell(folder: Path, status: str | None = None, **changes) -> None:
    """Let status.json of a run say something else, as if mlr had written it."""
    RunFolder(folder, read_status(folder)).write_status(status, sync=False, **changes)


def add_rows(table: MetricsTable, steps, epochs, values, present=None) -> None:
    """Add one row a step (P,) with values (P, T)."""
    there = np.ones(values.shape, dtype=bool) if present is None else present
    lines = "".join(format_rows(steps, epochs, values, there))
    table.add(lines.encode(), int(steps[0]), int(steps[-1]))


def write_run(
    folder: Path,
    pair: str = "sigmoid+se",
    seed: int | None = 0,
    overrides=(),
    status: str = "done",
    metrics=None,
    series=None,
    dtype="f4",
    config: str = "",
    choices: str = "",
    **fields,
) -> Path:
    """One run; `series` is tag → value each half epoch, None for no value."""
    run = RunFolder.claim(folder, seed, "train.py", pair=pair, overrides=list(overrides))
    if series:
        table = MetricsTable(run.metrics, list(series))
        columns = list(series.values())
        there = np.array([[value is not None for value in one] for one in columns]).T
        values = np.array([[NONE if value is None else value for value in one] for one in columns])
        steps = np.arange(len(columns[0])) * 10
        add_rows(table, steps, steps / 20, values.T.astype(dtype), there)
        table.flush()
    if config or choices:
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "config.yaml").write_text(config)
        text = f"hydra: {{runtime: {{choices: {{{choices}}}}}}}"
        (folder / ".hydra" / "hydra.yaml").write_text(text)
    if status != "running":
        run.write_status(status, sync=False, metrics=metrics or {}, **fields)
    return folder
