"""Files of runs and sweeps, from numpy arrays to the disk and back; independent of training.

A `RunFolder` is claimed once and carries status.json (`status.RunStatus`). A `Recorder` fills it
with its event file (TensorBoard) and metrics.csv: `record_scalars`, `flush_all` and `finish_all`
serve all runs of a program at once. All files are written through `mlr.core.durable`. `load` reads
runs back, as a pandas DataFrame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports

if TYPE_CHECKING:
    from mlr.records.frames import load
    from mlr.records.recorder import (
        Recorder,
        RunEnd,
        finish_all,
        flush_all,
        record_histograms,
        record_scalars,
    )
    from mlr.records.run_folder import RunFolder

# claiming a folder must not wait for numpy
__getattr__ = lazy_exports(
    __name__,
    {
        "Recorder": "mlr.records.recorder",
        "RunEnd": "mlr.records.recorder",
        "RunFolder": "mlr.records.run_folder",
        "finish_all": "mlr.records.recorder",
        "flush_all": "mlr.records.recorder",
        "load": "mlr.records.frames",
        "record_histograms": "mlr.records.recorder",
        "record_scalars": "mlr.records.recorder",
    },
)

__all__ = [
    "Recorder",
    "RunEnd",
    "RunFolder",
    "finish_all",
    "flush_all",
    "load",
    "record_histograms",
    "record_scalars",
]
