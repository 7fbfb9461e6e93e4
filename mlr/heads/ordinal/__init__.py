"""Heads of ordered classes 0 … K − 1: K − 1 outputs, y_k = P(class ≥ k) for k = 1 … K − 1.

Targets are levels, t_k = 1 where the class is at least k: of four classes (0, 0, 0), (1, 0, 0),
(1, 1, 0) and (1, 1, 1). An error of two classes is an error at two outputs.
"""

from mlr.heads.ordinal.base import OrdinalHead
from mlr.heads.ordinal.coral import Coral
from mlr.heads.ordinal.corn import Corn
from mlr.heads.ordinal.cumulative import Cumulative

__all__ = ["Coral", "Corn", "Cumulative", "OrdinalHead"]
