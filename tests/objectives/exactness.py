"""Distances of a pair's losses and dL/dz from the truth, in ulp of the largest term.

`python -m tests.objectives.exactness softmax bce float64 1000` prints the worst points.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import starmap
from multiprocessing import get_context

import numpy as np
import torch

from mlr.heads import HEADS
from mlr.heads.distributions.base import NumbersHead
from mlr.losses import LOSSES, OrdinalNll
from mlr.objectives import KERNELS, Objective
from tests.objectives.drawing import draw, widths
from tests.objectives.oracle import truths
from tests.objectives.rounding import FORMATS, Rounded

PAIRS = [
    (head.name, loss.name)
    for head in HEADS
    for loss in LOSSES
    if (head, loss) in KERNELS
    and not issubclass(head, NumbersHead)
    and loss is not OrdinalNll
    and not loss.on_logits
]
"""All but heads of distributions, the likelihood of ordered classes, and losses of logits, which
have tests of their own."""
PARTS = ("value", "gradient")
LEAST = {torch.float32: -110.0, torch.float64: -760.0}
"""e^x is nothing below it."""
CLASSIC = [
    (head, loss)
    for head, loss in PAIRS
    if head in ("linear", "clipped_linear", "sigmoid", "softmax")
    and loss in ("se", "bce", "ce", "matching", "gaussian_nll")
]
"""The pairs of the lecture, held to many points; test_further has the others."""


def limit(head: str, loss: str) -> float:
    """Return the ulp of the largest term that a pair of float32 or float64 is held to."""
    if loss in ("se", "gaussian_nll"):
        # products of four rounded factors, y·y·(1 − y), of a softmax summed too
        return {"sigmoid": 8.0, "coral": 8.0, "softmax": 14.0}.get(head, 4.0)
    # sums of ten products of soft targets
    return 6.0 if (head, loss) in (("softmax", "bce"), ("clipped_linear", "matching")) else 4.0


@dataclass(frozen=True)
class Distances:
    """Points of one pair, K and type, what was computed and how far it lies.

    Attributes:
        z, t: logits and targets (N, K).
        got, true: loss and dL/dz (N, 1 + K).
        ulps: the distances (N, 1 + K), less what the rounding of differences accounts for.
    """

    z: torch.Tensor
    t: torch.Tensor
    got: np.ndarray
    true: np.ndarray
    ulps: np.ndarray

    def worst(self, part: str, count: int = 1) -> list[tuple[float, str]]:
        """The largest distances of value or gradient and their points, in words."""
        ulps = self.ulps[:, :1] if part == "value" else self.ulps[:, 1:]
        found = []
        for row in ulps.max(-1).argsort()[::-1][:count]:
            entry = int(ulps[row].argmax())
            at = entry if part == "value" else entry + 1
            words = f"z={self.z[row].tolist()} t={self.t[row].tolist()} "
            words += f"got={float(self.got[row, at])!r} true={float(self.true[row, at])!r}"
            name = "" if part == "value" else f"dL/dz_{entry} "
            found.append((float(ulps[row, entry]), name + words))
        return found


def measured(
    head: str, loss: str, outputs: int, dtype: torch.dtype, count: int, processes: int = 0
) -> Distances:
    """The distances of `count` points; each is computed as functions and through autograd."""
    z, t = draw(head, loss, outputs, dtype, count)
    rows = list(zip(z.tolist(), t.tolist(), strict=True))
    bits = FORMATS[dtype][0]
    work = [
        (head, loss, bits, some) for some in (rows[i : i + 2000] for i in range(0, count, 2000))
    ]
    if processes:
        with get_context("spawn").Pool(processes) as pool:
            chunks = pool.starmap(truths, work)
    else:
        chunks = list(starmap(truths, work))
    pairs = [pair for chunk in chunks for pair in chunk]
    true, terms = (
        Rounded.of((x for row in part for x in row), dtype) for part in zip(*pairs, strict=True)
    )
    ways = [way.reshape(-1) for way in computed(head, loss, z, t)]
    # in ulp of the term where that is larger than the result
    shrunk = np.ldexp(1.0, np.minimum(true.unit - terms.unit, 0))
    distances = [true.distances(way) * shrunk for way in ways]
    farther = distances[1] > distances[0]
    shape = (count, outputs + 1)
    ulps = np.maximum(*distances).reshape(shape)
    # sums of subnormal numbers, each off by half an ulp; a gradient is a sum of a softmax only
    is_tiny = np.abs(true.nearest().reshape(shape)) < torch.finfo(dtype).smallest_normal
    lost = (outputs * is_tiny).astype(float)
    if head == "softmax":
        lost += lost_by_differences(z, loss)[:, None] + outputs / 2
    else:
        lost[:, 1:] = 0
    ulps = np.maximum(ulps - lost, 0)
    return Distances(
        z,
        t,
        np.where(farther, ways[1], ways[0]).reshape(shape),
        true.nearest().reshape(shape),
        ulps,
    )


def lost_by_differences(z: torch.Tensor, loss: str) -> np.ndarray:
    """Ulp (N,) that the rounding of differences z_k − z_max accounts for.

    An error δ of a difference makes e^(z_k − z_max) wrong by the part δ of it. Gradients of se and
    bce are products of three such numbers, and in bce the largest of the others is subtracted too.
    """
    wide = z.float() if z.dtype.itemsize == 2 else z
    tops = wide.topk(2, -1).values.split(1, -1)
    errors = [
        error_of_difference(wide, top).masked_fill(wide - top < LEAST[wide.dtype], 0).abs().amax(-1)
        for top in tops[: 2 if loss == "bce" else 1]
    ]
    factors = 1 if loss in ("ce", "matching") else 3
    return (2 * factors / torch.finfo(z.dtype).eps * sum(errors)).double().numpy()


def error_of_difference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the part of a − b that rounding took, exactly, by Knuth's sum."""
    whole = a - b
    back = whole - a
    return (a - (whole - back)) - (b + back)


def computed(head: str, loss: str, z: torch.Tensor, t: torch.Tensor) -> list[np.ndarray]:
    """Losses beside dL/dz (N, 1 + K) by the two functions, and by autograd."""
    objective = Objective(head, loss)
    with_graph = z.clone().requires_grad_()
    losses = objective(with_graph, t)
    losses.backward(torch.ones_like(losses))
    ways = (objective.losses(z, t), objective.gradient(z, t)), (losses.detach(), with_graph.grad)
    return [torch.cat([value[:, None], slope], -1).double().numpy() for value, slope in ways]


def main(head: str, loss: str, dtype: str = "float64", count: str = "1000") -> None:
    """Print the five farthest values and gradients for each K."""
    for outputs, part_of_all in widths(head, loss).items():
        points = max(1, round(int(count) * part_of_all))
        found = measured(head, loss, outputs, getattr(torch, dtype), points)
        for part in PARTS:
            print(f"{head} {loss} K={outputs} {dtype} {part}, {points} points")
            for ulps, words in found.worst(part, 5):
                print(f"  {ulps:.3g} ulp {words}")


if __name__ == "__main__":
    main(*sys.argv[1:])
