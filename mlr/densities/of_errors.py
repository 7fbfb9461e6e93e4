"""Densities e^−ρ(t − y)/Z of a loss ρ of the error, as torch distributions with all of the rest.

All are proper: Z is finite and does not depend on y, so that the loss is a −log-likelihood. Each
is centred on `loc`, the prediction, and has cdf, icdf, mean, variance and samples.
"""

from __future__ import annotations

from abc import abstractmethod
from math import erf, exp, log, pi, sqrt
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

ROOT_2 = sqrt(2)


class CentredDensity(Distribution):
    """A density that is a function of t − loc alone."""

    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {"loc": constraints.real}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Tensor, validate_args: bool | None = None) -> None:
        """Set the prediction `loc` (…)."""
        self.loc = loc
        super().__init__(loc.shape, validate_args=validate_args)

    @abstractmethod
    def log_of(self, x: Tensor) -> Tensor:
        """Log density of errors x = t − loc (…)."""

    @abstractmethod
    def below(self, x: Tensor) -> Tensor:
        """Probability of an error of at most x (…)."""

    @abstractmethod
    def place(self, share: Tensor) -> Tensor:
        """Error below which there is this share (…) of the density."""

    def expand(self, batch_shape: Any, _instance: Any = None) -> CentredDensity:
        """Return the same density for a larger batch."""
        new = type(self).__new__(type(self)) if _instance is None else _instance
        vars(new).update({k: v for k, v in vars(self).items() if not k.startswith("_")})
        new.loc = self.loc.expand(batch_shape)
        Distribution.__init__(new, torch.Size(batch_shape), validate_args=False)
        return new

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of values (…)."""
        return self.log_of(value - self.loc)

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of at most `value` (…)."""
        return self.below(value - self.loc)

    def icdf(self, value: Tensor) -> Tensor:
        """Quantile (…) of probabilities in (0, 1)."""
        return self.loc + self.place(value)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Samples, differentiable in `loc`."""
        shape = self._extended_shape(torch.Size(sample_shape))
        # never 0 or 1, whose quantiles are infinite
        edge = torch.finfo(self.loc.dtype).tiny
        share = torch.rand(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + self.place(share.clamp(min=edge))


class HyperbolicSecant(CentredDensity):
    """sech(t − y)/π: the density of loss=log_cosh. Near a Gaussian, its tails fall as e^−|t − y|.

    Source: Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions 2 (1995), 23.11.
    """

    def log_of(self, x: Tensor) -> Tensor:
        """−log cosh x − log π (…)."""
        size = x.abs()
        return -(size + torch.log1p(torch.exp(-2 * size)) - log(2)) - log(pi)

    def below(self, x: Tensor) -> Tensor:
        """(2/π) arctan eˣ (…)."""
        return torch.atan(x.exp()) * (2 / pi)

    def place(self, share: Tensor) -> Tensor:
        """Log tan(πp/2) (…)."""
        return torch.tan(share * (pi / 2)).log()

    @property
    def mean(self) -> Tensor:
        """The prediction (…)."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """π²/4 (…)."""
        return torch.full_like(self.loc, pi * pi / 4)


class HuberDensity(CentredDensity):
    """Gaussian within δ of y, exponential beyond: the density of loss=huber.

    Of all densities that are a Gaussian with a share ε of anything, it is the least favourable.

    Source: Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics
        35 (1964).
    """

    def __init__(self, loc: Tensor, delta: float, validate_args: bool | None = None) -> None:
        """Set the prediction `loc` (…) and δ > 0."""
        self.delta = delta
        self.middle = sqrt(2 * pi) * erf(delta / ROOT_2)
        self.tail = exp(-0.5 * delta * delta) / delta
        super().__init__(loc, validate_args)

    @property
    def constant(self) -> float:
        """Z = √2π erf(δ/√2) + 2e^(−½δ²)/δ."""
        return self.middle + 2 * self.tail

    def log_of(self, x: Tensor) -> Tensor:
        """−½x² within δ, −δ(|x| − ½δ) beyond, less log Z (…)."""
        size = x.abs()
        within = size.clamp(max=self.delta)
        return -within * (size - 0.5 * within) - log(self.constant)

    def below(self, x: Tensor) -> Tensor:
        """Both tails by their own integral, the middle by erf (…)."""
        outside = self.tail * torch.exp(-self.delta * (x.abs() - self.delta).clamp(min=0))
        inner = x.clamp(-self.delta, self.delta)
        # from 0, so that no tail is a small difference of large numbers
        middle = sqrt(pi / 2) * torch.erf(inner / ROOT_2)
        upper = 0.5 * self.constant + middle + (self.tail - outside)
        return torch.where(x < -self.delta, outside, torch.where(
            x > self.delta, self.constant - outside, upper)) / self.constant  # fmt: skip

    def place(self, share: Tensor) -> Tensor:
        """Inverse of `below` on its three pieces (…)."""
        low = torch.minimum(share, 1 - share)
        area = low * self.constant
        edge = -self.delta + torch.log((area / self.tail).clamp(max=1)) / self.delta
        half = (0.5 * self.constant - area).clamp(min=0) / sqrt(pi / 2)
        inner = -ROOT_2 * torch.erfinv(half.clamp(max=erf(self.delta / ROOT_2)))
        found = torch.where(area < self.tail, edge, inner)
        return torch.where(share <= 0.5, found, -found)

    @property
    def mean(self) -> Tensor:
        """The prediction (…)."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Both pieces' second moments (…)."""
        d = self.delta
        inner = self.middle - 2 * d * exp(-0.5 * d * d)
        outer = 2 * self.tail * (d * d + 2 + 2 / (d * d))
        return torch.full_like(self.loc, (inner + outer) / self.constant)


class AsymmetricLaplace(CentredDensity):
    """τ(1 − τ)e^−ρ: the density of loss=pinball, whose τ-quantile is the prediction.

    Source: Koenker and Machado, Journal of the American Statistical Association 94 (1999).
    """

    def __init__(self, loc: Tensor, tau: float, validate_args: bool | None = None) -> None:
        """Set the prediction `loc` (…) and τ in (0, 1)."""
        self.tau = tau
        super().__init__(loc, validate_args)

    def log_of(self, x: Tensor) -> Tensor:
        """−τx above 0, (1 − τ)x below, and log τ(1 − τ) (…)."""
        cost = torch.where(x > 0, self.tau * x, (self.tau - 1) * x)
        return log(self.tau) + log(1 - self.tau) - cost

    def below(self, x: Tensor) -> Tensor:
        """τe^((1 − τ)x) below 0, 1 − (1 − τ)e^−τx above (…)."""
        low = self.tau * torch.exp((1 - self.tau) * x.clamp(max=0))
        return torch.where(x <= 0, low, 1 - (1 - self.tau) * torch.exp(-self.tau * x.clamp(min=0)))

    def place(self, share: Tensor) -> Tensor:
        """Inverse of `below` (…)."""
        low = torch.log(share / self.tau) / (1 - self.tau)
        high = -torch.log((1 - share) / (1 - self.tau)) / self.tau
        return torch.where(share <= self.tau, low, high)

    @property
    def mean(self) -> Tensor:
        """The prediction and (1 − 2τ)/(τ(1 − τ)) (…)."""
        return self.loc + (1 - 2 * self.tau) / (self.tau * (1 - self.tau))

    @property
    def variance(self) -> Tensor:
        """1/τ² + 1/(1 − τ)² (…)."""
        return torch.full_like(self.loc, self.tau**-2 + (1 - self.tau) ** -2)


class AsymmetricNormal(CentredDensity):
    """e^−w(t − y)²/Z, w = τ above y and 1 − τ below: the density of loss=expectile.

    Source: Aigner, Amemiya and Poirier, International Economic Review 17 (1976).
    """

    def __init__(self, loc: Tensor, tau: float, validate_args: bool | None = None) -> None:
        """Set the prediction `loc` (…) and τ in (0, 1)."""
        self.tau = tau
        self.widths = 1 / sqrt(2 * (1 - tau)), 1 / sqrt(2 * tau)
        super().__init__(loc, validate_args)

    @property
    def share_below(self) -> float:
        """Probability of a target below the prediction."""
        return self.widths[0] / sum(self.widths)

    def log_of(self, x: Tensor) -> Tensor:
        """−w x² − log Z (…) with Z = √(π/2)(s₁ + s₂), s the half-widths."""
        weights = torch.full_like(x, 1 - self.tau).masked_fill(x > 0, self.tau)
        cost = weights * x * x
        return -cost - log(sqrt(pi / 2) * sum(self.widths))

    def below(self, x: Tensor) -> Tensor:
        """Two halves of Gaussians (…)."""
        left, right = self.widths
        low = self.share_below * torch.erfc(-x.clamp(max=0) / left / ROOT_2)
        high = (1 - self.share_below) * torch.erfc(x.clamp(min=0) / right / ROOT_2)
        return torch.where(x <= 0, low, 1 - high)

    def place(self, share: Tensor) -> Tensor:
        """Inverse of `below` (…)."""
        left, right = self.widths
        at, half = self.share_below, 0.5
        low = left * torch.special.ndtri((half * share / at).clamp(max=half))
        high = -right * torch.special.ndtri((half * (1 - share) / (1 - at)).clamp(max=half))
        return torch.where(share <= at, low, high)

    @property
    def mean(self) -> Tensor:
        """The prediction and √(2/π)(s₂ − s₁) (…)."""
        left, right = self.widths
        return self.loc + sqrt(2 / pi) * (right - left)

    @property
    def variance(self) -> Tensor:
        """(1 − 2/π)(s₂ − s₁)² + s₁s₂ (…)."""
        left, right = self.widths
        return torch.full_like(self.loc, (1 - 2 / pi) * (right - left) ** 2 + left * right)
