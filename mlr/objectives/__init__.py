"""Objectives: a head and a loss, chosen apart and computed together.

`pairs.check_pair` judges a pair without importing torch; `Objective(head, loss)` gives
its per-example losses and closed-form gradient dL/dz on logits: the exact formula of
`exact.EXACT` where there is one, `matching` for any head's own loss, else composed by
automatic differentiation. Names are loaded on first use, so that a configuration is
judged before torch is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports

if TYPE_CHECKING:
    from mlr.objectives.exact import EXACT
    from mlr.objectives.formula import Formula
    from mlr.objectives.objective import Objective
    from mlr.objectives.pairs import check_pair

__getattr__ = lazy_exports(
    __name__,
    {
        "EXACT": "mlr.objectives.exact",
        "Formula": "mlr.objectives.formula",
        "Objective": "mlr.objectives.objective",
        "check_pair": "mlr.objectives.pairs",
    },
)

__all__ = ["EXACT", "Formula", "Objective", "check_pair"]
