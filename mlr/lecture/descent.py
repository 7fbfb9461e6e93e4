"""One bias, gradient descent, and the time that a really wrong unit takes to turn round."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlr.lecture.one_logit import integral, slopes
from mlr.objectives import Objective

CHUNK = 1 << 12


def descend(head: str, loss: str, starts: Sequence[float], lr: float = 1.0) -> Tensor:
    """Logits (updates + 1, starts) of z ← z − lr · dL/dz, target 1, until all are above 0.

    All starts move in one tensor, by the formula itself, as in the engine's own step: the checks
    around it, or an epoch's validation, would take longer than the 162,799 updates of one start.
    """
    gradient = Objective(head, loss, outputs=1).kernel.gradient
    with torch.inference_mode():
        z = torch.tensor(starts, dtype=torch.float64).unsqueeze(1)
        target = torch.ones_like(z)
        path = [z[None]]
        while not bool((z > 0).all()):
            rows = z.new_empty(CHUNK, *z.shape)
            for row in rows.unbind():
                z = torch.sub(z, gradient(z, target), alpha=lr, out=row)
            path.append(rows)
        return torch.cat(path)[..., 0]


def updates_until_right(path: Tensor) -> list[int]:
    """After how many updates each start of a `path` is above 0 for the first time."""
    return [int(first) for first in (path > 0).byte().argmax(0)]


def flow_time(head: str, loss: str, start: int) -> float:
    """∫ dz / |dL/dz| from `start` to 0: the time in which gradient flow turns the unit round."""
    return integral(lambda z: 1 / slopes(head, loss, z).abs(), start, 0)
