"""Recognition of a loss by its value: candidates computed from the outputs and targets.

A candidate has a name, as `ce` or `softmax+mse`: the function of the outputs, and the loss. A loss
that is weighted, smoothed or has further terms is none of them, and then no constant is known
for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from math import isfinite, nan

import torch
from torch import Tensor
from torch.nn import functional as F

CLOSE = 1e-4
"""Relative distance of a candidate from the loss."""
MOST = 1 << 20
"""Numbers in the outputs above which a loss is not computed again."""
IGNORED = -100
"""Class number that `cross_entropy` leaves out."""
BROADCAST = "broadcast+"
"""Prefix of a loss of outputs (B, 1) and targets (B,), or the other way round: of B × B numbers."""
ROOT = "root"
NEGATIVE = "-"
"""Prefix of a loss whose sign is lost."""
Function = Callable[[Tensor], Tensor]
FUNCTIONS: Mapping[str, Function] = {
    "": lambda z: z,
    "softmax": lambda z: z.softmax(-1),
    "sigmoid": torch.sigmoid,
    "log_softmax": lambda z: z.log_softmax(-1),
    "log": torch.log,
}
"""Functions between the outputs and the loss, by name."""
Cost = Callable[[Tensor, Tensor], Tensor]
OF_CLASSES: Mapping[str, Cost] = {
    "ce": lambda z, t: F.cross_entropy(z, t, reduction="none"),
    "nll": lambda z, t: F.nll_loss(z, t, reduction="none"),
}


def _smooth_l1(y: Tensor, t: Tensor) -> Tensor:
    size = (y - t).abs()
    return torch.where(size < 1, 0.5 * size.square(), size - 0.5)


OF_NUMBERS: Mapping[str, Cost] = {
    "bce": lambda y, t: -(t * y.log().clamp(-100) + (1 - t) * (1 - y).log().clamp(-100)),
    "bce_logits": lambda z, t: F.softplus(z, threshold=700) - t * z,
    "mse": lambda y, t: (y - t).square(),
    "l1": lambda y, t: (y - t).abs(),
    "smooth_l1": _smooth_l1,
    "kl": lambda y, t: torch.xlogy(t, t) - t * y,
    "poisson": lambda z, t: z.exp() - t * z,
    "hinge": lambda z, t: (1 - t * z).clamp(0),
    "squared_hinge": lambda z, t: (1 - t * z).clamp(0).square(),
    "soft_margin": lambda z, t: F.softplus(-t * z, threshold=700),
}
"""Costs of an output and its target."""


@torch.no_grad()
def forms(
    outputs: Tensor, targets: Tensor, loss: Tensor, among: Collection[str] | None = None
) -> dict[str, str]:
    """Return the candidates that have the value of a loss, each with its reduction.

    `mean` is over all elements, `rows` the mean over examples of a sum over outputs, `sum` of all,
    `root` the square root of a mean square.

    Args:
        outputs: of the model (B, …, K) or (B, K, …).
        targets: class numbers or numbers.
        loss: the value ().
        among: names of the candidates that are tried; None for all.
    """
    if loss.numel() != 1 or not 0 < outputs.numel() <= MOST or outputs.is_complex():
        return {}
    value = float(loss)
    if not isfinite(value):
        return {}
    found: dict[str, str] = {}
    for name, cost in _candidates(outputs.detach().double(), targets.detach()):
        if among is not None and not {name, NEGATIVE + name} & set(among):
            continue
        costs = cost()
        rows = costs.shape[0] if costs.dim() > 1 else costs.numel()
        total = float(costs.sum())
        for reduction, divisor in (("mean", costs.numel()), ("rows", rows), ("sum", 1)):
            for sign in ("", NEGATIVE):
                own = -total if sign else total
                if abs(own / divisor - value) <= CLOSE * max(abs(value), 1e-3):
                    found.setdefault(sign + name, reduction)
        if name.endswith("mse") and abs((total / costs.numel()) ** 0.5 - value) <= CLOSE * value:
            found.setdefault(name, ROOT)
    return found


@torch.no_grad()
def multiples(
    outputs: Tensor, targets: Tensor, loss: Tensor, among: Mapping[str, float] | None = None
) -> dict[str, float]:
    """Return the loss as a multiple of the mean of each candidate.

    Args:
        outputs: of the model.
        targets: class numbers or numbers.
        loss: the value ().
        among: multiples of the batches before; candidates with others are left out.
    """
    if loss.numel() != 1 or not 0 < outputs.numel() <= MOST or outputs.is_complex():
        return {}
    found, value = {}, float(loss)
    for name, cost in _candidates(outputs.detach().double(), targets.detach()):
        if among is not None and name not in among:
            continue
        mean = float(cost().mean())
        factor = value / mean if mean else nan
        former = factor if among is None else among[name]
        if abs(factor - former) <= CLOSE * abs(former):
            found[name] = former
    return found


def by_class(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return outputs (N, K) and class numbers (N,), of the axis that torch's losses take.

    None if the targets are no class numbers of them.
    """
    if targets.is_floating_point() or targets.dtype == torch.bool or outputs.dim() < 2:
        return None
    shape = outputs.shape
    if targets.shape == shape[:-1]:
        rows = outputs.flatten(0, -2)
    elif targets.shape == (shape[0], *shape[2:]):
        rows = outputs.movedim(1, -1).flatten(0, -2)
    else:
        return None
    numbers = targets.flatten().long()
    there = numbers != IGNORED
    rows, numbers = rows[there], numbers[there]
    if not len(numbers) or rows.shape[1] < 2:
        return None
    low, high = numbers.aminmax()
    return (rows, numbers) if low >= 0 and high < rows.shape[1] else None


def _candidates(outputs: Tensor, targets: Tensor) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    classes = by_class(outputs, targets)
    if classes is not None:
        z, t = classes
        for name in FUNCTIONS:
            for loss in OF_CLASSES:
                yield _named(name, loss), partial(_cost, name, OF_CLASSES[loss], z, t)
        outputs, targets = z, F.one_hot(t, z.shape[1])
    t = targets.to(outputs)
    if outputs.dim() == 2 and outputs.shape == t.shape and outputs.shape[1] > 1 and classes is None:
        for name in FUNCTIONS:
            yield _named(name, "ce"), partial(_cost, name, _soft_ce, outputs, t)
    if outputs.numel() == t.numel():
        same = outputs.reshape(t.shape)
        rows = same.dim() > 1 and same.shape[-1] > 1
        for name in FUNCTIONS:
            for loss in OF_NUMBERS if rows or "softmax" not in name else ():
                yield _named(name, loss), partial(_cost, name, OF_NUMBERS[loss], same, t)
        shape = _broadcast(outputs, t)
        if outputs.numel() < shape.numel() <= MOST:
            for loss in ("mse", "l1", "smooth_l1"):
                yield f"{BROADCAST}{loss}", partial(_cost, "", OF_NUMBERS[loss], outputs, t)


def _cost(function: str, cost: Cost, outputs: Tensor, targets: Tensor) -> Tensor:
    return cost(FUNCTIONS[function](outputs), targets)


def _soft_ce(outputs: Tensor, targets: Tensor) -> Tensor:
    return -(targets * outputs.log_softmax(1)).sum(1)


def _broadcast(outputs: Tensor, targets: Tensor) -> torch.Size:
    """Return the shape of a difference; an empty one if there is none."""
    try:
        return torch.broadcast_shapes(outputs.shape, targets.shape)
    except RuntimeError:
        return torch.Size((0,))


def _named(function: str, loss: str) -> str:
    return f"{function}+{loss}" if function else loss
