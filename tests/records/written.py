"""Runs as they lie on disk, written by hand: status.json, metrics.csv and what was configured."""

from pathlib import Path

import numpy as np

from mlr.records import MetricsTable, RunFolder
from mlr.records.run_folder import read_status

NONE = float("nan")


def retell(folder: Path, status: str | None = None, **changes) -> None:
    """Let status.json of a run say something else, as if mlr had written it."""
    RunFolder(folder, read_status(folder)).write_status(status, sync=False, **changes)


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
        table.append(steps, steps / 20, values.T.astype(dtype), there)
        table.close()
    if config or choices:
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "config.yaml").write_text(config)
        text = f"hydra: {{runtime: {{choices: {{{choices}}}}}}}"
        (folder / ".hydra" / "hydra.yaml").write_text(text)
    if status != "running":
        run.write_status(status, sync=False, metrics=metrics or {}, **fields)
    return folder
