"""mlr: the laboratory for output heads and losses.

In a PyTorch program of your own: `from mlr import GradientProbe, Objective, check, heads, losses,
try_remedies`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports

if TYPE_CHECKING:
    from mlr.analysis.check import check
    from mlr.loop.probe import GradientProbe
    from mlr.objectives.objective import Objective
    from mlr.remedies.result import try_remedies

# the packages are found without help
__getattr__ = lazy_exports(
    __name__,
    {
        "GradientProbe": "mlr.loop.probe",
        "Objective": "mlr.objectives.objective",
        "check": "mlr.analysis.check",
        "try_remedies": "mlr.remedies.result",
    },
)

__all__ = ["GradientProbe", "Objective", "check", "try_remedies"]
