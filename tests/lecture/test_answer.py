from __future__ import annotations

import math

import pytest

from mlr.lecture.page.answer import Answer, Claim, Slide, close, number, percent


@pytest.mark.parametrize(
    ("measured", "expected", "within", "holds", "shown"),
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
def test_a_number_close_to_the_claimed_one(measured, expected, within, holds, shown):
    claim = close("so much", measured, expected, within)
    assert (claim.measured, claim.holds) == (shown, holds)


@pytest.mark.parametrize(
    ("text", "expected", "within", "stated"),
    [
        ("equal", 0.25, 0, "equal"),
        ("a quarter", 0.25, 1e-8, "a quarter, to within 10⁻⁸ of 0.25"),
        ("it is 0.25", 0.25, 1e-8, "it is 0.25, to within 10⁻⁸"),
        ("no difference", 0, 1e-15, "no difference, to within 10⁻¹⁵"),
        ("left: 0.7258", 0.725791352644727, 0.1, "left: 0.7258, to within 0.1"),
        ("ln 2", math.log(2), 0.00125, "ln 2, to within 0.00125 of 0.6931"),
        # a rounded number is not within the tolerance of a tight claim
        ("BCE 4.6052", 4.60517018598809, 1e-9, "BCE 4.6052, to within 10⁻⁹ of 4.605170186"),
        ("22,063 of 30", 22063, 0.5, "22,063 of 30, to within 0.5"),
        ("SE −4.5394×10⁻⁵", -4.53937e-05, 1e-8, "SE −4.5394×10⁻⁵, to within 10⁻⁸"),
    ],
)
def test_a_tolerance_is_stated(text, expected, within, stated):
    assert close(text, expected, expected, within).text == stated


def test_differences_of_percentages_are_points():
    claim = close("above half: 65.87 %", 65.86593, 65.86553, 0.01, " %")
    assert claim.measured == "65.86593 % (off by 0.0004 points)"
    assert claim.text == "above half: 65.87 %, to within 0.01 points of 65.866 %"


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
