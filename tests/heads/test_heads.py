"""Every head's contract: range, shapes, types, slope, potential, and its configuration."""

from __future__ import annotations

import importlib
import inspect
import math
from pathlib import Path

import pytest
import torch
import yaml
from mpmath import mp, mpf

from mlr.core.checks import InputError
from mlr.core.domains import REALS, Interval
from mlr.heads import (
    HEADS,
    ClippedLinear,
    ComplementaryLogLog,
    Corn,
    Cumulative,
    Entmax15,
    Evidential,
    Gaussian,
    HardSigmoid,
    Linear,
    Probit,
    Quantiles,
    Sigmoid,
    Softmax,
    Sparsemax,
)
from mlr.heads.cloglog import MIDDLE, integrals
from mlr.heads.distributions.base import NumbersHead
from tests.looping import looped

CONFIGS = Path(__file__).parents[2] / "configs" / "head"
OF_PROBABILITIES = [head() for head in HEADS if not issubclass(head, NumbersHead)]
"""Heads of distributions have tests of their own, in test_distributions.py."""
OF_CLASSES = [head for head in OF_PROBABILITIES if not head.ordered]
EVERY = [*OF_PROBABILITIES, Gaussian()]
every_head = looped("head", EVERY)
every_head_with_a_potential = looped("head", [head for head in EVERY if head.has_potential])
every_head_of_classes = looped("head", OF_CLASSES)


def drawn(*shape: int, scale: float = 3.0, dtype=torch.float64) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(*shape, generator=generator, dtype=torch.float64) * scale).to(dtype)


def width(head) -> int:
    """Logits for three targets."""
    return 3 * head.range.per_target


def homes(head) -> list[Interval]:
    """Places of each part of the predictions for three targets."""
    if head.range.per_target == 2:
        return [REALS, Interval(0, math.inf)]
    return [head.range.closure().entries]


@every_head
@looped("scale", [1e-6, 1.0, 30.0, 1e4])
def test_predictions_lie_in_the_closed_range(head, scale):
    y = head(drawn(200, width(head), scale=scale))
    for part, home in zip(y.split(3, -1), homes(head), strict=True):
        assert (part >= home.low).all()
        assert (part <= home.high).all()
    if head.range.least_outputs > 1:
        torch.testing.assert_close(y.sum(-1), torch.ones(200, dtype=y.dtype))


@every_head
@looped("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_shapes_and_types(head, dtype):
    z = drawn(2, 5, width(head), dtype=dtype)
    assert head(z).shape == head.slope(z).shape == z.shape
    assert head(z).dtype == head.slope(z).dtype == dtype
    if head.has_potential:
        assert head.potential(z).shape == (2, 5)
        assert head.potential(z).dtype == dtype


@every_head
def test_leading_axes_are_examples_of_their_own(head):
    z = drawn(2, 3, 5, width(head))
    rows = z.reshape(30, -1)
    parts = [head, head.slope, *([head.potential] if head.has_potential else [])]
    if head in OF_PROBABILITIES:
        parts += [head.decide, head.classify]
    for part in parts:
        assert torch.equal(part(z).flatten(0, 2), part(rows))
        assert torch.equal(part(z)[1, 2, 4], part(z[1, 2, 4]))


@every_head_with_a_potential
@looped("at_zero", [False, True])
def test_the_potentials_gradient_is_the_head_and_the_slope_its_own(head, at_zero):
    shape = (4 if at_zero else 50, width(head))
    z = (torch.zeros(shape).double() if at_zero else drawn(*shape)).requires_grad_()
    gradient = torch.autograd.grad(head.potential(z).sum(), z)[0]
    torch.testing.assert_close(gradient, head(z).detach(), rtol=1e-13, atol=1e-15)
    for k in range(width(head)):
        slope = torch.autograd.grad(head(z)[..., k].sum(), z)[0][..., k]
        torch.testing.assert_close(slope, head.slope(z)[..., k].detach(), rtol=1e-12, atol=1e-15)


@every_head_with_a_potential
def test_potential_is_convex(head):
    a = drawn(100, width(head))
    b = a.flip(0)
    middle = head.potential((a + b) / 2)
    assert (middle <= (head.potential(a) + head.potential(b)) / 2 + 1e-12).all()


@every_head_of_classes
def test_classes(head):
    z = drawn(20, 3)
    assert torch.equal(head.classify(z), z.argmax(-1))
    assert head.outputs(10) == 10
    if head.range.least_outputs == 1:
        assert head.outputs(2) == 1
        at_half = {"linear": 0.5, "clipped_linear": 0.5, "cloglog": -0.36651}
        threshold = at_half.get(head.name, 0.0)
        one = torch.tensor([[-1.0], [threshold], [2.0]])
        assert head.classify(one).tolist() == [0, 1, 1]
    else:
        assert head.outputs(2) == 2


def test_a_gaussian_knows_no_classes():
    head = Gaussian()
    with pytest.raises(InputError, match="head=gaussian predicts numbers, but the data have 10"):
        head.outputs(10)
    with pytest.raises(TypeError, match="predicts numbers and no classes"):
        head.classify(drawn(20, 2))


def test_a_gaussian_is_means_and_then_deviations():
    z = torch.tensor([[3.0, -1.0, 0.0, 1.0]])
    torch.testing.assert_close(Gaussian()(z), torch.tensor([[3.0, -1.0, 1.0, math.e]]))
    torch.testing.assert_close(Gaussian().slope(z), torch.tensor([[1.0, 1.0, 1.0, math.e]]))


WRITTEN = {
    "linear": lambda z: z,
    "clipped_linear": lambda z: max(mpf(0), min(mpf(1), z)),
    "sigmoid": lambda z: 1 / (1 + mp.exp(-z)),
    "hard_sigmoid": lambda z: max(mpf(0), min(mpf(1), z / 6 + mpf(0.5))),
    "probit": lambda z: mp.ncdf(z),
    "cloglog": lambda z: 1 - mp.exp(-mp.exp(z)),
}
"""The formulas of the docstrings; the distributions and gaussian have tests of their own."""
POTENTIALS = {
    "linear": lambda z: z * z / 2,
    "clipped_linear": lambda z: mpf(0) if z < 0 else (z - mpf(0.5) if z > 1 else z * z / 2),
    "sigmoid": lambda z: mp.log(1 + mp.exp(z)),
    "hard_sigmoid": lambda z: mpf(0) if z < -3 else (z if z > 3 else (z + 3) ** 2 / 12),
    "probit": lambda z: z * mp.ncdf(z) + mp.npdf(z),
    "cloglog": lambda z: mp.quad(lambda u: (1 - mp.exp(-u)) / u, [0, mp.exp(z)]),
}


@pytest.mark.parametrize(
    "head", [one() for one in HEADS if one.name in WRITTEN], ids=lambda h: h.name
)
def test_the_formulas_of_the_docstrings(head):
    logits = [-5.0, -3.0, -1.2, -1e-3, 0.0, 0.4, 0.5, 1.0, 1.7, 3.0, 4.0]
    z = torch.tensor(logits, dtype=torch.float64).unsqueeze(-1)
    with mp.workdps(30):
        expected = [[float(WRITTEN[head.name](mpf(x)))] for x in logits]
        potentials = [float(POTENTIALS[head.name](mpf(x))) for x in logits]
    for found, wanted in ((head(z), expected), (head.potential(z), potentials)):
        wanted = torch.tensor(wanted, dtype=torch.float64)
        torch.testing.assert_close(found, wanted, rtol=1e-13, atol=1e-17)


def test_every_head_is_written_down():
    assert {head.name for head in OF_PROBABILITIES} == {
        *WRITTEN,
        *("softmax", "sparsemax", "entmax15", "evidential", "coral", "corn", "cumulative"),
    }


@every_head_of_classes
@looped("dtype", [torch.float32, torch.float64])
@looped("size", [90.0, 800.0, 1e4, 1e20])
def test_far_tails_are_no_nan(head, dtype, size):
    z = torch.tensor([[-size, size, 0.0]], dtype=dtype, requires_grad=True)
    y = head(z)
    slope = torch.autograd.grad(y.sum(), z)[0]
    for found in (y, slope, head.slope(z), head.decide(z)):
        assert found.isfinite().all()
    if head.range.least_outputs == 1:
        torch.testing.assert_close(slope, head.slope(z), rtol=1e-5, atol=0)


@every_head
def test_nan_stays_nan(head):
    z = torch.full((2, 3), torch.nan)
    assert head(z).isnan().all()
    assert not head.has_potential or head.potential(z).isnan().all()


def test_sigmoid_tails_keep_their_digits():
    z = torch.tensor([-100.0, -20.0, 20.0, 1e4, -1e4])
    expected = torch.tensor([3.783506e-44, 2.0611537e-09, 1.0, 1.0, 0.0])
    torch.testing.assert_close(Sigmoid()(z), expected, rtol=1e-6, atol=2e-45)
    tails = torch.tensor([20.0, -20.0])
    torch.testing.assert_close(Sigmoid().slope(tails), torch.full((2,), 2.0611536e-09))


@pytest.mark.parametrize(
    ("head", "z"),
    [
        ("probit", -10),
        ("probit", -37),
        ("probit", 8),
        ("cloglog", -30),
        ("cloglog", -700),
        ("cloglog", 3),
    ],
)
def test_tails_keep_their_digits(head, z):
    (unit,) = [one() for one in HEADS if one.name == head]
    with mp.workdps(400):
        expected = float(WRITTEN[head](mpf(z)))
    assert unit(torch.tensor([[z]]).double()).item() == pytest.approx(expected, 1e-12)


def test_slopes_keep_their_digits_in_the_tails():
    z = torch.tensor([[-37.0], [37.0]], dtype=torch.float64)
    assert Probit().slope(z)[:, 0].tolist() == pytest.approx([2.1200060e-298] * 2, rel=1e-7)
    z = torch.tensor([[-700.0], [6.0]], dtype=torch.float64)
    expected = [9.85967654e-305, 2.2838e-173]
    assert ComplementaryLogLog().slope(z)[:, 0].tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("z", [-20.0, -1.0, 0.40, 0.41, 0.5, 1.0, 1.6, 2.5, 7.5])
def test_cloglogs_integrals_have_all_digits(z):
    with mp.workdps(40):
        rest = mp.e1(mp.exp(mpf(z)))
        both = rest + mpf(z) + mp.euler
    found = [one.item() for one in integrals(torch.tensor([z], dtype=torch.float64))]
    # beyond z = 7 e^z is taken as e^7, of which e^−e^z is below 1e-308 of 1
    assert found[0] == pytest.approx(float(both), rel=1e-15, abs=0)
    if z < 7:
        assert found[1] == pytest.approx(float(rest), rel=2e-15, abs=0)


def test_cloglogs_continued_fraction_has_enough_steps():
    """At its slowest; the mean over many numbers leaves no rounding."""
    x = torch.linspace(1.5001, 1.51, 100, dtype=torch.float64)
    z = x.log()
    with mp.workdps(30):
        true = [mp.e1(mp.exp(mpf(one))) for one in z.tolist()]
        found = [mpf(one) for one in integrals(z)[1].tolist()]
        errors = [float((a - b) / b) for a, b in zip(found, true, strict=True)]
    assert abs(sum(errors) / len(errors)) < 8e-16


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_cloglog_decides_by_the_real_number(dtype):
    """log log 2 = −0.36651292058166432701…, between two neighbouring floats of every type."""
    with mp.workdps(30):
        assert mpf(MIDDLE) < mp.log(mp.log(2)) < mpf(math.nextafter(MIDDLE, 0))
    near = torch.tensor(MIDDLE, dtype=torch.float64).to(dtype)
    around = torch.stack([torch.nextafter(near, near + step) for step in (-1, 0, 1)])
    classes = ComplementaryLogLog().classify(around.unsqueeze(-1))
    assert classes.tolist() == [int(z > MIDDLE) for z in around.tolist()]


@pytest.mark.parametrize("head", [Sigmoid(), Probit(), HardSigmoid()], ids=lambda h: h.name)
def test_the_smallest_logits_decide(head):
    z = torch.tensor([[-1e-40], [-1e-30], [0.0], [1e-30]])
    assert head.classify(z).tolist() == [0, 0, 1, 1]


def test_hard_sigmoid_is_torchs_and_its_slope_at_the_ends_is_clamps():
    z = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    torch.testing.assert_close(HardSigmoid()(z), torch.nn.functional.hardsigmoid(z))
    ends = torch.tensor([-3.0000002, -3.0, 0.0, 3.0, 3.0000002])
    assert HardSigmoid().slope(ends).tolist() == pytest.approx([0, 1 / 6, 1 / 6, 1 / 6, 0])


def test_sparsemax_is_the_nearest_distribution():
    z = drawn(30, 5, scale=1.0)
    y = Sparsemax()(z)
    others = drawn(500, 5).softmax(-1)
    corners = torch.eye(5, dtype=torch.float64)
    for one, found in zip(z, y, strict=True):
        distances = (torch.cat([others, corners, found.expand(1, 5)]) - one).norm(dim=-1)
        assert distances[-1] <= distances.min() + 1e-15
    assert (y == 0).any()
    assert (y.sum(-1) - 1).abs().max() < 1e-15


def test_sparsemax_ignores_a_shift_and_is_the_clip_for_two():
    z = (drawn(30, 4) * 8).round() / 8
    assert torch.equal(Sparsemax()(z + 1024), Sparsemax()(z))
    two = drawn(50, 2, scale=1.0)
    expected = ((two[:, :1] - two[:, 1:] + 1) / 2).clamp(0, 1)
    torch.testing.assert_close(Sparsemax()(two)[:, :1], expected, rtol=1e-14, atol=1e-16)


def test_sparsemax_slope_counts_its_support():
    z = torch.tensor([[0.0, 0.0, -2.0], [3.0, 0.0, 0.0], [0.3, 0.2, 0.1]], dtype=torch.float64)
    expected = [[0.5, 0.5, 0], [0, 0, 0], [2 / 3, 2 / 3, 2 / 3]]
    torch.testing.assert_close(Sparsemax().slope(z), torch.tensor(expected).double())


def test_softmax_slope_of_the_sure_class():
    z = torch.tensor([[20.0, 0.0]])
    torch.testing.assert_close(Softmax().slope(z), torch.full((1, 2), 2.0611536e-09))


def test_the_clips_slope_is_one_at_its_ends_and_zero_beyond():
    z = torch.tensor([-1e-30, 0.0, 0.5, 1.0, 1.0000001])
    assert ClippedLinear().slope(z).tolist() == [0, 1, 1, 1, 0]


def test_sigmoid_is_the_softmax_of_two():
    z = drawn(100, 1)
    two = Softmax()(torch.cat([z, torch.zeros_like(z)], -1))[..., :1]
    torch.testing.assert_close(Sigmoid()(z), two, rtol=1e-14, atol=0)


def test_entmax_maximises_what_it_says():
    """By scipy's optimiser over the simplex, and one-hot from a lead of 2."""
    from scipy.optimize import minimize

    z = drawn(8, 3, scale=0.8)
    for logits, y in zip(z.numpy(), Entmax15()(z).numpy(), strict=True):
        best = minimize(
            lambda r, logits=logits: -((r * r) @ logits) + 4 / 3 * (abs(r) ** 3).sum(),
            [3**-0.5] * 3,
            constraints={"type": "eq", "fun": lambda r: r @ r - 1},
            options={"ftol": 1e-15, "maxiter": 500},
        )
        assert best.x**2 == pytest.approx(y, abs=1e-6)
    one_hot = Entmax15()(torch.tensor([[2.0, 0.0, -torch.inf], [1.9, 0.0, -9.0]]))
    assert one_hot[0].tolist() == [1, 0, 0]
    assert 0 < one_hot[1, 1] < 1e-2


def test_entmax_of_two_has_a_closed_form():
    """With d = z₁ − z₂ in [−2, 2]: y₁ = ½ + (d/8) √(8 − d²)."""
    d = torch.linspace(-2, 2, 41, dtype=torch.float64)
    y = Entmax15()(torch.stack([d, torch.zeros_like(d)], -1))[:, 0]
    torch.testing.assert_close(y, 0.5 + d / 8 * (8 - d * d).sqrt(), rtol=1e-13, atol=1e-16)


def test_entmax_has_second_derivatives():
    z = drawn(4, 3, scale=0.5).requires_grad_()
    assert torch.autograd.gradgradcheck(Entmax15(), (z,))


def test_linear_slope_is_one_even_of_nan():
    assert Linear().slope(torch.tensor([0.0, 3.0, torch.nan])).tolist() == [1, 1, 1]


def test_the_config_folder_is_the_tuple():
    files = {path.stem: path.read_text() for path in CONFIGS.glob("*.yaml")}
    assert set(files) == {head.name for head in HEADS}
    for head in HEADS:
        assert files[head.name].startswith("# ")
        settings = yaml.safe_load(files[head.name])
        module, _, name = settings.pop("_target_").rpartition(".")
        assert getattr(importlib.import_module(module), name) is head
        # the YAML says what is used when nothing is said
        assert {*settings} == {*inspect.signature(head).parameters}
        assert vars(head()) == vars(head(**settings))


@pytest.mark.parametrize(
    ("head", "logits", "slopes"),
    [
        (ClippedLinear(), [-0.1, 0.0, 0.5, 1.0, 1.1], [0, 1, 1, 1, 0]),
        (HardSigmoid(), [-3.1, -3.0, 0.0, 3.0, 3.1], [0, 1 / 6, 1 / 6, 1 / 6, 0]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_clip_has_its_slope_at_its_ends_too(head, logits, slopes):
    """Whatever torch.clamp takes there: 1 until torch 2.13, 0 from 2.14 on."""
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(head(z).sum(), z)
    torch.testing.assert_close(gradient, torch.tensor(slopes, dtype=torch.float64))


def test_heads_of_softplus_are_exported_for_any_number_of_examples():
    class Network(torch.nn.Module):
        def __init__(self, head, outputs):
            super().__init__()
            self.layer, self.head = torch.nn.Linear(3, outputs), head

        def forward(self, inputs):
            return self.head(self.layer(inputs))

    for head in (Corn(), Cumulative(), Evidential(), Quantiles([0.1, 0.9])):
        network = Network(head, 2 if isinstance(head, Quantiles) else 4)
        shapes = ({0: torch.export.Dim("batch")},)
        program = torch.export.export(network, (torch.zeros(2, 3),), dynamic_shapes=shapes)
        inputs = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(program.module()(inputs), network(inputs))
