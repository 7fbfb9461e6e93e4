"""The oracle's further heads and losses beside mpmath's, which were written apart from them."""

from __future__ import annotations

import gmpy2
import torch

from tests.looping import looped
from tests.objectives import mp_parts
from tests.objectives.drawing import draw, widths
from tests.objectives.exactness import PAIRS
from tests.objectives.oracle import truth
from tests.objectives.oracle_parts import HEADS, LOSSES

REACH = {"probit": (-25, 25), "cloglog": (-300, 6.5)}
"""Where mpmath's 500 digits hold the tails."""


@looped(
    "head, loss",
    # gaussian_nll is se and a constant
    [
        pair
        for pair in PAIRS
        if (pair[0] in HEADS or pair[1] in LOSSES) and pair[1] != "gaussian_nll"
    ],
)
def test_two_definitions_agree(head, loss):
    for outputs in (k for k in widths(head, loss) if k < 4):
        z, t = draw(head, loss, outputs, torch.float64, 10, seed=3)
        z = z.clamp(*REACH.get(head, (-400, 400)))
        for logits, targets in zip(z.tolist(), t.tolist(), strict=True):
            value, slopes = mp_parts.reference(head, loss, logits, targets)
            ours = truth(head, loss, logits, targets)
            for a, b in zip(ours, [value, *slopes], strict=True):
                assert abs(a - gmpy2.mpfr(str(b))) <= abs(a) * 1e-50 + gmpy2.mpfr("1e-290")
