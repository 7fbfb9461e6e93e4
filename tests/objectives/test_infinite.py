"""Infinite logits and NaN in every pair: the limit, or NaN without one.

| logits | linear | clipped_linear | sigmoid | softmax |
|---|---|---|---|---|
| one +inf | loss inf, dL/dz inf | y = 1, dL/dz 0; matching: 0 for t = 1, else inf, dL/dz 1 − t | y = 1; se: dL/dz 0; bce, ce, matching: 0 for t = 1, else inf, dL/dz 1 − t | NaN: inf − inf has no limit |
| one −inf | loss inf, dL/dz −inf | y = 0, dL/dz 0; matching: 0 for t = 0, else inf, dL/dz −t | y = 0; se: dL/dz 0; bce, ce, matching: 0 for t = 0, else inf, dL/dz −t | a masked class: y = 0, the others as if it were not there; ce, bce, matching: costs nothing for t = 0, else inf, dL/dz −t |
| all −inf | as each | as each | as each | NaN: no class is left |
| one NaN | the loss NaN, dL/dz NaN there, the other numbers as ever | likewise | likewise | the whole example NaN |

No example sees another one's infinities or NaN, and a NaN target is a NaN loss. Every further
head and loss has the limit likewise, which the oracle says at logits of ±10¹⁸.
"""  # noqa: E501

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from tests.looping import looped
from tests.objectives.drawing import widths
from tests.objectives.exactness import PAIRS, computed
from tests.objectives.oracle import truth

INF, NAN = math.inf, math.nan
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
UNBOUNDED = [
    ([INF], [1.0], 0.0, [0.0]),
    ([INF], [0.0], INF, [1.0]),
    ([INF], [0.75], INF, [0.25]),
    ([INF], [0.25], INF, [0.75]),
    ([-INF], [0.0], 0.0, [0.0]),
    ([-INF], [1.0], INF, [-1.0]),
    ([-INF], [0.25], INF, [-0.25]),
    ([-INF], [0.75], INF, [-0.75]),
]
SATURATED = [
    ([INF], [1.0], 0.0, [0.0]),
    ([INF], [0.0], 0.5, [0.0]),
    ([-INF], [0.0], 0.0, [0.0]),
    ([-INF], [1.0], 0.5, [0.0]),
    ([-INF], [0.5], 0.125, [0.0]),
]
FLOORED = [
    ([INF], [1.0], 0.0, [0.0]),
    ([INF], [0.0], 100.0, [0.0]),
    ([-INF], [0.0], 0.0, [0.0]),
    ([-INF], [0.25], 25.0, [0.0]),
]
LINEAR = [
    ([INF], [1.0], INF, [INF]),
    ([-INF], [1.0], INF, [-INF]),
    ([INF, 2.0], [1.0, 1.0], INF, [INF, 1.0]),
]
LOST = [
    ([INF, 0.0], [1.0, 0.0], NAN, [NAN, NAN]),
    ([INF, INF], [1.0, 0.0], NAN, [NAN, NAN]),
    ([INF, -INF], [1.0, 0.0], NAN, [NAN, NAN]),
    ([-INF, -INF], [1.0, 0.0], NAN, [NAN, NAN]),
]
LOG2 = math.log(2)
MASKED = [
    ([0.0, -INF], [1.0, 0.0], 0.0, [0.0, 0.0]),
    ([0.0, -INF], [0.0, 1.0], INF, [1.0, -1.0]),
    ([0.0, 0.0, -INF], [1.0, 0.0, 0.0], LOG2, [-0.5, 0.5, 0.0]),
    ([0.0, 0.0, -INF], [0.0, 0.0, 1.0], INF, [0.5, 0.5, -1.0]),
    ([0.0, 0.0, -INF], [0.5, 0.25, 0.25], INF, [0.0, 0.25, -0.25]),
    ([0.0, -INF, -INF], [1.0, 0.0, 0.0], 0.0, [0.0, 0.0, 0.0]),
]
MASKED_BCE = [
    ([0.0, -INF], [1.0, 0.0], 0.0, [0.0, 0.0]),
    # −log(1 − y₀) − log y₁ = 2(z₀ − z₁) far out
    ([0.0, -INF], [0.0, 1.0], INF, [2.0, -2.0]),
    ([0.0, 0.0, -INF], [1.0, 0.0, 0.0], 2 * LOG2, [-1.0, 1.0, 0.0]),
    ([0.0, 0.0, -INF], [1.0, 0.0, 0.5], INF, [-0.75, 1.25, -0.5]),
    ([0.0, -INF, -INF], [1.0, 0.0, 0.0], 0.0, [0.0, 0.0, 0.0]),
]
MASKED_SE = [
    ([0.0, -INF], [1.0, 0.0], 0.0, [0.0, 0.0]),
    ([0.0, -INF], [0.0, 1.0], 1.0, [0.0, 0.0]),
    ([0.0, 0.0, -INF], [1.0, 0.0, 0.0], 0.25, [-0.25, 0.25, 0.0]),
    ([0.0, 0.0, -INF], [0.0, 0.0, 1.0], 0.75, [0.0, 0.0, 0.0]),
    ([0.0, -INF, -INF], [1.0, 0.0, 0.0], 0.0, [0.0, 0.0, 0.0]),
]
POLICY = {
    ("linear", "se"): LINEAR,
    ("linear", "matching"): LINEAR,
    ("clipped_linear", "se"): SATURATED,
    ("clipped_linear", "bce"): FLOORED,
    ("clipped_linear", "ce"): FLOORED,
    ("clipped_linear", "matching"): UNBOUNDED,
    ("sigmoid", "se"): SATURATED,
    ("sigmoid", "bce"): UNBOUNDED,
    ("sigmoid", "ce"): UNBOUNDED,
    ("sigmoid", "matching"): UNBOUNDED,
    ("softmax", "se"): MASKED_SE + LOST,
    ("softmax", "bce"): MASKED_BCE + LOST,
    ("softmax", "ce"): MASKED + LOST,
    ("softmax", "matching"): MASKED + LOST,
}


def limit(head, loss, z, t):
    """The oracle's numbers far out, large ones as ±inf, small ones as 0."""
    far = [math.copysign(1e18, x) if math.isinf(x) else x for x in z]
    numbers = [float(x) for x in truth(head, loss, far, t)]
    sizes = [abs(x) for x in numbers]
    return [
        math.copysign(INF, x) if size > 1e15 else 0.0 if size < 1e-15 else x
        for x, size in zip(numbers, sizes, strict=True)
    ]


def test_the_limit_is_what_is_written_here():
    for (head, loss), cases in POLICY.items():
        for z, t, cost, slope in cases:
            if not math.isnan(cost):
                assert limit(head, loss, z, t) == pytest.approx([cost, *slope])


@looped("head, loss", [pair for pair in PAIRS if pair not in POLICY])
def test_infinite_logits_of_further_pairs(head, loss):
    if 1 in widths(head, loss):
        cases = [([z], [t]) for z in (INF, -INF) for t in (0.0, 0.25, 1.0)]
    else:
        cases = [(z, t) for z, t, cost, _ in MASKED if not math.isnan(cost)]
    assert_numbers(head, loss, [(z, t, limit(head, loss, z, t)) for z, t in cases])


@looped("head, loss", POLICY)
def test_infinite_logits(head, loss):
    cases = [(z, t, [cost, *slope]) for z, t, cost, slope in POLICY[head, loss]]
    assert_numbers(head, loss, cases)


def assert_numbers(head, loss, cases):
    """Compare batches of one width, of hard targets or of soft ones, whose forms may differ."""
    batches: dict[tuple[int, bool], list] = {}
    for case in cases:
        _, t, _ = case
        batches.setdefault((len(t), all(x in (0, 1) for x in t)), []).append(case)
    for dtype, batch in product(DTYPES, batches.values()):
        z, t, expected = (torch.tensor(part, dtype=dtype) for part in zip(*batch, strict=True))
        for way in computed(head, loss, z, t):
            found = torch.from_numpy(way).to(dtype)
            torch.testing.assert_close(
                found, expected, equal_nan=True, msg=lambda text, z=z, t=t: f"{z} {t}: {text}"
            )


@looped("head, loss", PAIRS)
def test_nan_stays_in_its_own_example(head, loss):
    outputs = max(k for k in widths(head, loss) if k < 4)
    for dtype in DTYPES:
        z, t = torch.zeros(3, outputs, dtype=dtype), torch.zeros(3, outputs, dtype=dtype)
        t[:, 0] = 1
        alone = computed(head, loss, z[:1], t[:1])
        z[1, 0] = t[2, 0] = NAN
        for way, single in zip(computed(head, loss, z, t), alone, strict=True):
            whole = torch.from_numpy(way)
            # the form of hard targets, which the whole batch is not, rounds by itself
            alone_too, eps = torch.from_numpy(single[0]), torch.finfo(dtype).eps
            torch.testing.assert_close(whole[0], alone_too, rtol=4 * eps, atol=0)
            logit, target = whole[1].isnan().tolist(), whole[2].isnan().tolist()
            assert logit[:2] == [True, True]
            # of the loss, and of dL/dz at least where the target is
            assert target[:2] == [True, True]
            # outputs that are one distribution, or one set
            if 1 not in widths(head, loss) or loss == "tversky":
                assert all(logit)
            else:
                assert torch.equal(whole[1, 2:], whole[0, 2:])
                assert torch.equal(whole[2, 2:], whole[0, 2:])
