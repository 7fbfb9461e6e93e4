"""What every pair makes of infinite logits and of NaN: the limit where there is one, else NaN.

| logits | linear | clipped_linear | sigmoid | softmax |
|---|---|---|---|---|
| one +inf | loss inf, dL/dz inf | y = 1, dL/dz 0; matching: 0 for t = 1, else inf, dL/dz 1 − t | y = 1; se: dL/dz 0; bce, ce, matching: 0 for t = 1, else inf, dL/dz 1 − t | NaN: inf − inf has no limit |
| one −inf | loss inf, dL/dz −inf | y = 0, dL/dz 0; matching: 0 for t = 0, else inf, dL/dz −t | y = 0; se: dL/dz 0; bce, ce, matching: 0 for t = 0, else inf, dL/dz −t | a masked class: y = 0, the others as if it were not there; ce, bce, matching: costs nothing for t = 0, else inf, dL/dz −t |
| all −inf | as each | as each | as each | NaN: no class is left |
| one NaN | the loss NaN, dL/dz NaN there, the other numbers as ever | likewise | likewise | the whole example NaN |

No example sees another one's infinities or NaN, and a NaN target is a NaN loss.
"""  # noqa: E501

from __future__ import annotations

import math

import pytest
import torch

from tests.objectives.drawing import widths
from tests.objectives.exactness import PAIRS, computed

INF, NAN = math.inf, math.nan
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
UNBOUNDED = [
    ([INF], [1.0], 0.0, [0.0]),
    ([INF], [0.0], INF, [1.0]),
    ([INF], [0.75], INF, [0.25]),
    ([-INF], [0.0], 0.0, [0.0]),
    ([-INF], [1.0], INF, [-1.0]),
    ([-INF], [0.25], INF, [-0.25]),
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
CASES = [(*pair, *case) for pair, cases in POLICY.items() for case in cases]


def test_every_pair_has_a_policy():
    assert set(POLICY) == set(PAIRS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("head", "loss", "z", "t", "cost", "slope"), CASES)
def test_infinite_logits(head, loss, z, t, cost, slope, dtype):
    logits, targets = torch.tensor([z], dtype=dtype), torch.tensor([t], dtype=dtype)
    expected = torch.tensor([cost, *slope], dtype=dtype)
    for way in computed(head, loss, logits, targets):
        found = torch.from_numpy(way[0]).to(dtype)
        torch.testing.assert_close(found, expected, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("head", "loss"), PAIRS)
def test_nan_stays_in_its_own_example(head, loss, dtype):
    outputs = max(k for k in widths(head, loss) if k < 4)
    z, t = torch.zeros(3, outputs, dtype=dtype), torch.zeros(3, outputs, dtype=dtype)
    t[:, 0] = 1
    alone = computed(head, loss, z[:1], t[:1])
    z[1, 0] = t[2, 0] = NAN
    for way, single in zip(computed(head, loss, z, t), alone, strict=True):
        whole = torch.from_numpy(way)
        assert torch.equal(whole[0], torch.from_numpy(single[0]))
        logit, target = whole[1].isnan().tolist(), whole[2].isnan().tolist()
        assert logit[:2] == [True, True]
        assert target[0]
        if head == "softmax":
            assert all(logit)
        else:
            assert torch.equal(whole[1, 2:], whole[0, 2:])
            assert torch.equal(whole[2, 2:], whole[0, 2:])
