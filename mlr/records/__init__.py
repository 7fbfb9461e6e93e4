"""What a run leaves behind, from numpy arrays to files; nothing here knows of training.

A `RunFolder` is claimed once and carries status.json. A `Recorder` fills it: each block of
logged steps goes to an `EventWriter` (TensorBoard) and a `MetricsTable` (metrics.csv), and
`finish` adds the final numbers and the end of the HParams session; `bulk` does the same to
all recorders of a sweep at once. Of many runs, `write_runs_table` makes a table, runs.csv.
All write through `durable` only.
`load` reads runs back, as a pandas DataFrame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports

if TYPE_CHECKING:
    from mlr.core.durable import WriteError, atomic_write
    from mlr.records.bulk import Ending, finish_all, flush_all, record_histograms, record_scalars
    from mlr.records.events import EventWriter
    from mlr.records.folder import RunFolder
    from mlr.records.frames import load
    from mlr.records.recorder import Recorder
    from mlr.records.sweep import write_runs_table
    from mlr.records.table import MetricsTable

# claiming a folder must not wait for numpy
__getattr__ = lazy_exports(
    __name__,
    {
        "Ending": "mlr.records.bulk",
        "EventWriter": "mlr.records.events",
        "MetricsTable": "mlr.records.table",
        "Recorder": "mlr.records.recorder",
        "RunFolder": "mlr.records.folder",
        "WriteError": "mlr.core.durable",
        "atomic_write": "mlr.core.durable",
        "finish_all": "mlr.records.bulk",
        "flush_all": "mlr.records.bulk",
        "load": "mlr.records.frames",
        "record_histograms": "mlr.records.bulk",
        "record_scalars": "mlr.records.bulk",
        "write_runs_table": "mlr.records.sweep",
    },
)

__all__ = [
    "Ending",
    "EventWriter",
    "MetricsTable",
    "Recorder",
    "RunFolder",
    "WriteError",
    "atomic_write",
    "finish_all",
    "flush_all",
    "load",
    "record_histograms",
    "record_scalars",
    "write_runs_table",
]
