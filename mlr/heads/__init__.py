"""Heads: the output units, each a pure map from logits z (…, K) to predictions y (…, K).

A head knows its range, its slope ∂y/∂z and its convex potential A with ∇A = y, and
nothing of losses. `mlr.objectives` joins a head and a loss. Adding one: a file here, its class
in `HEADS`, a YAML of the same name in `configs/head/`; for exact losses and gradients also its
class terms in `objectives/kernels/class_terms.py`. `functions` has σ in its exact forms.
Nothing here imports torch before a head is called.
"""

from __future__ import annotations

from mlr.heads.base import Head
from mlr.heads.clipped_linear import ClippedLinear
from mlr.heads.cloglog import ComplementaryLogLog
from mlr.heads.gaussian import Gaussian
from mlr.heads.hard_sigmoid import HardSigmoid
from mlr.heads.linear import Linear
from mlr.heads.probit import Probit
from mlr.heads.sigmoid import Sigmoid
from mlr.heads.softmax import Softmax
from mlr.heads.sparsemax import Sparsemax

HEADS: tuple[type[Head], ...] = (
    Linear,
    ClippedLinear,
    Sigmoid,
    Softmax,
    Gaussian,
    HardSigmoid,
    Probit,
    ComplementaryLogLog,
    Sparsemax,
)
"""The classic four first."""

__all__ = [
    "HEADS",
    "ClippedLinear",
    "ComplementaryLogLog",
    "Gaussian",
    "HardSigmoid",
    "Head",
    "Linear",
    "Probit",
    "Sigmoid",
    "Softmax",
    "Sparsemax",
]
