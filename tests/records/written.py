"""Runs as they lie on disk, written by hand: status.json, metrics.csv and what was configured."""

from pathlib import Path

import numpy as np
from tensorboard.compat.proto.summary_pb2 import Summary

from mlr.records import Recorder, RunFolder, record_scalars
from mlr.records.growing_file import new_events, summary_record
from mlr.records.run_folder import read_status
from mlr.records.table import table_head, table_rows
from mlr.records.tensorboard.hparams import hparams_summaries

NONE = float("nan")


def retell(folder: Path, status: str | None = None, **changes) -> None:
    """Let status.json of a run say something else, as if mlr had written it."""
    RunFolder(folder, read_status(folder)).write_status(status, sync=False, **changes)


def write_table(path: Path, tags, steps, epochs, values, present=None) -> None:
    """Write metrics.csv with one row a step (P,) of values (P, T)."""
    there = np.ones(values.shape, dtype=bool) if present is None else present
    rows = b"".join(table_rows(np.asarray(steps), np.asarray(epochs), values, there))
    path.write_bytes(table_head(tags) + rows)


def write_events(folder: Path, *summaries) -> Path:
    """Write an event file of summaries, each with its step."""
    file = new_events(folder)
    for summary, step in summaries:
        file.add(summary_record(summary, step))
    file.flush()
    return file.path


def write_pictures(folder: Path, *tags) -> Path:
    """Write an event file of one picture a step, among settings that name some."""
    folder.mkdir(exist_ok=True)
    image = Summary.Image(height=1, width=1, colorspace=3, encoded_image_string=b"figure/x")
    values = [Summary(value=[Summary.Value(tag=tag, image=image)]) for tag in tags]
    settings = hparams_summaries({"data.path": "figure/data.csv"}, "a")
    steps = range(len(tags))
    return write_events(folder, *((one, 0) for one in settings), *zip(values, steps, strict=True))


def record_one(recorder: Recorder, steps, epochs, values, present=None, times=None) -> None:
    """Record steps (P,) of one run, with values (P, T)."""
    steps, there = np.asarray(steps), np.ones(values.shape, bool) if present is None else present
    times = steps + 1000.0 if times is None else times
    record_scalars([recorder], steps, epochs, values[:, None], there[:, None], times)


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
        columns = list(series.values())
        there = np.array([[value is not None for value in one] for one in columns]).T
        values = np.array([[NONE if value is None else value for value in one] for one in columns])
        steps = np.arange(len(columns[0])) * 10
        write_table(run.metrics, list(series), steps, steps / 20, values.T.astype(dtype), there)
    if config or choices:
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "config.yaml").write_text(config)
        text = f"hydra: {{runtime: {{choices: {{{choices}}}}}}}"
        (folder / ".hydra" / "hydra.yaml").write_text(text)
    if status != "running":
        run.write_status(status, sync=False, metrics=metrics or {}, **fields)
    return folder
