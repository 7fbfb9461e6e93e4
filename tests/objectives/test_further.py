"""The further pairs against many digits: how far each is from the truth, and what must be equal.

float32 is computed in float64 and rounded once: every pair lies within 1 ulp. float64 itself is
computed in float64: within `FLOAT64` ulp, of the result for hard targets, and for soft ones of
the largest of the terms that they mix, since these may cancel.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cache

import pytest
import torch
from mpmath import mp, mpf

from mlr.losses import Focal, GeneralisedCrossEntropy, SmoothedCrossEntropy
from mlr.objectives import Objective
from mlr.objectives.further import FURTHER
from tests.objectives.mp_parts import reference
from tests.objectives.mp_reference import BITS, ulps

FLOAT32 = 1.0
"""ulp; measured worst 0.502."""
FLOAT64: dict[tuple[str, str], float] = {}
USUAL = 10.0
PAIRS = [
    (head, loss, outputs)
    for head, loss in FURTHER
    for outputs in ((1,) if head.range.least_outputs == 1 else (2, 5))
]
SCALARS = {
    "focal": [{"gamma": 0.0}, {"gamma": 0.5}, {"gamma": 1.0}, {"gamma": 5.0}],
    "gce": [{"q": 1.0}, {"q": 0.5}, {"q": 0.01}],
    "smoothed_ce": [{"epsilon": 0.0}, {"epsilon": 0.5}],
}


def drawn(head: str, outputs: int, count: int, least: float, most: float) -> tuple[list, list]:
    """Logits of 10^least to 10^most, with ties, hard and soft targets, all exact in float32."""
    rng = random.Random(f"{head} {outputs}")
    z, t = [], []
    for _ in range(count):
        scale = 10 ** rng.uniform(least, most)
        row = [rng.gauss(0, scale) for _ in range(outputs)]
        if outputs > 1 and rng.random() < 0.2:
            row[-1] = row[0]
        soft = [rng.randint(0, 2**18 // outputs) / 2**18 for _ in range(outputs)]
        soft[0] = 1 - sum(soft[1:]) if outputs > 1 else soft[0]
        hard = [0.0] * outputs
        hard[rng.randrange(outputs)] = float(outputs > 1 or rng.random() < 0.5)
        # the rate e^z of cloglog and its square are to be numbers of float64
        z.append([min(x, 300.0) if head == "cloglog" else x for x in row])
        t.append(soft if rng.random() < 0.4 else hard)
    return torch.tensor(z).tolist(), t


@dataclass(frozen=True)
class Row:
    """One example: its true loss and gradient, and how large the terms are that they mix."""

    value: mpf
    gradient: list[mpf]
    value_scale: mpf
    gradient_scale: list[mpf]


def row(head: str, loss: str, z: list[float], t: list[float], scalars: dict) -> Row:
    value, gradient = reference(head, loss, z, t, **scalars)
    outputs = len(t)
    epsilon = scalars.get("epsilon", 0.1) if loss == "smoothed_ce" else 0
    weights = [(1 - epsilon) * x + epsilon / max(outputs, 2) for x in t]
    hard = [[float(i == k) for i in range(outputs)] for k in range(outputs)]
    if outputs == 1:
        weights, hard = [*weights, 1 - weights[0]], [[1.0], [0.0]]
    if max(weights) == 1:
        return Row(value, gradient, abs(value), [abs(x) for x in gradient])
    of_hard = [reference(head, "ce" if epsilon else loss, z, one, **scalars) for one in hard]
    value_scale = sum(w * abs(part) for w, (part, _) in zip(weights, of_hard, strict=True))
    gradient_scale = [
        max(w * abs(part[k]) for w, (_, part) in zip(weights, of_hard, strict=True))
        for k in range(outputs)
    ]
    return Row(value, gradient, value_scale, gradient_scale)


def distance(got: float, true: mpf, scale: mpf, dtype: torch.dtype) -> float:
    """In ulp of the truth, or of the scale if that is larger."""
    largest = torch.finfo(dtype).max
    if abs(true) > largest:
        return 0.0 if got == math.copysign(math.inf, true) else math.inf
    of_result = ulps(got, true, dtype)
    if scale <= abs(true):
        return of_result
    precision, smallest = BITS[dtype]
    place = [max(int(mp.floor(mp.log(x, 2))) - precision + 1, smallest) if x else smallest
             for x in (abs(true), scale)]  # fmt: skip
    return of_result * 2.0 ** (place[0] - place[1])


def measured(
    head: str, loss: str, outputs: int, count: int, least: float, most: float, **scalars: float
) -> dict[str, float]:
    """The worst distances: of value and gradient, in float32 and float64."""
    z, t = drawn(head, outputs, count, least, most)
    rows = [row(head, loss, a, b, scalars) for a, b in zip(z, t, strict=True)]
    objective = made(head, loss, **scalars)
    worst = {}
    for dtype in BITS:
        logits, targets = torch.tensor(z).to(dtype), torch.tensor(t).to(dtype)
        found = objective.losses(logits, targets).tolist()
        slopes = objective.gradient(logits, targets).tolist()
        name = str(dtype).removeprefix("torch.")
        scaled = dtype == torch.float64
        worst[f"{name} value"] = max(
            distance(got, one.value, one.value_scale if scaled else mpf(0), dtype)
            for got, one in zip(found, rows, strict=True)
        )
        worst[f"{name} gradient"] = max(
            distance(got, true, scale if scaled else mpf(0), dtype)
            for slope, one in zip(slopes, rows, strict=True)
            for got, true, scale in zip(slope, one.gradient, one.gradient_scale, strict=True)
        )
    return worst


def made(head: str, loss: str, **scalars: float) -> Objective:
    kinds = {one.name: one for one in (Focal, GeneralisedCrossEntropy, SmoothedCrossEntropy)}
    return Objective(head, kinds[loss](**scalars) if scalars else loss)
