"""Objectives: a head and a loss, chosen apart and computed together.

`pairs.check_pair` judges a pair without importing torch; `Objective(head, loss)` gives
its per-example losses and closed-form gradient dL/dz on logits: the exact formula of
`exact.EXACT` where there is one, `matching` for any head's own loss, else composed by
automatic differentiation. Names are loaded on first use, so that a configuration is
judged before torch is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlr.objectives.exact import EXACT
    from mlr.objectives.formula import Formula
    from mlr.objectives.objective import Objective
    from mlr.objectives.pairs import check_pair

_HOMES = {"EXACT": "exact", "Formula": "formula", "Objective": "objective", "check_pair": "pairs"}

__all__ = ["EXACT", "Formula", "Objective", "check_pair"]


def __getattr__(name: str) -> Any:
    """Load `name` from its module on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
