"""Probes: pure functions of what a step computed anyway, to the numbers a person looks at.

The loop keeps the logits, targets and gradients of its logged steps (`StepValues`, with
a leading axis P of points); a probe turns a whole stack of them into (P, R, tags) at
once. So a probe costs nothing on other steps, and a few operations on two hundred.
"""

from typing import TYPE_CHECKING

from mlr.lazy import lazy_exports
from mlr.probes.settings import ProbeSettings

if TYPE_CHECKING:
    from mlr.probes.base import Probe, StepValues
    from mlr.probes.family import PROBES, make_probes
    from mlr.probes.histograms import Histogram, edges, histogram

__getattr__ = lazy_exports(
    __name__,
    {
        "PROBES": "mlr.probes.family",
        "Histogram": "mlr.probes.histograms",
        "Probe": "mlr.probes.base",
        "StepValues": "mlr.probes.base",
        "edges": "mlr.probes.histograms",
        "histogram": "mlr.probes.histograms",
        "make_probes": "mlr.probes.family",
    },
)

__all__ = [
    "PROBES",
    "Histogram",
    "Probe",
    "ProbeSettings",
    "StepValues",
    "edges",
    "histogram",
    "make_probes",
]
