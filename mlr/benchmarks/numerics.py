"""How near losses and dL/dz come to the truth from z = −200 to 200, and where each goes wrong.

Truth is mpmath's. `python -m mlr.benchmarks.numerics` prints the table of the README.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from mlr.benchmarks.libraries import LIBRARIES, MISSING, Library, installed
from mlr.benchmarks.rows import Row

POINTS = 4001
FARTHEST = 200.0
WRONG = 1e-3
"""The relative error from which a number is called wrong."""
DTYPES = {"float32": torch.float32, "float64": torch.float64}
PARTS = ("value", "dL/dz")


@dataclass(frozen=True)
class Case:
    """Logits (z, 0, …, 0) and the same target for every z.

    targets: t, K numbers.
    words: what tells the case from others of its pair.
    """

    targets: tuple[float, ...]
    words: str


CASES = {
    "sigmoid+bce": (Case((0.0,), "t = 0"), Case((1.0,), "t = 1")),
    # z is what the right class is above the others
    "softmax+ce": (Case((1.0, 0.0), "K = 2"), Case((1.0, 0.0, 0.0), "K = 3")),
}


@dataclass(frozen=True)
class Found:
    """What is found of a value or gradient.

    largest: the largest relative error.
    wrong: the smallest |z| whose error is above `WRONG`, with its sign and case, if any.
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


def rows(_: int) -> Iterator[Row]:
    """Each pair and type: mlr beside 2 ulp of a number's type, and beside every other library."""
    if find_spec("mpmath") is None:
        yield Row("mpmath, which knows the truth", other=MISSING)
        return
    here = installed()
    for pair in CASES:
        for name, dtype in DTYPES.items():
            found = {library: measured(ask, pair, dtype) for library, ask in here.items()}
            for part, own in zip(PARTS, found["mlr"], strict=True):
                ulps = own.largest / torch.finfo(dtype).eps
                what = f"{pair}, {name}: {part}"
                yield Row(what, str(own), "the truth", ulps, " ε", most=2)
            for library in list(LIBRARIES)[1:]:
                if library not in found:
                    yield Row(library, other=MISSING)
                    continue
                for part, other in zip(PARTS, found[library], strict=True):
                    yield Row("", "", f"{part} {other}: {library}")


def markdown(libraries: dict[str, Library] | None = None) -> str:
    """The table of the README, of those installed or of others."""
    heads = [f"{part}, {name}" for name in DTYPES for part in PARTS]
    lines = ["| " + " | ".join(["pair", "library", *heads]) + " |", "|---" * (len(heads) + 2) + "|"]
    for pair in CASES:
        for name, ask in (installed() if libraries is None else libraries).items():
            cells = [
                str(found) for dtype in DTYPES.values() for found in measured(ask, pair, dtype)
            ]
            lines.append("| " + " | ".join([pair, name, *cells]) + " |")
    return "\n".join(lines)


def measured(ask: Library, pair: str, dtype: torch.dtype) -> tuple[Found, Found]:
    """What a library's values and gradients are like."""
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
    """Relative errors (N,), the worst of each row, of what is a normal number of the type."""
    errors = ((got - true) / true).abs()
    errors = errors.masked_fill(errors.isnan(), torch.inf)
    errors = errors.masked_fill(true.abs() < torch.finfo(dtype).smallest_normal, 0.0)
    return errors.reshape(len(errors), -1).amax(-1)


def _summary(z: Tensor, errors: dict[str, Tensor]) -> Found:
    bad = [(x, words) for words, of_case in errors.items() for x in z[of_case > WRONG].tolist()]
    largest = max(of_case.max().item() for of_case in errors.values())
    return Found(largest, min(bad, key=lambda place: abs(place[0]), default=None))


@cache
def truth(case: Case, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Losses (N,) and gradients (N, K) at the same z, from 40 digits."""
    from mpmath import mp, mpf

    right, *wrong = case.targets
    others = len(wrong) or 1
    values, slopes = [], []
    with mp.workdps(40):
        for z in _logits(dtype).tolist():
            # by how much the right answer leads, and what the others add up to beside it
            beside = others * mp.exp(-mpf(z) if right else mpf(z))
            share = beside / (1 + beside)
            values.append(float(mp.log1p(beside)))
            slopes.append(
                [float(-share if right else share), *[float(share / others)] * len(wrong)]
            )
    return torch.tensor(values, dtype=torch.float64), torch.tensor(slopes, dtype=torch.float64)


if __name__ == "__main__":
    print(markdown())
