"""What a run leaves behind, from numpy arrays to files; nothing here knows of training.

A `RunFolder` is claimed once and carries status.json. A `Recorder` fills it: each block of
logged steps goes to an `EventWriter` (TensorBoard) and a `MetricsTable` (metrics.csv), and
`finish` adds the final numbers and the end of the HParams session. `write_runs_table` lays
many runs side by side in runs.csv. All of them write through `durable`, and only there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlr.records.durable import WriteError, atomic_write
    from mlr.records.events import EventWriter
    from mlr.records.folder import RunFolder
    from mlr.records.recorder import Recorder
    from mlr.records.sweep import write_runs_table
    from mlr.records.table import MetricsTable

__all__ = [
    "EventWriter",
    "MetricsTable",
    "Recorder",
    "RunFolder",
    "WriteError",
    "atomic_write",
    "write_runs_table",
]
# a name is imported when it is asked for: claiming a folder must not wait for numpy
_HOME = {
    "EventWriter": "events",
    "MetricsTable": "table",
    "Recorder": "recorder",
    "RunFolder": "folder",
    "WriteError": "durable",
    "atomic_write": "durable",
    "write_runs_table": "sweep",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
