"""The classic pairs within a few ulp of 50 digits, and half types as they round."""

from __future__ import annotations

import math

import gmpy2
import numpy as np
import pytest
import torch

from tests.looping import looped
from tests.objectives.drawing import draw, widths
from tests.objectives.exactness import CLASSIC, PAIRS, PARTS, limit, measured
from tests.objectives.mp_reference import mpf, reference, ulps
from tests.objectives.oracle import NOTHING, computed_in, truth
from tests.objectives.rounding import FORMATS, Rounded

HALVES = (torch.bfloat16, torch.float16)
HALF_LIMIT = 0.5 + 2**-9
"""ulp of half types: the nearest number, but for what lies so near the middle between two that
float32 may see it on the other side."""


def check(head: str, loss: str, dtype: torch.dtype, points: int, processes: int = 0) -> None:
    allowed = HALF_LIMIT if dtype in HALVES else limit(head, loss)
    for outputs, part_of_all in widths(head, loss).items():
        count = round(points * part_of_all)
        found = measured(head, loss, outputs, dtype, count, processes)
        for part in PARTS:
            ((worst, where),) = found.worst(part)
            assert worst <= allowed, f"{worst:.3g} ulp, K={outputs}, {part}: {where}"


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(("head", "loss"), CLASSIC)
def test_a_sample_of_every_pair(head, loss, dtype):
    check(head, loss, dtype, 300)


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "points"),
    [
        (torch.float64, 100_000), (torch.float32, 100_000),
        (torch.bfloat16, 10_000), (torch.float16, 10_000),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("head", "loss"), CLASSIC)
def test_a_hundred_thousand_points_of_every_pair(head, loss, dtype, points):
    check(head, loss, dtype, points, processes=2)


@looped(
    "head, loss, outputs",
    [
        (head, loss, outputs)
        for head, loss in PAIRS
        for outputs in widths(head, loss)
        if head in ("sigmoid", "softmax") and loss in ("se", "bce", "ce", "matching")
    ],
)
def test_the_oracle_is_the_literal_chain_rule_in_mpmath(head, loss, outputs):
    """At margins below 1000, where 500 digits hold 1 − y next to y."""
    z, t = draw(head, loss, outputs, torch.float64, 40, seed=1)
    literal = {"matching": "bce" if head == "sigmoid" else "ce"}.get(loss, loss)
    literal = "bce" if literal == "ce" and outputs == 1 else literal
    for logits, targets in zip(z.clamp(-450, 450).tolist(), t.tolist(), strict=True):
        value, slopes = reference(head, literal, logits, targets)
        for ours, theirs in zip(truth(head, loss, logits, targets), [value, *slopes], strict=True):
            # what mpmath's 500 digits cannot tell from 0 is below 10⁻²⁵⁰
            assert abs(ours - gmpy2.mpfr(str(theirs))) <= abs(ours) * 1e-50 + gmpy2.mpfr("1e-290")


@pytest.mark.parametrize(
    ("head", "loss"),
    # Φ of thousands of bits takes seconds
    [
        pytest.param(*p, marks=[pytest.mark.long, pytest.mark.slow] if p[0] == "probit" else [])
        for p in PAIRS
    ],
)
def test_more_bits_change_nothing_of_the_oracle(head, loss):
    for outputs in widths(head, loss):
        z, t = draw(head, loss, outputs, torch.float64, 10, seed=2)
        for logits, targets in zip(z.tolist(), t.tolist(), strict=True):
            more = computed_in(5000, head, loss, logits, targets)
            for a, b in zip(truth(head, loss, logits, targets), more, strict=True):
                assert abs(a - b) <= abs(b) * 1e-50 + NOTHING


@pytest.mark.parametrize(("loss", "head"), [("se", "clipped_linear"), ("bce", "clipped_linear")])
def test_the_oracle_inside_the_clip_is_the_literal_chain_rule(loss, head):
    for z, t in ((0.25, 1.0), (1e-30, 0.3), (1 - 2**-53, 0.0), (0.5, 0.5)):
        value, slopes = reference("linear", loss, [z], [t])
        for ours, theirs in zip(truth(head, loss, [z], [t]), [value, *slopes], strict=True):
            assert abs(ours - gmpy2.mpfr(str(theirs))) <= abs(ours) * 1e-50


@pytest.mark.parametrize(
    ("z", "t", "expected"),
    [
        (-3.0, 1.0, [3.5, -1.0]), (4.0, 0.5, [3.5 - 2 + 0.125, 0.5]), (0.5, 0.25, [0.03125, 0.25]),
    ],
)  # fmt: skip
def test_the_oracle_of_the_clips_own_loss(z, t, expected):
    assert [float(x) for x in truth("clipped_linear", "matching", [z], [t])] == expected


@pytest.mark.parametrize(("z", "expected"), [(-1.0, [100, 0]), (0.0, [100, 0]), (1.0, [0, -1])])
def test_the_oracle_ends_logarithms_of_the_clip_at_minus_100(z, expected):
    assert [float(x) for x in truth("clipped_linear", "bce", [z], [1.0])] == expected


@pytest.mark.parametrize("dtype", FORMATS)
def test_rounding_and_distances_are_those_of_the_type(dtype):
    bits, smallest, past = FORMATS[dtype]
    info = torch.finfo(dtype)
    largest, tiny = gmpy2.mpfr(info.max), gmpy2.mpfr(2) ** smallest
    third, far = gmpy2.mpfr(1) / 3, gmpy2.mpfr(2) ** (past + 1)
    exact = Rounded.of([third, largest, tiny, tiny / 4, far, -far, gmpy2.mpfr(0)], dtype)
    assert exact.nearest().tolist() == [
        float(torch.tensor(1 / 3, dtype=torch.float64).to(dtype)),
        info.max, math.ldexp(1, smallest), 0, math.inf, -math.inf, 0,
    ]  # fmt: skip
    assert (exact.distances(exact.nearest())[:5] <= 0.5).all()
    ulp = math.ldexp(1, -2 - bits + 1)
    got = np.array([exact.nearest()[0] + ulp, math.inf, 0, math.nan, info.max, math.inf, 2**-1000])
    distances = exact.distances(got)
    assert 0.5 <= distances[0] <= 1.5
    assert distances[1:3].tolist() == [1, 1]
    assert distances[3] == math.inf
    assert (distances[4:6] > 2).all()


def test_distances_agree_with_mpmaths():
    for x in (1.0, 0.1, 3e-320, 1e300, -7.25):
        with gmpy2.context(precision=100):
            true = gmpy2.mpfr(x) * (1 + gmpy2.mpfr(2) ** -56)
        with gmpy2.context(precision=53):
            exact = Rounded.of([true], torch.float64)
        got = np.array([np.nextafter(x, 2e300)])
        theirs = ulps(got[0], mpf(x) * (1 + mpf(2) ** -56), torch.float64)
        assert exact.distances(got)[0] == pytest.approx(theirs, rel=1e-12)
        assert theirs != round(theirs)


def test_processes_find_the_same():
    alone, both = (
        measured("sigmoid", "bce", 2, torch.float64, 300, processes).ulps for processes in (0, 2)
    )
    assert np.array_equal(alone, both)
