"""Runs made by hand: folders without any training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from mlr.records import RunFolder
from mlr.records.reading import Recorded, read_runs
from mlr.records.status import RunStatus

COUNTS = [100] * 10
SOUND: dict[str, Any] = {
    "examples": 1000,
    **{"wrong": 0.03, "stuck": 0.0, "stuck_zero": 0.0, "saturated": 0.6, "zero": 0.0},
    **{"right_pull": 0.0, "surprise": 0.0, "gradient": [0.001, 0.01, 0.05, 0.1, 0.3]},
    "start": {"loss": 2.34, "wrong": 0.9, "stuck": 0.0, "stuck_zero": 0.0, "saturated": 0.0},
    "classes": {
        "count": COUNTS,
        "recall": [0.97] * 10,
        "grad": [0.05] * 10,
        "grad_wrong": [0.7] * 10,
    },
    "confidence": {
        "edges": [0.6, 0.9],
        **{"count_wrong": [20, 9, 1], "grad_wrong": [0.7, 0.9, 1.2]},
        **{"count_right": [50, 250, 670], "grad_right": [0.5, 0.3, 0.05]},
    },
    "logits": {
        "edges": list(range(-10, 11)),
        "count": [[0] * 8 + [500, 500] + [0] * 12, [0] * 10 + [90, 10] + [0] * 10],
        "grad": [[None] * 22, [None] * 22],
    },
    "data": {"mean": 0.0, "std": 1.0, "largest": 3.0, "feature_std": [1.0, 1.0, 1.0]},
}
"""The anatomy of a softmax with cross-entropy that has learned ten classes."""
METRICS = {
    **{"loss/train": 0.14, "loss/val": 0.17, "loss/test": 0.16},
    **{"accuracy/train": 0.97, "accuracy/val": 0.95, "accuracy/test": 0.96},
    **{"logit_grad/wrong": 0.8, "logit_grad/right": 0.1},
}


def changed(node: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with other values, as in `{"start.loss": 40}`."""
    copy: dict[str, Any] = deepcopy(dict(node))
    for key, value in changes.items():
        *path, last = key.split(".")
        place = copy
        for name in path:
            place = place.setdefault(name, {})
        place[last] = deepcopy(value)
    return copy


def falling(epochs: int = 20, start: float = 2.3, end: float = 0.15) -> dict[str, Sequence[float]]:
    """Curves of a run that learns well: most of it at first."""
    course = end + (start - end) * np.exp(-np.linspace(0, 8, epochs))
    found = (start - course) / start
    return {
        "loss/train": course,
        "accuracy/train": found,
        "loss/val": course * 1.05,
        "accuracy/val": found,
        "learning_rate": np.full(epochs, 0.5),
        "grad_norm/total": np.ones(epochs),
        "grad_norm/output": np.ones(epochs),
    }


def run(
    folder: Path,
    pair: str = "softmax+ce",
    *,
    anatomy: Mapping[str, Any] | None = SOUND,
    metrics: Mapping[str, float] = METRICS,
    curves: Mapping[str, Sequence[float]] | None = None,
    status: str = "done",
    config: Mapping[str, Any] | None = None,
    **entries: Any,
) -> Recorded:
    """A run's folder, and the run read back from it."""
    folder.mkdir(parents=True)
    head, loss = pair.split("+")
    told = {
        "status": status,
        "pair": pair,
        "overrides": [f"head={head}", f"loss={loss}"],
        "metrics": metrics,
        **({} if anatomy is None else {"anatomy": anatomy}),
        **entries,
    }
    RunFolder(folder, RunStatus()).write_status(sync=False, **told)
    if curves:
        lines = [",".join(["step", "epoch", *curves])]
        for row, values in enumerate(zip(*curves.values(), strict=True)):
            numbers = [
                "" if np.isnan(v) else "nan" if np.isinf(v) else repr(float(v)) for v in values
            ]
            lines.append(",".join([str(10 * row), str(row), *numbers]))
        (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    if config is not None:
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(dict(config)))
    (found,) = read_runs(folder)
    return found
