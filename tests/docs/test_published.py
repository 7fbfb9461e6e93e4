"""Published values on the pages of heads and losses: as printed there, and as computed here."""

from __future__ import annotations

import re
from math import floor

import numpy as np
import pytest

from mlr.docs.published import VALUES, PublishedValue, last_digit, numbers, published_section
from mlr.heads import HEADS
from mlr.losses import LOSSES
from tests.looping import looped

PAGES = [f"heads/{head.name}" for head in HEADS] + [f"losses/{loss.name}" for loss in LOSSES]
HEADS_WITHOUT = "beta laplace log_normal mdn quantiles"
HEADS_WITHOUT += " coral corn cumulative evidential"
LOSSES_WITHOUT = "beta_nll expectile gce"
LOSSES_WITHOUT += (
    " arcface cosface evidential_se asymmetric ordinal_nll phuber_ce poly1 symmetric_ce"
)
WITHOUT = {
    *(f"heads/{name}" for name in HEADS_WITHOUT.split()),
    *(f"losses/{name}" for name in LOSSES_WITHOUT.split()),
}
"""Pages that give no value."""


def test_every_head_and_loss_has_an_entry():
    assert {*VALUES} == {*PAGES}
    assert {page for page in PAGES if not VALUES[page]} == WITHOUT


@looped("page", PAGES)
def test_values_agree_to_the_last_printed_digit(page):
    for value in VALUES[page]:
        assert value.agrees(), (value.what, value.printed, value.measured())


@looped("page", PAGES)
def test_a_page_shows_printed_and_computed_numbers(page):
    text = published_section(page)
    cells = re.findall(r"^\| [^|]+ \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", text, re.MULTILINE)
    rows = [[re.findall("`([^`]+)`", cell) for cell in row] for row in cells[1:]]
    assert [tuple(printed) for printed, _ in rows] == [value.printed for value in VALUES[page]]
    for printed, ours in rows:
        for theirs, mine in zip(printed, ours, strict=True):
            assert abs(float(theirs) - float(mine)) <= last_digit(theirs) / 2
    assert bool(rows) != ("No value is given here." in text)


@pytest.mark.parametrize(
    ("printed", "unit"),
    [("0.30", 0.01), ("0.5", 0.1), ("100", 100), ("1000", 1000), ("2.11942e-01", 1e-6), ("0", 1)],
)
def test_the_last_digit_that_counts(printed, unit):
    assert last_digit(printed) == pytest.approx(unit)


@pytest.mark.parametrize("off", [0.0006, -0.0006])
def test_a_value_that_is_off_does_not_agree(off):
    value = PublishedValue("it", ("0.250", "1.000"), "a book", lambda: numbers(0.25, 1 + off))
    assert not value.agrees()
    assert PublishedValue("it", ("0.250",), "a book", lambda: numbers(0.25 + off / 2)).agrees()


def by_their_own_functions() -> dict[tuple[str, int], list[float]]:
    """The same quantities by the function of the library that printed them: page, row."""
    import torchmetrics
    from scipy import special, stats
    from sklearn import metrics
    from torch import tensor

    of_logs = torchmetrics.regression.LogCoshError()
    of_counts = metrics.mean_poisson_deviance([2, 0, 1, 4], [0.5, 0.5, 2, 2])
    of_amounts = metrics.mean_gamma_deviance([2, 0.5, 1, 4], [0.5, 0.5, 2, 2])
    pinball = [
        metrics.mean_pinball_loss([1, 2, 3], y, alpha=tau)
        for tau in (0.1, 0.9)
        for y in ([0, 2, 3], [1, 2, 4])
    ]
    density = stats.multivariate_normal.pdf([0, 2.5], mean=2.5, cov=0.5)
    spam = metrics.log_loss([1, 0, 0, 1], [0.9, 0.1, 0.2, 0.65])
    return {
        ("heads/linear", 0): [metrics.mean_squared_error([3, -0.5, 2, 7], [2.5, 0, 2, 8])],
        ("heads/sigmoid", 0): special.expit([-1.5, 0, 1.5]),
        ("heads/softmax", 0): special.softmax([-2, 0, 0.5]),
        ("heads/softmax", 1): special.softmax([1, 1, 2]),
        ("heads/gaussian", 0): density,
        ("heads/probit", 0): special.ndtr([0.5, 2]),
        ("heads/probit", 1): special.log_ndtr(np.array([6.0, 25.0])),
        ("heads/cloglog", 0): stats.gumbel_l.cdf([0]),
        ("losses/se", 1): [metrics.brier_score_loss([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3])],
        ("losses/bce", 0): [spam],
        ("losses/matching", 0): [spam],
        ("losses/gaussian_nll", 0): density,
        ("losses/nll", 0): density,
        ("heads/poisson", 0): [floor(1e4 * of_counts) / 1e4],
        ("heads/gamma", 0): [floor(1e4 * of_amounts) / 1e4],
        ("heads/negative_binomial", 0): special.nbdtr([5, 10, 15], 10, 0.5),
        ("heads/student_t", 0): [special.stdtr(3, 1)],
        ("losses/pinball", 0): pinball,
        ("losses/quantile_score", 0): pinball,
        ("losses/huber", 0): special.huber([[1], [5], [9]], [1, 2.5, 8, 10]).ravel(),
        ("losses/log_cosh", 0): [
            float(of_logs(tensor([3.0, 5.0, 2.5, 7.0]), tensor([2.5, 5.0, 4.0, 8.0])))
        ],
        ("losses/tversky", 0): [
            metrics.jaccard_score(
                np.array([[0, 1, 1], [1, 1, 0]]),
                np.array([[1, 1, 1], [1, 0, 0]]),
                average="samples",
            )
        ],
        ("losses/hinge", 0): [metrics.hinge_loss([-1, 1, 1], [-2.18, 2.36, 0.09])],
    }


def test_the_printed_digits_are_those_of_the_library_that_printed_them():
    for (page, row), theirs in by_their_own_functions().items():
        printed = VALUES[page][row].printed
        for text, number in zip(printed, theirs, strict=True):
            assert abs(float(text) - number) <= last_digit(text) / 2, (page, text, number)


def test_printed_digits_by_hand():
    """Nielsen's text, the focal paper's factor, and Keras' examples, in plain Python."""
    from math import cosh, exp, log

    w, b = 0.6, 0.9
    for _ in range(300):
        a = 1 / (1 + exp(-w - b))
        w, b = w - 0.15 * a * a * (1 - a), b - 0.15 * a * a * (1 - a)
    assert round(1 / (1 + exp(-w - b)), 2) == float(VALUES["losses/se"][0].printed[0])
    assert [round(1 / (1 + exp(-z)), 2) for z in (1.5, 4)] == [0.82, 0.98]
    assert VALUES["heads/sigmoid"][1].printed == ("0.82", "0.98")
    assert round(1 / (1 - 0.9) ** 2) == int(VALUES["losses/focal"][0].printed[0])
    assert round(-(log(0.4) + log(0.4) + log(0.6) + log(0.4)) / 4, 3) == 0.815
    assert VALUES["losses/bce"][1].printed == ("0.815",)
    assert round(-(log(0.95) + log(0.1)) / 2, 3) == float(VALUES["losses/ce"][0].printed[0])
    assert float(VALUES["losses/mae"][0].printed[0]) == (abs(1 - 0) + abs(1 - 0)) / 4
    assert round((0.6**2 / 2 * 3 + 0.4**2 / 2) / 4, 3) == 0.155
    assert VALUES["losses/huber"][1].printed == ("0.155",)
    assert round(log(cosh(1)) / 4, 3) == float(VALUES["losses/log_cosh"][1].printed[0])
    focal = [(1 - 1 / (1 + exp(-z))) ** 2 * log(1 + exp(-z)) for z in (18.6, 0.51, -2.94, 12.8)]
    assert round(sum(focal) / 4, 3) == float(VALUES["losses/focal"][2].printed[0])
