"""Probes: pure functions of what a step computed anyway, to the numbers a person looks at.

`ProbeSettings` says which family is due when. The loop keeps the logits, targets and
gradients of such steps, and what layers came to (`NetworkValues`); a stack of them, with a
leading axis P of points, are the `StepValues` that a probe turns into (P, R, tags) at once.
So a probe costs nothing on other steps, and a few operations on two hundred.
"""

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports
from mlr.probes.settings import ProbeSettings

if TYPE_CHECKING:
    from mlr.probes.base import Probe, StepValues, Subject
    from mlr.probes.family import PROBES, make_probes
    from mlr.probes.histograms import Histogram, edges, histogram
    from mlr.probes.network import NetworkValues

__getattr__ = lazy_exports(
    __name__,
    {
        "PROBES": "mlr.probes.family",
        "Histogram": "mlr.probes.histograms",
        "NetworkValues": "mlr.probes.network",
        "Probe": "mlr.probes.base",
        "StepValues": "mlr.probes.base",
        "Subject": "mlr.probes.base",
        "edges": "mlr.probes.histograms",
        "histogram": "mlr.probes.histograms",
        "make_probes": "mlr.probes.family",
    },
)

__all__ = [
    "PROBES",
    "Histogram",
    "NetworkValues",
    "Probe",
    "ProbeSettings",
    "StepValues",
    "Subject",
    "edges",
    "histogram",
    "make_probes",
]
