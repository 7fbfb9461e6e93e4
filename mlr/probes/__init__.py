"""Probes: pure functions from values that a step computed anyway to the numbers recorded.

`ProbeSettings` says which family is due on which step. A measured step leaves its logits,
targets and gradients, and layer statistics (`NetworkValues`, filled by `mlr.probes.layers`).
`Measurements` stacks P such steps into `StepValues`, and each due `Probe` turns these into
numbers (P, R, tags) at once. Training and `GradientProbe` use the same modules. A step on which
nothing is due costs nothing.

To add a probe, see `mlr.probes.families`: one file and one line.
"""

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports
from mlr.probes.families import FAMILIES
from mlr.probes.settings import ProbeSettings, make_probes

if TYPE_CHECKING:
    from mlr.probes.base import NetworkValues, Probe, StepValues, Subject
    from mlr.probes.histograms import Histogram, edges, histogram

__getattr__ = lazy_exports(
    __name__,
    {
        "Histogram": "mlr.probes.histograms",
        "NetworkValues": "mlr.probes.base",
        "Probe": "mlr.probes.base",
        "StepValues": "mlr.probes.base",
        "Subject": "mlr.probes.base",
        "edges": "mlr.probes.histograms",
        "histogram": "mlr.probes.histograms",
    },
)

__all__ = [
    "FAMILIES",
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
