"""The evidential head and its loss: against many digits, torch's Dirichlet, and by sampling."""

from __future__ import annotations

import math
import random

import pytest
import torch
from mpmath import mp, mpf

from mlr.core.checks import InputError
from mlr.heads import Evidential
from mlr.losses import EvidentialSquaredError
from mlr.objectives import Objective
from mlr.objectives.kernels.evidential import _gauss_legendre
from tests.objectives.mp_reference import BITS, ulps


def reference(z: list[float], t: list[float], weight: float) -> tuple[mpf, list[mpf]]:
    """L, and dL/dz by differences."""
    z, t, k = [mpf(x) for x in z], [mpf(x) for x in t], len(z)

    def value(at: list[mpf]) -> mpf:
        alpha = [1 + mp.log1p(mp.exp(x)) for x in at]
        whole = sum(alpha)
        y = [a / whole for a in alpha]
        error = sum((c - p) ** 2 + p * (1 - p) / (whole + 1) for c, p in zip(t, y, strict=True))
        left = [c + (1 - c) * a for c, a in zip(t, alpha, strict=True)]
        total = sum(left)
        divergence = mp.loggamma(total) - mp.loggamma(k) - sum(map(mp.loggamma, left))
        divergence += sum((a - 1) * (mp.digamma(a) - mp.digamma(total)) for a in left)
        return error + mpf(weight) * divergence

    step = mpf(10) ** -25
    slopes = []
    for i in range(k):
        up, down = ([x + sign * step * (j == i) for j, x in enumerate(z)] for sign in (1, -1))
        slopes.append((value(up) - value(down)) / (2 * step))
    return value(z), slopes


@pytest.mark.parametrize("weight", [0.0, 0.1, 1.0])
def test_losses_and_gradients_have_their_digits(weight):
    rng = random.Random(weight)
    rows = []
    for outputs in (2, 2, 5, 5, 5, 5):
        row = [rng.gauss(0, rng.choice([0.1, 3, 10])) for _ in range(outputs)]
        hard = [0.0] * outputs
        hard[rng.randrange(outputs)] = 1.0
        soft = [0.25, 0.75, 0.0, 0.0, 0.0][:outputs]
        rows += [(torch.tensor(row).tolist(), one) for one in (hard, soft)]
    # much evidence for a wrong class: the divergence is about log ẽ
    rows += [([size, 0.0, 0.0], [0.0, 1.0, 0.0]) for size in (20.0, 1e3, 2.0**17, 2.0**90)]
    objective = Objective("evidential", EvidentialSquaredError(weight))
    assert objective.exact
    for z, t in rows:
        with mp.workdps(140):
            exact, exact_slopes = reference(z, t, weight)
        for dtype in BITS:
            logits, targets = torch.tensor([z], dtype=dtype), torch.tensor([t], dtype=dtype)
            assert ulps(objective.losses(logits, targets).item(), exact, dtype) <= 16, (z, t)
            slopes = objective.gradient(logits, targets)[0].tolist()
            eps = torch.finfo(dtype).eps
            for slope, one, x in zip(slopes, exact_slopes, z, strict=True):
                # terms of size 1 times σ(z), which may cancel
                size = 16 * eps / (1 + math.exp(-x))
                assert slope == pytest.approx(float(one), rel=4 * eps, abs=size), (z, t)


def test_the_divergence_of_little_evidence_has_its_digits():
    """About ½λ[ψ'(1) Σ ẽ² − ψ'(K) (Σ ẽ)²], where its gamma functions cancel."""
    z = torch.tensor([[0.0, -30.0, -31.0]], dtype=torch.float64)
    t = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    with_it, without = (Objective("evidential", EvidentialSquaredError(w)) for w in (1e20, 0.0))
    a, b = math.exp(-30), math.exp(-31)
    trigamma = math.pi**2 / 6
    expected = 0.5e20 * (trigamma * (a * a + b * b) - (trigamma - 1.25) * (a + b) ** 2)
    found = with_it.losses(z, t) - without.losses(z, t)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_it_is_the_expected_squared_error_and_torchs_divergence():
    from torch.distributions import Dirichlet, kl_divergence

    torch.manual_seed(0)
    z = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)
    t = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    alpha = Evidential().concentrations(z)
    p = Dirichlet(alpha).sample((400_000,))
    sampled = (p - t).square().sum(-1).mean()
    error = Objective("evidential", EvidentialSquaredError(0.0)).losses(z, t)
    assert error.item() == pytest.approx(sampled.item(), rel=0.005)
    left = t + (1 - t) * alpha
    divergence = kl_divergence(Dirichlet(left), Dirichlet(torch.ones_like(left)))
    found = Objective("evidential", EvidentialSquaredError(1.0)).losses(z, t) - error
    torch.testing.assert_close(found, divergence)


def test_predictions_are_the_mean_of_the_dirichlet_and_uncertainty_its_lack_of_evidence():
    from torch.distributions import Dirichlet

    head = Evidential()
    z = 3 * torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    alpha = 1 + torch.nn.functional.softplus(z)
    torch.testing.assert_close(head.concentrations(z), alpha)
    torch.testing.assert_close(head(z), Dirichlet(alpha).mean)
    torch.testing.assert_close(head.uncertainty(z), 4 / alpha.sum(-1))
    for k in range(4):
        leaf = z.clone().requires_grad_()
        own = torch.autograd.grad(head(leaf)[:, k].sum(), leaf)[0][:, k]
        torch.testing.assert_close(own, head.slope(z)[:, k])
    without = torch.full((1, 4), -100.0)
    assert head(without).tolist() == [[0.25] * 4]
    assert head.uncertainty(without).item() == 1
    assert head.uncertainty(torch.tensor([[1e6, 0.0, 0.0, 0.0]])).item() < 1e-5
    with pytest.raises(TypeError, match="head=evidential is no gradient of a potential"):
        head.potential(z)


def test_extreme_logits_are_no_nan():
    objective = Objective("evidential", "evidential_se")
    for dtype in BITS:
        for size in (90.0, 800.0, 1e4, 1e20):
            z = torch.tensor([[size, -size, 0.0], [-size, -size, -size]], dtype=dtype)
            for target in torch.eye(3, dtype=dtype):
                t = target.expand(2, 3)
                assert objective.losses(z, t).isfinite().all()
                assert objective.gradient(z, t).isfinite().all()
    # wrong, with much evidence: KL grows as ẽ
    z, t = torch.tensor([[-50.0, 1e4]]), torch.tensor([[1.0, 0.0]])
    assert objective.losses(z, t).item() > 0.5


def test_a_wrong_class_with_evidence_loses_it_and_the_right_one_gains():
    z, t = torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 0.0]])
    for weight in (0.0, 0.1, 1.0):
        slopes = Objective("evidential", EvidentialSquaredError(weight)).gradient(z, t)[0]
        assert slopes[0] < 0 < slopes[1]


def test_what_the_pages_say_of_its_size():
    z = torch.full((1, 10), -1e4)
    z[0, 0] = 80
    assert Evidential()(z)[0, 0].item() == pytest.approx(0.9)
    start, t = torch.zeros(1, 10), torch.eye(10)[:1]
    sizes = [Objective(*pair).gradient(start, t).norm() for pair in
             (("evidential", "evidential_se"), ("softmax", "ce"))]  # fmt: skip
    assert sizes[0] < 0.1 * sizes[1]


def test_it_is_no_likelihood_and_its_weight_is_checked():
    z = torch.tensor([[3.0, -1.0, 2.0], [-4.0, 0.5, 0.1]], dtype=torch.float64)
    each = torch.eye(3, dtype=torch.float64).unsqueeze(1).expand(3, 2, 3)
    mass = (-EvidentialSquaredError()(z.expand(3, 2, 3), each)).exp().sum(0)
    assert abs(mass[0] - mass[1]) > 0.01
    with pytest.raises(TypeError, match="loss=evidential_se gives no likelihood"):
        EvidentialSquaredError().likelihood(z)
    with pytest.raises(InputError, match=r"loss\.kl_weight=-1 must be a finite number, 0 or above"):
        EvidentialSquaredError(-1)


def test_its_nodes_are_no_tensors_of_an_inference():
    """The first call may be within inference mode, and a training comes after it."""
    _gauss_legendre.cache_clear()
    objective = Objective("evidential", "evidential_se")
    z, t = torch.zeros(1, 3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)[:1]
    with torch.inference_mode():
        objective.losses(z, t)
    leaf = z.requires_grad_()
    (found,) = torch.autograd.grad(objective.kernel.losses(leaf, t).sum(), leaf)
    torch.testing.assert_close(found, objective.gradient(z, t))
