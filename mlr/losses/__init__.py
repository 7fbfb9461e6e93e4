"""Losses: the cost of predictions y (…, K) against targets t (…, K), per example, (…).

A loss knows where predictions and targets must lie and which distribution it is the
−log-likelihood of, if of any, and nothing of heads. `mlr.objectives` joins a head and a loss.
Nothing here imports torch before a loss is called.

To add a loss:

1. A file here with a class derived from `Loss`, which is imported below and stands in `LOSSES`.
2. `configs/loss/<name>.yaml` with its formula as a comment, its `_target_`, and the arguments of
   its constructor with their defaults.
3. For exact losses and gradients with every head of classes, the cost of one class and a line in
   `CLASS_COSTS`, or the costs of presence and absence and a line in `OUTPUT_COSTS`, both in
   `mlr/objectives/kernels/class_losses.py`; of an error y − t a line in `ERROR_COSTS` of
   `mlr/objectives/kernels/error_costs.py`. What is no such sum has a line in `CLASS_LOSSES` and
   one in `SOFTMAX` of `mlr/objectives/kernels/softmax.py`, single pairs have one in
   `mlr/objectives/kernels/table.py`. Without any, its pairs are composed and differentiated by
   torch.

Tests ask by name for its formula, the heads that it is refused with, its section in
`mlr/docs/parts/losses.md`, its entry in `mlr/docs/published.py` and its line in
`configs/README.md`.
"""

from __future__ import annotations

from collections.abc import Mapping

from mlr.losses.asymmetric import Asymmetric
from mlr.losses.base import Loss
from mlr.losses.bce import BinaryCrossEntropy
from mlr.losses.ce import CrossEntropy
from mlr.losses.errors.expectile import Expectile
from mlr.losses.errors.huber import Huber
from mlr.losses.errors.log_cosh import LogCosh
from mlr.losses.errors.pinball import Pinball
from mlr.losses.evidential_se import EvidentialSquaredError
from mlr.losses.focal import Focal
from mlr.losses.gaussian_nll import GaussianNll
from mlr.losses.gce import GeneralisedCrossEntropy
from mlr.losses.hinge import Hinge
from mlr.losses.likelihoods.beta_nll import BetaNll
from mlr.losses.likelihoods.of_head import NegativeLogLikelihood, QuantileScore
from mlr.losses.mae import AbsoluteError
from mlr.losses.margins.arcface import ArcFace
from mlr.losses.margins.cosface import CosFace
from mlr.losses.matching import Matching
from mlr.losses.ordinal_nll import OrdinalNll
from mlr.losses.phuber_ce import PartiallyHuberisedCrossEntropy
from mlr.losses.poly1 import Poly1
from mlr.losses.se import SquaredError
from mlr.losses.smoothed_ce import SmoothedCrossEntropy
from mlr.losses.symmetric_ce import SymmetricCrossEntropy
from mlr.losses.tversky import Tversky

LOSSES: tuple[type[Loss], ...] = (
    SquaredError,
    BinaryCrossEntropy,
    CrossEntropy,
    Matching,
    GaussianNll,
    AbsoluteError,
    Hinge,
    Focal,
    GeneralisedCrossEntropy,
    SmoothedCrossEntropy,
    SymmetricCrossEntropy,
    PartiallyHuberisedCrossEntropy,
    Poly1,
    Asymmetric,
    Tversky,
    ArcFace,
    CosFace,
    EvidentialSquaredError,
    OrdinalNll,
    Huber,
    LogCosh,
    Pinball,
    Expectile,
    NegativeLogLikelihood,
    BetaNll,
    QuantileScore,
)
"""The classic ones first."""
OTHER_NAMES: Mapping[str, str] = {"cross_entropy": "ce", "dice": "tversky", "mse": "se"}
"""Names of losses in PyTorch and elsewhere; mlr's own is recorded."""

__all__ = [
    "LOSSES",
    "OTHER_NAMES",
    "AbsoluteError",
    "ArcFace",
    "Asymmetric",
    "BetaNll",
    "BinaryCrossEntropy",
    "CosFace",
    "CrossEntropy",
    "EvidentialSquaredError",
    "Expectile",
    "Focal",
    "GaussianNll",
    "GeneralisedCrossEntropy",
    "Hinge",
    "Huber",
    "LogCosh",
    "Loss",
    "Matching",
    "NegativeLogLikelihood",
    "OrdinalNll",
    "PartiallyHuberisedCrossEntropy",
    "Pinball",
    "Poly1",
    "QuantileScore",
    "SmoothedCrossEntropy",
    "SquaredError",
    "SymmetricCrossEntropy",
    "Tversky",
]
