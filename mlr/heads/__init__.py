"""Heads: the output units, each a pure map from logits z (…, K) to predictions y (…, K).

A head knows its range, its slope ∂y/∂z and its convex potential A with ∇A = y, and
nothing of losses. `mlr.objectives` joins a head and a loss. `functions` has σ in its exact forms.
Nothing here imports torch before a head is called.

To add a head:

1. A file here with a class derived from `Head`, which is imported below and stands in `HEADS`.
2. `configs/head/<name>.yaml` with its formula as a comment, and its `_target_`.
3. For exact losses and gradients, a function to its `ClassTerms` and a line in `TERMS`, both in
   `mlr/objectives/kernels/class_terms.py`; a head whose outputs add up to 1 has, instead, its
   terms and its Jacobian in `SPARSE` of `mlr/objectives/kernels/sparse.py`, or a line for each
   loss in `mlr/objectives/kernels/table.py`. Without these, its losses are composed and
   differentiated by torch.

Where no loss is chosen, it is trained with `matching`; a line in `USUAL_LOSSES` of
`mlr.objectives.compatibility` names another, and has to where `has_potential` is False. Tests ask
by name for its formula, its usual loss, its row in `mlr/docs/heads_and_losses.md`, its section in
`mlr/docs/parts/heads.md`, its entry in `mlr/docs/published.py` and its line in
`configs/README.md`.
"""

from __future__ import annotations

from mlr.heads.base import Head
from mlr.heads.clipped_linear import ClippedLinear
from mlr.heads.cloglog import ComplementaryLogLog
from mlr.heads.distributions.beta import Beta
from mlr.heads.distributions.gamma import Gamma
from mlr.heads.distributions.gaussian import Gaussian
from mlr.heads.distributions.laplace import Laplace
from mlr.heads.distributions.log_normal import LogNormal
from mlr.heads.distributions.mixture import MixtureOfGaussians
from mlr.heads.distributions.negative_binomial import NegativeBinomial
from mlr.heads.distributions.poisson import Poisson
from mlr.heads.distributions.quantiles import Quantiles
from mlr.heads.distributions.student_t import StudentT
from mlr.heads.entmax15 import Entmax15
from mlr.heads.evidential import Evidential
from mlr.heads.hard_sigmoid import HardSigmoid
from mlr.heads.linear import Linear
from mlr.heads.ordinal import Coral, Corn, Cumulative
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
    Entmax15,
    Evidential,
    Cumulative,
    Coral,
    Corn,
    Poisson,
    NegativeBinomial,
    Laplace,
    StudentT,
    Gamma,
    LogNormal,
    Beta,
    MixtureOfGaussians,
    Quantiles,
)
"""The classic four first."""

__all__ = [
    "HEADS",
    "Beta",
    "ClippedLinear",
    "ComplementaryLogLog",
    "Coral",
    "Corn",
    "Cumulative",
    "Entmax15",
    "Evidential",
    "Gamma",
    "Gaussian",
    "HardSigmoid",
    "Head",
    "Laplace",
    "Linear",
    "LogNormal",
    "MixtureOfGaussians",
    "NegativeBinomial",
    "Poisson",
    "Probit",
    "Quantiles",
    "Sigmoid",
    "Softmax",
    "Sparsemax",
    "StudentT",
]
