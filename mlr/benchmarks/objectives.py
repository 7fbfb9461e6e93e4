"""Time of losses and dL/dz of one batch, compared with torch's own functions of logits.

On one thread, in CPU seconds, which depend less on other programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from statistics import median
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from mlr.benchmarks.rows import BenchmarkRow, Ratio, duration, rounds, worked
from mlr.objectives import Objective
from mlr.training.background import threads

CLASSES = 10
PROMISED = MappingProxyType({4096: 1.0, 128: 1.2})
CALLS = 20
"""Calls per measure, so that it takes much longer than a tick of the clock."""
MORE = 25
"""Factor on the repeats, since a measure takes milliseconds only."""

OfLogits = Callable[[Tensor, Tensor], Tensor]
"""Logits and targets → the mean loss."""


def rows(
    repeats: int, promised: Mapping[int, float] = PROMISED, calls: int = CALLS
) -> Iterator[BenchmarkRow]:
    """Measure each pair at each batch size: losses, their mean, and the backward pass."""
    for size, most in promised.items():
        z = torch.randn(size, CLASSES, generator=torch.Generator().manual_seed(0))
        z.requires_grad_()
        for pair, own_targets, others in _targets(size):
            own: OfLogits = partial(_own, Objective(*pair.split("+")))
            name, function = OF_TORCH[pair]
            steps = [(own, own_targets), *((function, targets) for targets in others.values())]
            with threads(1):
                own_took, *them = rounds(
                    [worked(partial(_step, calls, of_logits, z, t)) for of_logits, t in steps],
                    repeats * MORE,
                )
            for words, took in zip(others, them, strict=True):
                each = duration(median(own_took) / calls)
                what = f"{pair}, ({size}, {CLASSES})"
                theirs = f"{name} {words}".rstrip()
                yield BenchmarkRow(
                    what,
                    each,
                    f"{duration(median(took) / calls)}: {theirs}",
                    Ratio.of(own_took, took),
                    most=most,
                    quantity=f"Objective {what} ÷ {theirs}",
                )


def _targets(size: int) -> Iterator[tuple[str, Tensor, dict[str, Tensor]]]:
    """Yield each pair, its targets for mlr, and those for torch by kind."""
    generator = torch.Generator().manual_seed(1)
    classes = torch.randint(CLASSES, (size,), generator=generator)
    hot = functional.one_hot(classes, CLASSES).float()
    yield "softmax+ce", hot, {"of one-hot targets": hot, "of class numbers": classes}
    yes = torch.randint(2, (size, CLASSES), generator=generator).float()
    yield "sigmoid+bce", yes, {"": yes}
    real = torch.randn(size, CLASSES, generator=generator)
    yield "linear+se", real, {"": real}


def _step(calls: int, function: OfLogits, z: Tensor, t: Tensor) -> None:
    for _ in range(calls):
        torch.autograd.grad(function(z, t), z)


def _own(objective: Objective, z: Tensor, t: Tensor) -> Tensor:
    mean: Tensor = objective(z, t).mean()
    return mean


def _mean(function: Callable[..., Tensor], z: Tensor, t: Tensor) -> Tensor:
    return function(z, t, reduction="none").mean()


OF_TORCH: Mapping[str, tuple[str, OfLogits]] = MappingProxyType(
    {
        "softmax+ce": ("F.cross_entropy", partial(_mean, functional.cross_entropy)),
        "sigmoid+bce": (
            "F.binary_cross_entropy_with_logits",
            partial(_mean, functional.binary_cross_entropy_with_logits),
        ),
        "linear+se": ("F.mse_loss", partial(_mean, functional.mse_loss)),
    }
)
"""By pair: name of torch's function, and the mean of its per-example losses."""
