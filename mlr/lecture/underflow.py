"""Slide 4: the product of many small values underflows."""

from __future__ import annotations

from bisect import bisect_left
from math import log

import torch
from torch.distributions import Bernoulli

from mlr.app.lab import Lab
from mlr.information import likelihood, log_likelihood
from mlr.lecture.answer import Answer, Picture, Slide, close, number
from mlr.lecture.drawing import BLUE, HALF, VERMILLION, curves, line

PRECISION = {"float32": torch.float32, "float64": torch.float64}


def underflow(lab: Lab) -> Answer:
    """What happens when many small probabilities are multiplied?

    1,000 factors of ½ do not underflow float64, so the factors are 0.1.

    Source: lecture.
    """
    vanished = {
        (0.1, "float64"): 324,
        (0.1, "float32"): 46,
        (0.5, "float64"): 1075,
        (0.5, "float32"): 150,
        (0.01, "float64"): 162,
        (0.01, "float32"): 23,
    }
    first = {key: _first_zero(*key) for key in vanished}
    thousand = torch.ones(1000, dtype=torch.float64)
    total = float(log_likelihood(_coin(0.1, "float64"), thousand))
    claims = (
        *(
            close(
                f"the product is 0 from {many:,} factors of {p:g} on in {name}",
                first[p, name],
                many,
                0,
            )
            for (p, name), many in vanished.items()
        ),
        close("the sum of 1,000 log 0.1 is −2302.585", total, 1000 * log(0.1), 1e-9),
        close(
            "1,000 factors of ½ are still 9.33×10⁻³⁰² in float64",
            float(likelihood(_coin(0.5, "float64"), thousand)),
            2.0**-1000,
            1e-314,
        ),
    )
    return Answer(
        f"Their product goes to 0 and underflows: {first[0.1, 'float64']} factors of 0.1 give "
        f"exactly 0 in float64, {first[0.1, 'float32']} in float32. The sum of 1,000 logarithms "
        f"of 0.1 is only {number(total)}.",
        claims,
        _underflow_pictures(),
    )


def _coin(p: float, name: str) -> Bernoulli:
    return Bernoulli(torch.tensor(p, dtype=PRECISION[name]))


def _first_zero(p: float, name: str) -> int:
    """The least n for which the product of n factors p is 0."""
    coin = _coin(p, name)

    def vanished(n: int) -> bool:
        return float(likelihood(coin, torch.ones(n, dtype=PRECISION[name]))) == 0

    return 1 + bisect_left(range(1, 2000), True, key=vanished)


def _underflow_pictures() -> tuple[Picture, Picture]:
    counts = torch.arange(1, 401)
    products, sums = [], []
    for name, colour, style in (("float64", BLUE, "-"), ("float32", VERMILLION, "--")):
        coin, ones = _coin(0.1, name), torch.ones(400, dtype=PRECISION[name])
        running = torch.stack([likelihood(coin, ones[:n]) for n in counts.tolist()]).double()
        shown = running.where(running > 0, torch.nan)
        products.append((counts, shown, line(colour, f"{name}", style)))
        logs = torch.stack([log_likelihood(coin, ones[:n]) for n in counts.tolist()])
        sums.append((counts, logs, line(colour, name, style)))
    return (
        curves(
            "the product of n factors of 0.1",
            products,
            points=[(45, 1e-45, "float32 ends"), (323, 1e-323, "float64 ends")],
            xlabel="n",
            ylabel="∏ p",
            size=HALF,
            yscale="log",
            yticks=[1, 1e-100, 1e-200, 1e-300],
            ylim=(1e-323, 1e40),
            xlim=(0, 500),
        ),
        curves(
            "the sum of their logarithms",
            sums,
            xlabel="n",
            ylabel="∑ log p",
            size=HALF,
            xlim=(0, 500),
        ),
    )


SLIDES = (
    Slide(
        4,
        "Multiplying small values",
        underflow,
        "Question: “multiplying small values?” Answer: “goes to 0”.",
    ),
)
