"""Figures of finished runs and of pairs of head and loss, for notebooks, slides and papers.

Each function returns a matplotlib Figure: `learning_curves`, `wrong_gradients` and `matrix` of
runs, `pair_curves` of pairs. A pair has the same colour in all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports

if TYPE_CHECKING:
    from mlr.analysis.plots.curves import learning_curves, wrong_gradients
    from mlr.analysis.plots.pairs import pair_curves
    from mlr.analysis.plots.table import matrix

# pairs need torch, runs do not
__getattr__ = lazy_exports(
    __name__,
    {
        "learning_curves": "mlr.analysis.plots.curves",
        "matrix": "mlr.analysis.plots.table",
        "pair_curves": "mlr.analysis.plots.pairs",
        "wrong_gradients": "mlr.analysis.plots.curves",
    },
)

__all__ = ["learning_curves", "matrix", "pair_curves", "wrong_gradients"]
