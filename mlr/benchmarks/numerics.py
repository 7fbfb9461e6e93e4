"""Errors of losses and dL/dz of mlr and other libraries, from z = −200 to 200.

The truth is mpmath's. Each library takes logits z (N, K) and one-hot targets t (N, K), with K = 1
for a sigmoid, and returns losses (N,) and gradients (N, K) in float64.
`python -m mlr.benchmarks.numerics` prints the table of `mlr/docs/numerics.md`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from types import ModuleType
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional

from mlr.benchmarks.rows import BenchmarkRow
from mlr.objectives import Objective

LossesAndGradients = tuple[Tensor, Tensor]
Library = Callable[[str, Tensor, Tensor], LossesAndGradients]
"""The name of a pair, logits and targets → losses and dL/dz."""
TorchFunction = Callable[[Tensor, Tensor], Tensor]

MISSING = "not installed: pip install '.[benchmark]'"


def of_mlr(pair: str, z: Tensor, t: Tensor) -> LossesAndGradients:
    """Call the objective of mlr."""
    return _by_autograd(Objective(*pair.split("+")), z, t)


def torch_fused(pair: str, z: Tensor, t: Tensor) -> LossesAndGradients:
    """Call torch's loss of logits."""
    functions: dict[str, TorchFunction] = {
        "sigmoid+bce": partial(functional.binary_cross_entropy_with_logits, reduction="none"),
        "softmax+ce": partial(functional.cross_entropy, reduction="none"),
    }
    return _by_autograd(functions[pair], z, t)


def torch_unfused(pair: str, z: Tensor, t: Tensor) -> LossesAndGradients:
    """Call torch's head, then its loss of probabilities."""
    functions: dict[str, TorchFunction] = {
        "sigmoid+bce": lambda z, t: functional.binary_cross_entropy(
            z.sigmoid(), t, reduction="none"
        ),
        "softmax+ce": lambda z, t: functional.nll_loss(
            z.softmax(-1).log(), t.argmax(-1), reduction="none"
        ),
    }
    return _by_autograd(functions[pair], z, t)


def of_keras(pair: str, z: Tensor, t: Tensor, from_logits: bool = False) -> LossesAndGradients:
    """Call Keras on torch: an activation and a loss of probabilities, its default, or of logits."""
    ops = _keras().ops
    head, loss = {
        "sigmoid+bce": (ops.sigmoid, ops.binary_crossentropy),
        "softmax+ce": (ops.softmax, ops.categorical_crossentropy),
    }[pair]
    return _by_autograd(
        lambda z, t: loss(t, z if from_logits else head(z), from_logits=from_logits), z, t
    )


def of_optax(pair: str, z: Tensor, t: Tensor) -> LossesAndGradients:
    """Call the losses of logits of optax, on the CPU."""
    import jax
    import optax

    jax.config.update("jax_platforms", "cpu")
    loss = {
        "sigmoid+bce": optax.sigmoid_binary_cross_entropy,
        "softmax+ce": optax.softmax_cross_entropy,
    }[pair]
    with jax.enable_x64(True):
        logits, targets = jax.numpy.asarray(z.numpy()), jax.numpy.asarray(t.numpy())
        values = loss(logits, targets).reshape(len(z))
        slopes = jax.grad(lambda z: loss(z, targets).sum())(logits)
        found = jax.device_get((values, slopes))
    return torch.tensor(found[0]).double(), torch.tensor(found[1]).double()


LIBRARIES: dict[str, tuple[Library, str]] = {
    "mlr": (of_mlr, "torch"),
    "torch, fused": (torch_fused, "torch"),
    "torch, unfused": (torch_unfused, "torch"),
    "Keras 3, from_logits=True": (partial(of_keras, from_logits=True), "keras"),
    "Keras 3, its default": (of_keras, "keras"),
    "optax": (of_optax, "optax"),
}
"""Libraries by name, with the module that must be installed."""


def installed() -> dict[str, Library]:
    """List the libraries that are installed."""
    return {name: ask for name, (ask, module) in LIBRARIES.items() if find_spec(module)}


def _by_autograd(function: TorchFunction, z: Tensor, t: Tensor) -> LossesAndGradients:
    logits = z.clone().requires_grad_()
    values = function(logits, t).reshape(len(z))
    (slopes,) = torch.autograd.grad(values.sum(), logits)
    return values.detach().double(), slopes.double()


@cache
def _keras() -> ModuleType:
    """Import Keras on torch, with its settings in a folder that is deleted."""
    with (
        TemporaryDirectory() as home,
        patch.dict(os.environ, KERAS_BACKEND="torch", KERAS_HOME=home),
    ):
        import keras
    return keras


POINTS = 4001
FARTHEST = 200.0
WRONG = 1e-3
"""Relative error above which a number is wrong."""
DTYPES = {"float32": torch.float32, "float64": torch.float64}
PARTS = ("value", "dL/dz")


@dataclass(frozen=True)
class ErrorCase:
    """Logits (z, 0, …, 0) and the same target for every z.

    targets: t, K numbers.
    words: name of the case within its pair.
    """

    targets: tuple[float, ...]
    words: str


CASES = {
    "sigmoid+bce": (ErrorCase((0.0,), "t = 0"), ErrorCase((1.0,), "t = 1")),
    # z is the lead of the first class
    "softmax+ce": (ErrorCase((1.0, 0.0), "K = 2"), ErrorCase((1.0, 0.0, 0.0), "K = 3")),
}


@dataclass(frozen=True)
class ErrorSummary:
    """Errors of a value or gradient.

    largest: largest relative error.
    wrong: z of the smallest |z| whose error is above `WRONG`, and its case; None if there is none.
    """

    largest: float
    wrong: tuple[float, str] | None

    def __str__(self) -> str:
        plain = self.largest == 0 or 0.1 < self.largest < 10
        size = f"{self.largest:.1g}" if plain else f"{self.largest:.0e}"
        size = size.replace("e-0", "e-").replace("e+", "e")
        if self.wrong is not None:
            z, words = self.wrong
            size += f", wrong from z = {z:.3g}, {words}"
        return size.replace("-", "−")


def rows(_: int) -> Iterator[BenchmarkRow]:
    """Compare mlr with 2 ulp of the type and with every other library, for each pair and type."""
    if find_spec("mpmath") is None:
        yield BenchmarkRow("mpmath, which knows the truth", other=MISSING)
        return
    here = installed()
    for pair in CASES:
        for name, dtype in DTYPES.items():
            found = {library: measure_errors(ask, pair, dtype) for library, ask in here.items()}
            for part, own in zip(PARTS, found["mlr"], strict=True):
                ulps = own.largest / torch.finfo(dtype).eps
                what = f"{pair}, {name}: {part}"
                yield BenchmarkRow(what, str(own), "the truth", ulps, " ε", most=2)
            for library in list(LIBRARIES)[1:]:
                if library not in found:
                    yield BenchmarkRow(library, other=MISSING)
                    continue
                for part, other in zip(PARTS, found[library], strict=True):
                    yield BenchmarkRow("", "", f"{part} {other}: {library}")


def markdown(libraries: dict[str, Library] | None = None) -> str:
    """Build the table of the page on numerics, of the installed libraries or of others."""
    heads = [f"{part}, {name}" for name in DTYPES for part in PARTS]
    lines = ["| " + " | ".join(["pair", "library", *heads]) + " |", "|---" * (len(heads) + 2) + "|"]
    for pair in CASES:
        for name, ask in (installed() if libraries is None else libraries).items():
            cells = [
                str(found)
                for dtype in DTYPES.values()
                for found in measure_errors(ask, pair, dtype)
            ]
            lines.append("| " + " | ".join([pair, name, *cells]) + " |")
    return "\n".join(lines)


def measure_errors(
    ask: Library, pair: str, dtype: torch.dtype
) -> tuple[ErrorSummary, ErrorSummary]:
    """Measure the errors of a library's values and gradients."""
    z, errors = _logits(dtype), []
    for case in CASES[pair]:
        t = torch.tensor(case.targets, dtype=dtype).expand(POINTS, -1)
        logits = torch.zeros_like(t, memory_format=torch.contiguous_format)
        logits[:, 0] = z
        answers = zip(ask(pair, logits, t.contiguous()), truth(case, dtype), strict=True)
        errors.append([_relative(got, true, dtype) for got, true in answers])
    values, slopes = (
        _summary(z, {case.words: error for case, error in zip(CASES[pair], of_part, strict=True)})
        for of_part in zip(*errors, strict=True)
    )
    return values, slopes


def _logits(dtype: torch.dtype) -> Tensor:
    return torch.linspace(-FARTHEST, FARTHEST, POINTS, dtype=torch.float64).to(dtype)


def _relative(got: Tensor, true: Tensor, dtype: torch.dtype) -> Tensor:
    """Compute relative errors (N,), the largest of each row, of normal numbers of the type."""
    errors = ((got - true) / true).abs()
    errors = errors.masked_fill(errors.isnan(), torch.inf)
    errors = errors.masked_fill(true.abs() < torch.finfo(dtype).smallest_normal, 0.0)
    return errors.reshape(len(errors), -1).amax(-1)


def _summary(z: Tensor, errors: dict[str, Tensor]) -> ErrorSummary:
    bad = [(x, words) for words, of_case in errors.items() for x in z[of_case > WRONG].tolist()]
    largest = max(of_case.max().item() for of_case in errors.values())
    return ErrorSummary(largest, min(bad, key=lambda place: abs(place[0]), default=None))


@cache
def truth(case: ErrorCase, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Compute losses (N,) and gradients (N, K) at the same z with 40 digits."""
    from mpmath import mp, mpf

    right, *wrong = case.targets
    others = len(wrong) or 1
    values, slopes = [], []
    with mp.workdps(40):
        for z in _logits(dtype).tolist():
            # sum of the other classes' exp(z), relative to that of the right one
            rest = others * mp.exp(-mpf(z) if right else mpf(z))
            share = rest / (1 + rest)
            values.append(float(mp.log1p(rest)))
            slopes.append(
                [float(-share if right else share), *[float(share / others)] * len(wrong)]
            )
    return torch.tensor(values, dtype=torch.float64), torch.tensor(slopes, dtype=torch.float64)


if __name__ == "__main__":
    print(markdown())
