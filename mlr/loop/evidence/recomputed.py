"""Recognition of a loss by its value: candidates computed from the outputs and targets.

A candidate has a name, as `ce` or `softmax+mse`: the function of the outputs, and the loss. A loss
that is weighted, smoothed or has further terms is none of them, and then no constant is known
for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from math import isfinite, nan

import torch
from torch import Tensor
from torch.nn import functional as F

from mlr.core.domains import IGNORED

CLOSE = 1e-4
"""Relative distance of a candidate from the loss."""
MOST = 1 << 20
"""Numbers in the outputs above which a loss is not computed again."""
BROADCAST = "broadcast+"
"""Prefix of a loss of outputs (B, 1) and targets (B,), or the other way round: of B × B numbers."""
COSINE = "cosine"
"""The negative of the cosine of outputs and targets."""
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
    "ce": lambda z, t: -z.log_softmax(-1).take_along_dim(t.expand(z.shape[:-1])[..., None], -1),
    "nll": lambda z, t: -z.take_along_dim(t.expand(z.shape[:-1])[..., None], -1),
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


def _named(function: str, loss: str) -> str:
    return f"{function}+{loss}" if function else loss


OF_NLL = frozenset(_named(function, loss) for loss in OF_CLASSES for function in FUNCTIONS)
"""Names of the candidates that a loss with torch's `nll_loss` in its graph is."""


@torch.no_grad()
def forms(
    outputs: Tensor, targets: Tensor, loss: Tensor, among: Collection[str] | None = None
) -> dict[str, str]:
    """Return the candidates that have the value of a loss, each with its reduction.

    `mean` is over all elements, `rows` the mean over examples of a sum over outputs, `sum` of all,
    `root` the square root of a mean square. Losses of the outputs themselves come first.

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
    tried = None if among is None else {name.removeprefix(NEGATIVE) for name in among}
    for names, costs in _candidates(outputs.detach().double(), targets.detach(), tried):
        each = costs.flatten(1)
        rows = costs.shape[1] if costs.dim() > 2 else each.shape[1]
        for name, total in zip(names, each.sum(1).tolist(), strict=True):
            for reduction, divisor in (("mean", each.shape[1]), ("rows", rows), ("sum", 1)):
                for sign in ("", NEGATIVE):
                    own = -total if sign else total
                    if abs(own / divisor - value) <= CLOSE * max(abs(value), 1e-3):
                        found.setdefault(sign + name, reduction)
            if (
                name.endswith("mse")
                and abs((total / each.shape[1]) ** 0.5 - value) <= CLOSE * value
            ):
                found.setdefault(name, ROOT)
    return dict(sorted(found.items(), key=lambda one: "+" in one[0]))


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
    for names, costs in _candidates(outputs.detach().double(), targets.detach(), among):
        for name, mean in zip(names, costs.flatten(1).mean(1).tolist(), strict=True):
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
    if not len(numbers) or rows.shape[1] < 2:
        return None
    low, high = (int(one) for one in numbers.aminmax())
    if low < 0:
        there = numbers != IGNORED
        rows, numbers = rows[there], numbers[there]
        low = int(numbers.min()) if len(numbers) else -1
    return (rows, numbers) if low >= 0 and high < rows.shape[1] else None


def class_axis(outputs: Tensor, targets: Tensor) -> int:
    """Return the axis of the classes: the second one for outputs (B, K, …) of class numbers (B, …).

    Else the last.
    """
    shape = outputs.shape
    numbers = not targets.is_floating_point() and outputs.dim() > 2
    second = numbers and targets.shape == (shape[0], *shape[2:]) != shape[:-1]
    return 1 if second else -1


def _candidates(
    outputs: Tensor, targets: Tensor, among: Collection[str] | None
) -> Iterator[tuple[list[str], Tensor]]:
    """Yield the costs (F, …) of a loss of several functions of the outputs, with their names."""
    classes = by_class(outputs, targets)
    if classes is not None:
        outputs, t = classes
        yield from _costs(outputs, t, OF_CLASSES, FUNCTIONS, among)
        if among is not None and not any(_loss(one) in OF_NUMBERS for one in among):
            return
        targets = F.one_hot(t, outputs.shape[1])
    t = targets.to(outputs)
    if outputs.dim() == 2 and outputs.shape == t.shape and outputs.shape[1] > 1 and classes is None:
        yield from _costs(outputs, t, {"ce": _soft_ce}, FUNCTIONS, among)
    if outputs.numel() == t.numel():
        same = outputs.reshape(t.shape)
        rows = same.dim() > 1 and same.shape[-1] > 1
        functions = [name for name in FUNCTIONS if rows or "softmax" not in name]
        yield from _costs(same, t, OF_NUMBERS, functions, among)
        if rows and classes is None and (among is None or COSINE in among):
            yield [COSINE], -F.cosine_similarity(same, t, dim=-1)[None]
        shape = _broadcast(outputs, t)
        if outputs.numel() < shape.numel() <= MOST:
            for loss in ("mse", "l1", "smooth_l1"):
                if among is None or BROADCAST + loss in among:
                    yield [BROADCAST + loss], OF_NUMBERS[loss](outputs, t)[None]


def _costs(
    outputs: Tensor,
    targets: Tensor,
    losses: Mapping[str, Cost],
    functions: Iterable[str],
    among: Collection[str] | None,
) -> Iterator[tuple[list[str], Tensor]]:
    """Yield the costs of each loss, of all functions at once, because calls cost most."""
    values: dict[str, Tensor] = {}
    for loss, cost in losses.items():
        wanted = [one for one in functions if among is None or _named(one, loss) in among]
        if wanted:
            values |= {one: FUNCTIONS[one](outputs) for one in wanted if one not in values}
            every = torch.stack([values[one] for one in wanted])
            yield [_named(one, loss) for one in wanted], cost(every, targets)


def _soft_ce(outputs: Tensor, targets: Tensor) -> Tensor:
    return -(targets * outputs.log_softmax(-1)).sum(-1)


def _broadcast(outputs: Tensor, targets: Tensor) -> torch.Size:
    """Return the shape of a difference; an empty one if there is none."""
    try:
        return torch.broadcast_shapes(outputs.shape, targets.shape)
    except RuntimeError:
        return torch.Size((0,))


def _loss(name: str) -> str:
    return name.rpartition("+")[2]
