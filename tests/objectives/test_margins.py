"""ArcFace and CosFace: against many digits, the angles themselves, and what must be equal."""

from __future__ import annotations

import math
import random

import pytest
import torch
from mpmath import mp, mpf

from mlr.core.checks import InputError
from mlr.heads import Softmax, Sparsemax
from mlr.losses import ArcFace, CosFace, CrossEntropy
from mlr.objectives import Objective
from tests.objectives.mp_reference import BITS, distance

SIZES = [(64.0, 0.5), (64.0, 1.5), (4.0, 0.35), (1.0, 0.0)]
"""s and m."""


def lowered(loss, z: mpf) -> mpf:
    """f(z): by the angle, or the straight line through both of its ends."""
    s, m = mpf(loss.scale), mpf(loss.margin)
    if isinstance(loss, CosFace):
        return z - s * m
    if -s * mp.cos(m) < z < s:
        return s * mp.cos(mp.acos(z / s) + m)
    return z - s * (1 - mp.cos(m))


def of_class(loss, z: list[mpf], k: int) -> mpf:
    own = lowered(loss, z[k])
    return mp.log1p(sum(mp.exp(other - own) for j, other in enumerate(z) if j != k))


def reference(loss, z: list[float], t: list[float]) -> tuple[mpf, list[mpf]]:
    """L and dL/dz, by differences in 300 digits."""
    z = [mpf(x) for x in z]

    def value(at: list[mpf]) -> mpf:
        return sum(mpf(w) * of_class(loss, at, k) for k, w in enumerate(t) if w)

    step = mpf(10) ** -40
    slopes = []
    for k in range(len(z)):
        up, down = ([x + sign * step * (j == k) for j, x in enumerate(z)] for sign in (1, -1))
        slopes.append((value(up) - value(down)) / (2 * step))
    return value(z), slopes


def drawn(scale: float, margin: float, outputs: int) -> list[tuple[list[float], list[float]]]:
    """Logits inside, near the ends of, and outside of [−s, s]; hard and soft targets."""
    rng = random.Random(f"{scale} {margin} {outputs}")
    rows = []
    for _ in range(14):
        ways = (rng.uniform(0.1, math.pi), rng.uniform(0.002, 0.01))
        angles = [rng.choice(ways) for _ in range(outputs)]
        row = [scale * math.cos(angle) for angle in angles]
        if rng.random() < 0.3:
            row[0] = rng.choice([-1.5, 1.5, -1.01]) * scale
        hard = [0.0] * outputs
        hard[rng.randrange(outputs)] = 1.0
        soft = [0.25, 0.75, 0.0, 0.0, 0.0][:outputs]
        rows.append((torch.tensor(row).tolist(), soft if rng.random() < 0.3 else hard))
    return rows


def pulls(loss, z: list[float], t: list[float]) -> list[mpf]:
    """The largest part of each dL/dz: those of hard targets, times the share of their class."""
    hard = [[float(j == k) for j in range(len(t))] for k in range(len(t))]
    parts = [
        [w * abs(x) for x in reference(loss, z, one)[1]]
        for w, one in zip(t, hard, strict=True)
        if w
    ]
    return [max(some) for some in zip(*parts, strict=True)]


@pytest.mark.parametrize("outputs", [2, 5])
def test_losses_and_gradients_have_their_digits(outputs):
    """u is off by half an ulp of s, and e^u by so much of itself (measured: 153 ulp at s = 64)."""
    for (scale, margin), kind in ((size, kind) for size in SIZES for kind in (ArcFace, CosFace)):
        loss, rows, bound = kind(scale, margin), drawn(scale, margin, outputs), 12 + 3 * scale
        with mp.workdps(300):
            true = [(*reference(loss, *row), pulls(loss, *row)) for row in rows]
        objective = Objective("softmax", loss)
        assert objective.exact
        for dtype in BITS:
            z, t = (torch.tensor(part, dtype=dtype) for part in zip(*rows, strict=True))
            found = objective.losses(z, t).tolist(), objective.gradient(z, t).tolist()
            for value, slopes, (exact, *sizes) in zip(*found, true, strict=True):
                worst = [distance(value, exact, mpf(0), dtype)]
                worst += [distance(*three, dtype) for three in zip(slopes, *sizes, strict=True)]
                assert max(worst) <= bound, (loss.name, vars(loss), dtype, worst)


def test_tails_are_no_zero():
    """Far on the right side the loss is e^u, and where float32 has no 1 − y still itself."""
    loss = CosFace(64.0, 0.35)
    z, t = torch.tensor([[64.0, 0.0]], requires_grad=True), torch.tensor([[1.0, 0.0]])
    cost = Objective("softmax", loss)(z, t)
    (slope,) = torch.autograd.grad(cost.sum(), z)
    assert cost.item() == pytest.approx(math.exp(-41.6), rel=1e-5)
    assert slope[0].tolist() == pytest.approx([-math.exp(-41.6), math.exp(-41.6)], rel=1e-5)
    equal = Objective("softmax", loss).losses(torch.zeros(1, 5), torch.eye(5)[:1])
    assert equal.item() == pytest.approx(math.log1p(4 * math.exp(22.4)))
    far = Objective("softmax", loss).losses(torch.tensor([[-1e4, 0.0]]), t)
    assert far.item() == pytest.approx(1e4 + 22.4)


def test_of_no_margin_both_are_cross_entropy():
    z = 4 * torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = torch.eye(4, dtype=torch.float64)[torch.arange(20) % 4]
    usual = Objective("softmax", "ce")
    for loss in (ArcFace(3.0, 0.0), CosFace(3.0, 0.0)):
        one = Objective("softmax", loss)
        torch.testing.assert_close(one.losses(z, t), usual.losses(z, t))
        torch.testing.assert_close(one.gradient(z, t), usual.gradient(z, t))


def test_the_lowered_logit_is_the_angle_and_never_falls():
    s, m = 5.0, 0.5
    angles = torch.linspace(1e-3, math.pi - m - 1e-3, 400, dtype=torch.float64)
    z = s * angles.cos()
    loss = ArcFace(s, m)
    torch.testing.assert_close(z - loss.drop(z), s * (angles + m).cos())
    torch.testing.assert_close(loss.slope(z), (angles + m).sin() / angles.sin())
    everywhere = torch.linspace(-2 * s, 2 * s, 4001, dtype=torch.float64)
    f = everywhere - loss.drop(everywhere)
    assert (f.diff() >= 0).all()
    assert (loss.slope(everywhere) >= 0).all()
    assert f.diff().max() < 0.2  # no jump: that of the authors' code is 0.59
    for end in (-s * math.cos(m), s):
        around = torch.tensor([end - 1e-9, end, end + 1e-9], dtype=torch.float64)
        height = around - loss.drop(around)
        assert height.tolist() == pytest.approx([end - s * (1 - math.cos(m))] * 3, abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_angle_of_zero_has_a_finite_gradient(dtype):
    """Of the true class it is at most that of the nearest angle that is no zero."""
    for loss in (ArcFace(), CosFace()):
        z = torch.tensor([[64.0, 64.0], [-64.0, 64.0], [64.0001, 0.0]], dtype=dtype)
        t = torch.tensor([[1.0, 0.0]], dtype=dtype).repeat(3, 1)
        gradient = Objective("softmax", loss).gradient(z, t)
        assert gradient.isfinite().all()
        assert gradient.tolist()[1] == pytest.approx([-1.0, 1.0])
    nearest = torch.nextafter(torch.tensor(64.0, dtype=dtype), torch.tensor(0.0, dtype=dtype))
    slope = ArcFace().slope(nearest)
    with mp.workdps(40):
        angle = mp.acos(mpf(nearest.item()) / 64)
        true = mp.sin(angle + mpf(0.5)) / mp.sin(angle)
    assert slope.item() == pytest.approx(float(true), rel=1e-6)


def test_a_head_that_only_predicts_trains_as_softmax():
    z = torch.tensor([[3.0, -1.0, 2.0], [-4.0, 0.5, 0.1]], dtype=torch.float64)
    t = torch.eye(3, dtype=torch.float64)[:2]
    for loss in (ArcFace(4.0), CosFace(4.0)):
        usual, other = Objective(Softmax(), loss), Objective(Sparsemax(), loss)
        torch.testing.assert_close(other.losses(z, t), usual.losses(z, t))
        torch.testing.assert_close(other.gradient(z, t), usual.gradient(z, t))


def test_weights_of_classes_are_those_of_cross_entropy():
    weight, z = torch.tensor([2.0, 0.5, 0.0]), torch.tensor([[1.0, -2.0, 0.5]]).repeat(3, 1)
    weighted, plain = Objective("softmax", CosFace(2.0), weight=weight), Objective(
        "softmax", CosFace(2.0)
    )  # fmt: skip
    torch.testing.assert_close(weighted(z, torch.arange(3)), weight * plain(z, torch.arange(3)))


def test_neither_is_a_likelihood():
    z = torch.tensor([[3.0, -1.0, 2.0], [-4.0, 0.5, 0.1]], dtype=torch.float64)
    each = torch.eye(3, dtype=torch.float64).unsqueeze(1).expand(3, 2, 3)
    for loss in (ArcFace(4.0), CosFace(4.0)):
        mass = (-loss(z.expand(3, 2, 3), each)).exp().sum(0)
        assert abs(mass[0] - mass[1]) > 0.01
        with pytest.raises(TypeError, match=f"loss={loss.name} gives no likelihood"):
            loss.likelihood(z)
    mass = (-CrossEntropy()(z.softmax(-1).expand(3, 2, 3), each)).exp().sum(0)
    torch.testing.assert_close(mass, torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: ArcFace(0), "loss.scale=0 must be a finite number above 0"),
        (lambda: CosFace(-1), "loss.scale=-1 must be a finite number above 0"),
        (lambda: ArcFace(margin=-0.1), "loss.margin=-0.1 must be a finite number, 0 or above"),
        (lambda: ArcFace(margin=1.6), r"loss.margin=1.6 must lie in \[0, π/2\], in radians"),
        (lambda: CosFace(margin=math.nan), "loss.margin=nan must be a finite number"),
    ],
)
def test_scales_and_margins_are_checked(made, sentence):
    with pytest.raises(InputError, match=sentence):
        made()
