"""How far a pair's losses and dL/dz lie from the truth, in ulp, and where the farthest lies.

`python -m tests.objectives.exactness softmax bce float64 1000` prints the worst points.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from itertools import starmap
from multiprocessing import get_context

import numpy as np
import torch

from mlr.heads import HEADS
from mlr.losses import LOSSES
from mlr.objectives import EXACT, Objective
from mlr.objectives.compatibility import find_head
from tests.objectives.drawing import draw, widths
from tests.objectives.oracle import truths
from tests.objectives.rounding import Rounded

PAIRS = [
    (head.name, loss.name)
    for head in HEADS
    for loss in LOSSES
    if (head, loss) in EXACT and head.range.per_target == 1
]
"""All but the Gaussian with its two logits for each target, which has tests of its own."""
HELD = [(head, loss) for head, loss in PAIRS if Objective(head, loss, strict=False).formula.precise]
"""The pairs that are computed in twice the precision: those of the classic heads and losses."""
PARTS = ("value", "gradient")
KEPT = 2.0**-62
"""Of a target: what twice the precision of float64 leaves where y − t cancels."""


@dataclass(frozen=True)
class Distances:
    """Points of one pair, K and type, what was computed and how far it lies.

    Attributes:
        z, t: logits and targets (N, K).
        got, true: loss and dL/dz (N, 1 + K).
        ulps: the distances (N, 1 + K).
    """

    z: torch.Tensor
    t: torch.Tensor
    got: np.ndarray
    true: np.ndarray
    ulps: np.ndarray

    def excused(self, head: str, loss: str) -> Distances:
        """The same, without entries within KEPT of y_k + t_k of examples whose terms cancel.

        In float64, where a soft target is the prediction to 10 bits or more. Of softmax with se,
        gaussian_nll or bce also where three or more targets are soft, and of softmax+bce where the
        two largest logits are nearly equal.
        """
        if head not in ("sigmoid", "softmax"):
            return self
        z, t = self.z.double(), self.t.double()
        y = find_head(head)(z)
        soft = (t != 0) & (t != 1)
        near = ((y - t).abs() < 2.0**-10 * t.abs()) & soft
        cancels = near.any(-1) & (self.z.dtype == torch.float64)
        if head == "softmax" and loss in ("se", "gaussian_nll", "bce"):
            cancels |= soft.any(-1) & (z.shape[-1] > 2)
        if (head, loss) == ("softmax", "bce"):
            top, second = z.topk(2).values.unbind(-1)
            cancels |= top - second <= 1e-9 * top.abs().clamp(min=1)
        sizes = torch.cat([t.abs().amax(-1, keepdim=True), y + t.abs()], -1)
        with np.errstate(invalid="ignore"):  # inf − inf
            small = np.abs(self.got - self.true) <= KEPT * sizes.numpy()
        return replace(self, ulps=np.where(cancels.numpy()[:, None] & small, 0.0, self.ulps))

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
    work = [(head, loss, some) for some in (rows[i : i + 2000] for i in range(0, count, 2000))]
    if processes:
        with get_context("spawn").Pool(processes) as pool:
            chunks = pool.starmap(truths, work)
    else:
        chunks = list(starmap(truths, work))
    true = Rounded.of((x for chunk in chunks for row in chunk for x in row), dtype)
    ways = [way.reshape(-1) for way in computed(head, loss, z, t)]
    distances = [true.distances(way) for way in ways]
    farther = distances[1] > distances[0]
    shape = (count, outputs + 1)
    return Distances(
        z,
        t,
        np.where(farther, ways[1], ways[0]).reshape(shape),
        true.nearest().reshape(shape),
        np.maximum(*distances).reshape(shape),
    )


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
