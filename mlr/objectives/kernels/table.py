"""The table of pairs: which kernel computes a head with a loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, func

from mlr.heads import (
    Beta,
    ClippedLinear,
    ComplementaryLogLog,
    Coral,
    Corn,
    Cumulative,
    Evidential,
    Gamma,
    Gaussian,
    HardSigmoid,
    Head,
    Laplace,
    Linear,
    LogNormal,
    MixtureOfGaussians,
    NegativeBinomial,
    Poisson,
    Probit,
    Quantiles,
    Sigmoid,
    Softmax,
    StudentT,
)
from mlr.heads.distributions.base import NumbersHead
from mlr.heads.functions import REGISTERS
from mlr.losses import (
    ArcFace,
    BetaNll,
    BinaryCrossEntropy,
    CosFace,
    CrossEntropy,
    EvidentialSquaredError,
    GaussianNll,
    Hinge,
    Loss,
    Matching,
    NegativeLogLikelihood,
    OrdinalNll,
    QuantileScore,
    SquaredError,
)
from mlr.objectives.kernels import matching
from mlr.objectives.kernels.class_losses import CLASS_LOSSES, hinge
from mlr.objectives.kernels.class_terms import TERMS, linear_terms
from mlr.objectives.kernels.error_costs import ERROR_COSTS, ErrorCost, linear_kernel
from mlr.objectives.kernels.evidential import evidential_se
from mlr.objectives.kernels.gaussian import GAUSSIAN_NLL, beta_nll, of_deviation_one
from mlr.objectives.kernels.kernel import Kernel
from mlr.objectives.kernels.likelihoods.counts import NEGATIVE_BINOMIAL_NLL, POISSON_NLL
from mlr.objectives.kernels.likelihoods.mixture import mixture_nll
from mlr.objectives.kernels.likelihoods.positive import GAMMA_NLL, LOG_NORMAL_NLL
from mlr.objectives.kernels.likelihoods.quantile_score import quantile_score
from mlr.objectives.kernels.likelihoods.real import LAPLACE_NLL, STUDENT_NLL
from mlr.objectives.kernels.likelihoods.share import BETA_NLL
from mlr.objectives.kernels.linear import CLIPPED_MATCHING, CLIPPED_SE, LINEAR_SE
from mlr.objectives.kernels.margins import with_margin
from mlr.objectives.kernels.ordinal import CORN_NLL, CUMULATIVE_NLL
from mlr.objectives.kernels.sigmoid import SIGMOID_BCE, SIGMOID_CE, SIGMOID_SE
from mlr.objectives.kernels.softmax import SOFTMAX
from mlr.objectives.kernels.sparse import SPARSE, SPARSE_MATCHING, projected

Entry: TypeAlias = Kernel | Callable[[Any, Any], Kernel]
"""A kernel, or what makes it of the head and the loss where these have scalars, as γ of focal."""
Pair: TypeAlias = tuple[type[Head], type[Loss]]


def _class_losses() -> dict[Pair, Entry]:
    """Every head of probabilities with every loss of mlr's."""
    entries: dict[Pair, Entry] = {}
    for loss_type, make in CLASS_LOSSES.items():
        for head_type, terms_of in TERMS.items():
            entries[head_type, loss_type] = _of_loss(partial(make, terms_of))
        for head_type, (terms_of, shares) in SPARSE.items():
            wrap = partial(projected, shares=shares)
            entries[head_type, loss_type] = _of_loss(partial(make, terms_of), wrap)
    for loss_type, make_softmax in SOFTMAX.items():
        entries[Softmax, loss_type] = _of_loss(make_softmax)
    return entries


def _linear_errors() -> dict[Pair, Entry]:
    """The linear head with every loss of the error."""

    def of(make: Callable[[Any], ErrorCost]) -> Entry:
        return lambda head, loss: linear_kernel(make(loss))

    return {(Linear, loss): of(make) for loss, make in ERROR_COSTS.items()}


def _of_loss(
    make: Callable[[Any], Kernel], wrap: Callable[[Kernel], Kernel] | None = None
) -> Entry:
    """An entry that makes the kernel of the loss alone."""
    return lambda head, loss: wrap(make(loss)) if wrap else make(loss)


def _gaussian_nll(entries: dict[Pair, Entry]) -> dict[Pair, Entry]:
    """Heads that give no σ with the Gaussian likelihood: their squared error, and a constant."""

    def of(entry: Entry) -> Entry:
        return lambda head, loss: of_deviation_one(_made(entry, head, loss))

    heads = [head for head, loss in entries if loss is SquaredError]
    return {(head, GaussianNll): of(entries[head, SquaredError]) for head in heads}


def _made(entry: Entry, head: Head, loss: Loss) -> Kernel:
    return entry if isinstance(entry, Kernel) else entry(head, loss)


KERNELS: dict[Pair, Entry] = {
    **_class_losses(),
    **_linear_errors(),
    (Linear, SquaredError): LINEAR_SE,
    (Linear, Hinge): hinge(linear_terms),
    (ClippedLinear, SquaredError): CLIPPED_SE,
    (Sigmoid, SquaredError): SIGMOID_SE,
    (Sigmoid, BinaryCrossEntropy): SIGMOID_BCE,
    (Sigmoid, CrossEntropy): SIGMOID_CE,
    # the matching loss of the classic three is the loss that everyone knows
    (Linear, Matching): LINEAR_SE,
    (Sigmoid, Matching): SIGMOID_BCE,
    (ClippedLinear, Matching): CLIPPED_MATCHING,
    (HardSigmoid, Matching): matching.HARD_SIGMOID_MATCHING,
    (Probit, Matching): matching.PROBIT_MATCHING,
    (ComplementaryLogLog, Matching): matching.CLOGLOG_MATCHING,
    **{(head, Matching): kernel for head, kernel in SPARSE_MATCHING.items()},
    (Gaussian, GaussianNll): GAUSSIAN_NLL,
    **{(Coral, loss): SIGMOID_BCE for loss in (BinaryCrossEntropy, Matching)},
    (Coral, SquaredError): SIGMOID_SE,
    (Coral, CrossEntropy): SIGMOID_CE,
    (Cumulative, OrdinalNll): CUMULATIVE_NLL,
    (Corn, OrdinalNll): CORN_NLL,
    (Evidential, EvidentialSquaredError): lambda head, loss: evidential_se(loss.kl_weight),
    **{(Softmax, loss): lambda head, loss: with_margin(loss) for loss in (ArcFace, CosFace)},
    (Gaussian, BetaNll): lambda head, loss: beta_nll(loss.beta),
    (Gaussian, NegativeLogLikelihood): GAUSSIAN_NLL,
    (Poisson, NegativeLogLikelihood): POISSON_NLL,
    (NegativeBinomial, NegativeLogLikelihood): NEGATIVE_BINOMIAL_NLL,
    (Laplace, NegativeLogLikelihood): LAPLACE_NLL,
    (StudentT, NegativeLogLikelihood): STUDENT_NLL,
    (Gamma, NegativeLogLikelihood): GAMMA_NLL,
    (LogNormal, NegativeLogLikelihood): LOG_NORMAL_NLL,
    (Beta, NegativeLogLikelihood): BETA_NLL,
    (MixtureOfGaussians, NegativeLogLikelihood): lambda head, loss: mixture_nll(head.components),
    (Quantiles, QuantileScore): lambda head, loss: quantile_score(head),
}
"""Exact kernels, with those that `register` adds; other legal pairs are composed."""
KERNELS |= _gaussian_nll(KERNELS)


def register(head: type[Head], loss: type[Loss], kernel: Entry) -> None:
    """Have every objective of this head and this loss computed by an exact kernel.

    Call it where the head or the loss is defined, so that every import of it registers the kernel.

    Args:
        head: the class of the head.
        loss: the class of the loss.
        kernel: the kernel, or a function (head, loss) → kernel of the two instances.

    Raises:
        TypeError: `head` or `loss` is no class of heads or losses.
    """
    for name, found, base in (("head", head, Head), ("loss", loss, Loss)):
        if not (isinstance(found, type) and issubclass(found, base)):
            raise TypeError(f"{name}={found!r} must be a class derived from {base.__name__}.")
    KERNELS[head, loss] = kernel


def kernel_of(head: Head, loss: Loss) -> tuple[Kernel, bool]:
    """Return the kernel of a pair, and True if it is an exact one of the table."""
    entry = KERNELS.get((type(head), type(loss)))
    if entry is not None:
        return _made(entry, head, loss), True
    return (matching.matching(head) if loss.matches_head else composed(head, loss)), False


def composed(head: Head, loss: Loss) -> Kernel:
    """Compute loss(head(z), t), differentiated by torch: for heads and losses without a kernel.

    A loss on logits is loss(z, t), whatever the head.
    """
    cost = on_predictions(head, loss)

    # what is a user's own is called as it is, so that a trial sees its faults
    fills = all(type(part).__module__.startswith("mlr.") for part in (head, loss))

    def losses(z: Tensor, t: Tensor) -> Tensor:
        if not fills or not z.is_cpu or torch.compiler.is_compiling():
            return cost(z if loss.on_logits else head(z), t)
        # a run's numbers must not depend on how many are computed with it, nor how they lie
        rows = z.shape[:-1].numel()
        z_filled, t_filled = (_filled(one, rows) for one in (z, t))
        each = cost(z_filled if loss.on_logits else head(z_filled), t_filled)
        return each[:rows].reshape(z.shape[:-1])

    def gradient(z: Tensor, t: Tensor) -> Tensor:
        slopes: Tensor = func.grad(lambda x: losses(x, t).sum())(z)
        return slopes

    return Kernel(losses, gradient, differentiable=True)


def _filled(values: Tensor, rows: int) -> Tensor:
    """Return values (…, K) as contiguous rows (n, K), filled up by the first to whole registers."""
    flat = values.reshape(rows, values.shape[-1])
    return torch.cat((flat, flat[:1].detach().expand(-rows % REGISTERS, -1)))


def on_predictions(head: Head, loss: Loss) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss as a function of predictions and targets; some have it of the head."""
    if loss.of_head and isinstance(head, NumbersHead):
        return head.cost
    return loss
