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
from mlr.core.domains import IGNORED
from mlr.objectives import Objective
from mlr.training.background import threads

CLASSES = 10
PROMISED = MappingProxyType({4096: 1.0, 128: 1.2})
SHAPES = MappingProxyType({(4096, CLASSES): 20, (8, 21, 128, 128): 1})
"""Logits with class numbers, the classes along axis 1, and the calls per measure."""
MOST_OF_NUMBERS = 1.2
CALLS = 20
"""Calls per measure, so that it takes much longer than a tick of the clock."""
MISSING = 0.2
"""Share of examples without a label."""
MORE = 25
"""Factor on the repeats, since a measure takes milliseconds only."""

OfLogits = Callable[[Tensor, Tensor], Tensor]
"""Logits and targets → the mean loss."""


def rows(
    repeats: int,
    promised: Mapping[int, float] = PROMISED,
    calls: int = CALLS,
    shapes: Mapping[tuple[int, ...], int] = SHAPES,
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
    yield from rows_of_numbers(repeats, shapes)


def rows_of_numbers(repeats: int, shapes: Mapping[tuple[int, ...], int]) -> Iterator[BenchmarkRow]:
    """Measure the mean of class numbers in place of `F.cross_entropy`, with its options."""
    for shape, calls in shapes.items():
        generator = torch.Generator().manual_seed(0)
        z = torch.randn(shape, generator=generator).requires_grad_()
        labels = (shape[0], *shape[2:])
        every = torch.randint(shape[1], labels, generator=generator)
        some = every.masked_fill(torch.rand(labels, generator=generator) < MISSING, IGNORED)
        weight = torch.rand(shape[1], generator=generator) + 0.5
        for words, t, options in (
            ("", every, {}),
            (", some without a label", some, {}),
            (", weights", every, {"weight": weight}),
            (", label smoothing", every, {"label_smoothing": 0.1}),
            (", all of these", some, {"weight": weight, "label_smoothing": 0.1}),
        ):
            own = Objective("softmax", "ce", axis=1, reduction="mean", **options)
            theirs = partial(functional.cross_entropy, **options)
            with threads(1):
                took, other = rounds(
                    [worked(partial(_step, calls, function, z, t)) for function in (own, theirs)],
                    repeats * MORE,
                )
            what = f"softmax+ce, {shape}, of class numbers{words}"
            yield BenchmarkRow(
                what,
                duration(median(took) / calls),
                f"{duration(median(other) / calls)}: F.cross_entropy",
                Ratio.of(took, other),
                most=MOST_OF_NUMBERS,
                quantity=f"Objective {what} ÷ F.cross_entropy",
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
