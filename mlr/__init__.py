"""mlr: the laboratory for output heads and losses.

In a PyTorch program of your own: `from mlr import Objective, heads, losses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.lazy import lazy_exports

if TYPE_CHECKING:
    from mlr.objectives.objective import Objective

# the packages are found without help
__getattr__ = lazy_exports(__name__, {"Objective": "mlr.objectives.objective"})

__all__ = ["Objective"]
