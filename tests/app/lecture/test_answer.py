from __future__ import annotations

import math

import pytest

from mlr.app.lecture.answer import Answer, Claim, Slide, close, number, percent


@pytest.mark.parametrize(
    ("measured", "expected", "within", "holds", "told"),
    [
        (0.25, 0.25, 0, True, "0.25"),
        (0.25 + 1e-9, 0.25, 1e-8, True, "0.25 (off by 10⁻⁹)"),
        (0.25 + 1e-7, 0.25, 1e-8, False, "0.2500001 (off by 10⁻⁷)"),
        (2e-16, 0, 1e-15, True, "2×10⁻¹⁶"),
        (1e-3, 0, 0, False, "0.001"),
        (math.inf, math.inf, 0, True, "∞"),
        (math.inf, 1.0, 1e300, False, "∞ (off by ∞)"),
        (math.nan, 1.0, 1e300, False, "nan (off by nan)"),
        (math.nan, math.nan, 1, False, "nan (off by nan)"),
    ],
)
def test_a_number_close_to_the_claimed_one(measured, expected, within, holds, told):
    assert close("so much", measured, expected, within) == Claim("so much", told, holds)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (22063.0, "22,063"),
        (-1.0, "−1"),
        (-4.53937468e-05, "−4.539375×10⁻⁵"),
        (4 / 27, "0.1481481"),
        (2.0**-1000, "9.332636×10⁻³⁰²"),
        (-math.inf, "−∞"),
        (1e300, "10³⁰⁰"),
        (-1e-9, "−10⁻⁹"),
        (math.nan, "nan"),
    ],
)
def test_numbers_are_written_for_people(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("share", "decimals", "text"),
    [(0.695, 1, "69.5 %"), (1.0, 1, "100 %"), (0.0, 0, "0 %"), (0.237, 0, "24 %")],
)
def test_shares_are_written_for_people(share, decimals, text):
    assert percent(share, decimals) == text


def test_an_answer_holds_if_every_claim_does():
    good, bad = Claim("a", "1", True), Claim("b", "2", False)
    assert Answer("", (good, good)).holds
    assert not Answer("", (good, bad)).holds


def test_the_docstring_is_the_question():
    def ask(lab):
        """How large is it,
        at most?

        Source: slide 1.

        Slip: a word
        is missing.
        """

    slide = Slide(1, "size", ask)
    assert slide.question == "How large is it, at most?"
    assert slide.notes == ("Source: slide 1.", "Slip: a word is missing.")
