"""Values that papers and other libraries print, next to those that mlr computes.

`VALUES` has an entry for every head and loss; an empty one says that none is given. A test
compares them to the last digit that the source prints, and to what the source's own function gives
where that is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import log, sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from mlr.heads import (
    ClippedLinear,
    ComplementaryLogLog,
    Entmax15,
    HardSigmoid,
    Linear,
    Probit,
    Quantiles,
    Sigmoid,
    Softmax,
    Sparsemax,
)
from mlr.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    Focal,
    Hinge,
    Huber,
    LogCosh,
    Pinball,
    SmoothedCrossEntropy,
    SquaredError,
    Tversky,
)
from mlr.objectives import Objective


class PublishedValue(NamedTuple):
    """Numbers as a source prints them.

    what: the quantity, in the source's terms.
    printed: its values, digit by digit as printed.
    source: who printed them; Markdown.
    here: computes the same values.
    """

    what: str
    printed: tuple[str, ...]
    source: str
    here: Callable[[], Tensor]

    def measured(self) -> list[float]:
        """Compute the values here, one for each that is printed."""
        found: list[float] = self.here().flatten().tolist()
        return found

    def agrees(self) -> bool:
        """Return True if all values are the printed ones, to the last digit that is printed."""
        pairs = zip(self.measured(), self.printed, strict=True)
        return all(abs(ours - float(text)) <= last_digit(text) / 2 for ours, text in pairs)


def last_digit(printed: str) -> float:
    """Return the unit of the last digit that counts: 0.01 of 0.30, 100 of 100."""
    number = Decimal(printed)
    if number == number.to_integral_value() and "." not in printed:
        number = number.normalize()
    # the margin is for the rounding of a printed number to binary
    return 10.0 ** int(number.as_tuple().exponent) * (1 + 1e-9)


def numbers(*values: float) -> Tensor:
    """Return a column (N, 1): one output an example."""
    return torch.tensor(values, dtype=torch.float64).unsqueeze(-1)


def rows(*values: tuple[float, ...]) -> Tensor:
    """Return examples (N, K)."""
    return torch.tensor(values, dtype=torch.float64)


def neuron(updates: int, rate: float = 0.15, start: float = 1.5) -> Tensor:
    """Train Nielsen's neuron by squared error, input 1 and target 0; return its output.

    Args:
        updates: of weight and bias.
        rate: η.
        start: z = w + b before.
    """
    objective = Objective("sigmoid", "se")
    z, target = numbers(start), numbers(0)
    for _ in range(updates):
        z = z - 2 * rate * objective.gradient(z, target)
    return Sigmoid()(z)


def density() -> Tensor:
    """Compute e^−L of targets 0 and 2.5 for a predicted mean of 2.5 and variance of 0.5."""
    logits = rows((2.5, log(sqrt(0.5)))).expand(2, 2)
    return (-Objective("gaussian", "gaussian_nll").losses(logits, numbers(0, 2.5))).exp()


def focal_factor(y: float) -> Tensor:
    """Compute by what factor the focal loss with γ = 2 is below cross-entropy."""
    p, t = numbers(y), numbers(1)
    return CrossEntropy()(p, t) / Focal(2.0)(p, t)


def deviance(head: str, means: Tensor, targets: Tensor) -> Tensor:
    """Compute twice the mean loss above that of means equal to the targets, cut to four digits.

    A gamma head has the shape 1; a target 0 has the loss 0 at its own mean.
    """
    objective = Objective(head, "nll")
    best = targets.clamp(min=1e-300)
    logs = [one.log() for one in (means, best)]
    if head == "gamma":
        logs = [torch.cat([one, torch.zeros_like(one)], -1) for one in logs]
    found, least = (objective.losses(one, targets) for one in logs)
    # as scikit-learn prints it, with three dots
    return (2e4 * (found - least).mean()).floor() / 1e4


def negative_binomial_sum(most: int, size: float, chance: float) -> Tensor:
    """Sum e^−L of the counts 0 … most, for so many successes of a chance."""
    mean = size * (1 - chance) / chance
    counts = torch.arange(most + 1, dtype=torch.float64).unsqueeze(-1)
    logits = rows((log(mean), log(size))).expand(most + 1, 2)
    return (-Objective("negative_binomial", "nll").losses(logits, counts)).exp().sum()


def student_area(freedom: float, end: float) -> Tensor:
    """Integrate e^−L from −∞ to `end`, by Simpson's rule above the median 0."""
    t = torch.linspace(0, end, 201, dtype=torch.float64).unsqueeze(-1)
    logits = rows((0.0, 0.0, log(freedom - 2))).expand(201, 3)
    heights = (-Objective("student_t", "nll").losses(logits, t)).exp()
    weights = torch.full((201,), 2.0, dtype=torch.float64)
    weights[1::2], weights[0], weights[-1] = 4, 1, 1
    return 0.5 + (weights * heights).sum() * end / 600


def pinball_of(objective: Callable[[float], Objective]) -> Tensor:
    """Compute the mean losses of scikit-learn's example, for τ = 0.1 and 0.9."""
    found = [
        objective(tau).losses(numbers(*y), numbers(1, 2, 3)).mean()
        for tau in (0.1, 0.9)
        for y in ((0, 2, 3), (1, 2, 4))
    ]
    return torch.stack(found)


def scikit(name: str) -> str:
    """Return the link to a function's page of scikit-learn's documentation."""
    page = f"https://scikit-learn.org/stable/modules/generated/sklearn.metrics.{name}.html"
    return f"[scikit-learn, `{name}`]({page})"


def scipy(name: str) -> str:
    """Return the link to a function's page of SciPy's documentation."""
    page = f"https://docs.scipy.org/doc/scipy/reference/generated/scipy.{name}.html"
    return f"[SciPy, `{name}`]({page})"


def keras(name: str) -> str:
    """Return the link to a loss's page of the documentation of Keras in TensorFlow."""
    page = f"https://www.tensorflow.org/versions/r2.13/api_docs/python/tf/keras/losses/{name}"
    return f"[Keras, `{name}`]({page})"


ENTMAX = "[entmax, README](https://github.com/deep-spin/entmax)"
NIELSEN = "Nielsen, Neural Networks and Deep Learning, chapter 3"
FOCAL = "Lin et al., Focal loss for dense object detection, section 3.2"
MINDSPORE = (
    "[MindSpore, `Hardsigmoid`](https://www.mindspore.cn/docs/en/br_base/api_python/ops/"
    "mindspore.ops.hardsigmoid.html)"
)
WEATHER = numbers(0.1, 0.9, 0.8, 0.3), numbers(0, 1, 1, 0)
SPAM = numbers(0.9, 0.1, 0.2, 0.65), numbers(1, 0, 0, 1)
"""Probabilities and targets of scikit-learn's examples."""
PAIRS = rows((0.6, 0.4), (0.4, 0.6)), rows((0, 1), (0, 0))
"""Predictions and targets of Keras' examples of losses."""

VALUES: dict[str, tuple[PublishedValue, ...]] = {
    "heads/linear": (
        PublishedValue(
            "mean squared error of 2.5, 0, 2, 8 for 3, −0.5, 2, 7: twice the mean loss with se",
            ("0.375",),
            scikit("mean_squared_error"),
            lambda: (
                2 * SquaredError()(Linear()(numbers(2.5, 0, 2, 8)), numbers(3, -0.5, 2, 7)).mean()
            ),
        ),
    ),
    "heads/clipped_linear": (
        PublishedValue(
            "gradient of the output where z strays outside the unit interval, at −0.1 and 1.1",
            ("0", "0"),
            "Goodfellow et al., Deep Learning, 6.2.2.2",
            lambda: ClippedLinear().slope(numbers(-0.1, 1.1)),
        ),
    ),
    "heads/sigmoid": (
        PublishedValue(
            "σ(−1.5), σ(0), σ(1.5)",
            ("0.18242552", "0.5", "0.81757448"),
            scipy("special.expit"),
            lambda: Sigmoid()(numbers(-1.5, 0, 1.5)),
        ),
        PublishedValue(
            "output at w = 0.6, b = 0.9, and at w = b = 2, for input 1",
            ("0.82", "0.98"),
            NIELSEN,
            lambda: Sigmoid()(numbers(1.5, 4)),
        ),
    ),
    "heads/softmax": (
        PublishedValue(
            "softmax of −2, 0, 0.5",
            ("0.0486", "0.3592", "0.5922"),
            ENTMAX,
            lambda: Softmax()(rows((-2, 0, 0.5))),
        ),
        PublishedValue(
            "softmax of 1, 1, 2",
            ("2.11942e-01", "2.11942e-01", "5.76117e-01"),
            scipy("special.softmax"),
            lambda: Softmax()(rows((1, 1, 2))),
        ),
    ),
    "heads/gaussian": (
        PublishedValue(
            "density at 0 and 2.5 for mean 2.5, variance 0.5: e^−L of z = (2.5, log √0.5)",
            ("0.00108914", "0.56418958"),
            scipy("stats.multivariate_normal"),
            density,
        ),
    ),
    "heads/hard_sigmoid": (
        PublishedValue(
            "y of −1 and 0", ("0.3333", "0.5"), MINDSPORE, lambda: HardSigmoid()(numbers(-1, 0))
        ),
    ),
    "heads/probit": (
        PublishedValue(
            "Φ(0.5), Φ(2)",
            ("0.69146246", "0.97724987"),
            scipy("special.ndtr"),
            lambda: Probit()(numbers(0.5, 2)),
        ),
        PublishedValue(
            "log Φ(6) and log Φ(25): −L with bce for target 1",
            ("-9.86587646e-010", "-3.05669671e-138"),
            scipy("special.log_ndtr"),
            lambda: -Objective("probit", "bce").losses(numbers(6, 25), numbers(1, 1)),
        ),
    ),
    "heads/cloglog": (
        PublishedValue(
            "1 − e⁻¹, the share of examples that a bootstrap sample holds: y of 0",
            ("0.632",),
            "Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, eq. 7.55",
            lambda: ComplementaryLogLog()(numbers(0)),
        ),
    ),
    "heads/sparsemax": (
        PublishedValue(
            "sparsemax of −2, 0, 0.5",
            ("0.0000", "0.2500", "0.7500"),
            ENTMAX,
            lambda: Sparsemax()(rows((-2, 0, 0.5))),
        ),
    ),
    "heads/entmax15": (
        PublishedValue(
            "1.5-entmax of −2, 0, 0.5",
            ("0.0000", "0.3260", "0.6740"),
            ENTMAX,
            lambda: Entmax15()(rows((-2, 0, 0.5))),
        ),
    ),
    "heads/cumulative": (),
    "heads/coral": (),
    "heads/corn": (),
    "heads/evidential": (),
    "heads/poisson": (
        PublishedValue(
            "deviance of the means 0.5, 0.5, 2, 2 for 2, 0, 1, 4, cut to four digits: twice the "
            "mean loss above the least",
            ("1.4260",),
            scikit("mean_poisson_deviance"),
            lambda: deviance("poisson", numbers(0.5, 0.5, 2, 2), numbers(2, 0, 1, 4)),
        ),
    ),
    "heads/negative_binomial": (
        PublishedValue(
            "chance of at most 5, 10, 15 failures before 10 successes of chance ½: Σ e^−L",
            ("0.15087891", "0.58809853", "0.88523853"),
            scipy("special.nbdtr"),
            lambda: torch.stack([negative_binomial_sum(most, 10, 0.5) for most in (5, 10, 15)]),
        ),
    ),
    "heads/laplace": (),
    "heads/student_t": (
        PublishedValue(
            "chance of a number below 1, with ν = 3: ∫ e^−L",
            ("0.80449889",),
            scipy("special.stdtr"),
            lambda: student_area(3, 1),
        ),
    ),
    "heads/gamma": (
        PublishedValue(
            "deviance of the means 0.5, 0.5, 2, 2 for 2, 0.5, 1, 4, cut to four digits: twice the "
            "mean loss above the least, with α = 1",
            ("1.0568",),
            scikit("mean_gamma_deviance"),
            lambda: deviance("gamma", numbers(0.5, 0.5, 2, 2), numbers(2, 0.5, 1, 4)),
        ),
    ),
    "heads/log_normal": (),
    "heads/beta": (),
    "heads/mdn": (),
    "heads/quantiles": (),
    "losses/huber": (
        PublishedValue(
            "loss of the errors 1, 2.5, 8, 10, with δ = 1, 5 and 9",
            (
                *("0.5", "2", "7.5", "9.5"),
                *("0.5", "3.125", "27.5", "37.5"),
                *("0.5", "3.125", "32", "49.5"),
            ),
            scipy("special.huber"),
            lambda: torch.stack(
                [Huber(delta)(numbers(1, 2.5, 8, 10), numbers(0)) for delta in (1, 5, 9)]
            ),
        ),
        PublishedValue(
            "mean over two examples of two outputs, y = (0.6, 0.4) for (0, 1) and (0.4, 0.6) for "
            "(0, 0): half the mean loss",
            ("0.155",),
            keras("Huber"),
            lambda: Huber()(*PAIRS).mean() / 2,
        ),
    ),
    "losses/log_cosh": (
        PublishedValue(
            "mean of 3, 5, 2.5, 7 for 2.5, 5, 4, 8",
            ("0.3523",),
            "[TorchMetrics, `LogCoshError`]"
            "(https://lightning.ai/docs/torchmetrics/stable/regression/log_cosh_error.html)",
            lambda: LogCosh()(numbers(3, 5, 2.5, 7), numbers(2.5, 5, 4, 8)).mean(),
        ),
        PublishedValue(
            "mean over two examples of two outputs, y = (1, 1) for (0, 1) and (0, 0) for (0, 0): "
            "half the mean loss",
            ("0.108",),
            keras("LogCosh"),
            lambda: LogCosh()(rows((1, 1), (0, 0)), rows((0, 1), (0, 0))).mean() / 2,
        ),
    ),
    "losses/pinball": (
        PublishedValue(
            "mean loss of 0, 2, 3 and of 1, 2, 4 for targets 1, 2, 3, with τ = 0.1 and 0.9",
            ("0.03", "0.3", "0.3", "0.03"),
            scikit("mean_pinball_loss"),
            lambda: pinball_of(lambda tau: Objective("linear", Pinball(tau))),
        ),
    ),
    "losses/expectile": (),
    "losses/nll": (
        PublishedValue(
            "density at 0 and 2.5 of a Gaussian of mean 2.5 and variance 0.5: e^−L",
            ("0.00108914", "0.56418958"),
            scipy("stats.multivariate_normal"),
            density,
        ),
    ),
    "losses/beta_nll": (),
    "losses/quantile_score": (
        PublishedValue(
            "mean loss of 0, 2, 3 and of 1, 2, 4 for targets 1, 2, 3, with τ = 0.1 and 0.9 alone",
            ("0.03", "0.3", "0.3", "0.03"),
            scikit("mean_pinball_loss"),
            lambda: pinball_of(lambda tau: Objective(Quantiles([tau]), "quantile_score")),
        ),
    ),
    "losses/se": (
        PublishedValue(
            "output of a sigmoid for target 0, input 1, after 300 updates with η = 0.15 from "
            "w = 0.6, b = 0.9",
            ("0.09",),
            NIELSEN,
            lambda: neuron(300),
        ),
        PublishedValue(
            "Brier score of 0.1, 0.9, 0.8, 0.3 for 0, 1, 1, 0: twice the mean loss",
            ("0.0375",),
            scikit("brier_score_loss"),
            lambda: 2 * SquaredError()(*WEATHER).mean(),
        ),
    ),
    "losses/bce": (
        PublishedValue(
            "log loss of 0.9, 0.1, 0.2, 0.65 for 1, 0, 0, 1",
            ("0.21616",),
            scikit("log_loss"),
            lambda: BinaryCrossEntropy()(*SPAM).mean(),
        ),
        PublishedValue(
            "mean over two examples of two outputs, y = (0.6, 0.4) for (0, 1) and (0.4, 0.6) for "
            "(0, 0): half the mean loss",
            ("0.815",),
            keras("BinaryCrossentropy"),
            lambda: BinaryCrossEntropy()(*PAIRS).mean() / 2,
        ),
    ),
    "losses/ce": (
        PublishedValue(
            "mean loss of y = (0.05, 0.95, 0) for class 2 and (0.1, 0.8, 0.1) for class 3",
            ("1.177",),
            keras("CategoricalCrossentropy"),
            lambda: CrossEntropy()(
                rows((0.05, 0.95, 0), (0.1, 0.8, 0.1)), rows((0, 1, 0), (0, 0, 1))
            ).mean(),
        ),
    ),
    "losses/matching": (
        PublishedValue(
            "log loss of y = 0.9, 0.1, 0.2, 0.65 for 1, 0, 0, 1: the mean loss of a sigmoid",
            ("0.21616",),
            scikit("log_loss"),
            lambda: Objective("sigmoid", "matching").losses(SPAM[0].logit(), SPAM[1]).mean(),
        ),
    ),
    "losses/gaussian_nll": (
        PublishedValue(
            "density at 0 and 2.5 for mean 2.5, variance 0.5: e^−L",
            ("0.00108914", "0.56418958"),
            scipy("stats.multivariate_normal"),
            density,
        ),
    ),
    "losses/hinge": (
        PublishedValue(
            "mean for scores −2.18, 2.36, 0.09 of classes −1, 1, 1",
            ("0.30",),
            scikit("hinge_loss"),
            lambda: Hinge()((numbers(-2.18, 2.36, 0.09) + 1) / 2, numbers(0, 1, 1)).mean(),
        ),
    ),
    "losses/mae": (
        PublishedValue(
            "mean over two examples of two outputs, y = (1, 1) for (0, 1) and (1, 0) for (0, 0): "
            "half the mean loss",
            ("0.5",),
            keras("MeanAbsoluteError"),
            lambda: AbsoluteError()(rows((1, 1), (1, 0)), rows((0, 1), (0, 0))).mean() / 2,
        ),
    ),
    "losses/focal": (
        PublishedValue(
            "factor below cross-entropy at p = 0.9 with γ = 2",
            ("100",),
            FOCAL,
            lambda: focal_factor(0.9),
        ),
        PublishedValue("the same at p ≈ 0.968", ("1000",), FOCAL, lambda: focal_factor(0.968)),
        PublishedValue(
            "mean for z = −18.6, 0.51, 2.94, −12.8 of classes 0, 1, 0, 0 with γ = 2",
            ("0.691",),
            keras("BinaryFocalCrossentropy"),
            lambda: (
                Objective("sigmoid", Focal(2.0))
                .losses(numbers(-18.6, 0.51, 2.94, -12.8), numbers(0, 1, 0, 0))
                .mean()
            ),
        ),
    ),
    "losses/gce": (),
    "losses/smoothed_ce": (
        PublishedValue(
            "smoothed target of the first of three classes with ε = 0.1",
            ("0.93333334", "0.03333334", "0.03333334"),
            "BrainTools, `smooth_labels`, in float32",
            lambda: SmoothedCrossEntropy(0.1).smoothed(rows((1, 0, 0)).float()),
        ),
    ),
    "losses/symmetric_ce": (),
    "losses/phuber_ce": (),
    "losses/poly1": (),
    "losses/asymmetric": (),
    "losses/arcface": (),
    "losses/cosface": (),
    "losses/evidential_se": (),
    "losses/ordinal_nll": (),
    "losses/tversky": (
        PublishedValue(
            "Jaccard scores of labels 1, 1, 1 and 1, 0, 0 for 0, 1, 1 and 1, 1, 0, their mean: "
            "1 − mean loss with α = β = 1, s → 0",
            ("0.5833",),
            scikit("jaccard_score"),
            lambda: (
                1
                - Tversky(1.0, 1.0, 1e-12)(
                    rows((1, 1, 1), (1, 0, 0)), rows((0, 1, 1), (1, 1, 0))
                ).mean()
            ),
        ),
    ),
}
"""Published values by folder and name of the page."""


def published_section(page: str) -> str:
    """Return the section of a page, `heads/<name>` or `losses/<name>`, as Markdown."""
    trained = (
        "Trained networks are compared in [published results](../lecture.md#published-results)."
    )
    values = VALUES[page]
    if not values:
        text = "No value is given here."
        return f"{text}\n{trained}\n"
    text = "Computed when this page was built; a test compares them to the last printed digit."
    lines = [text, trained, "", "| quantity | printed | here | source |", "|---|---|---|---|"]
    for value in values:
        here = ", ".join(f"`{number:.9g}`" for number in value.measured())
        printed = ", ".join(f"`{text}`" for text in value.printed)
        lines.append(f"| {value.what} | {printed} | {here} | {value.source} |")
    return "\n".join(lines) + "\n"
