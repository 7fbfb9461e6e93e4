from __future__ import annotations

from math import inf, nan

import pytest

from mlr.analysis.formatting import brief, display_pair, number, p_text, percent, with_spread


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.012084, "0.01208"),
        (0.5, "0.5"),
        (0.0, "0"),
        (1.03512, "1.035"),
        (100.0, "100"),
        (12345.6, "12346"),
        (200000.0, "200000"),
        (-1.5, "-1.5"),
        (0.0000321, "0.0000321"),
        (6.5561e-29, "6.556e-29"),
        (3.2e9, "3.2e+09"),
        (inf, "inf"),
    ],
)
def test_a_number_has_four_digits_and_no_exponent_in_ordinary_ranges(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (200.0, 100.0, "200 ± 100"),
        (217.3, 123.4, "220 ± 120"),
        (0.96491, 0.00577, "0.9649 ± 0.0058"),
        (5.2, 0.0999, "5.20 ± 0.10"),
        (10.0, 1.0, "10.0 ± 1.0"),
        (12345.6, 12.3, "12346 ± 12"),
        (0.5, 0.0, "0.5 ± 0"),
        (0.5, 1e-17, "0.5 ± 0"),
        (0.0, 0.0, "0 ± 0"),
        (1e-9, 2e-10, "1.00e-09 ± 2.0e-10"),
        (0.25, nan, "0.25"),
        (0.25, None, "0.25"),
        (0.25, inf, "0.25"),
        (nan, 0.1, "nan"),
    ],
)
def test_the_mean_is_rounded_where_the_standard_deviation_ends(mean, std, text):
    assert with_spread(mean, std) == text


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        (0.9331, 0.0195, "93.3 ± 1.9 %"),
        (0.91, 0.01, "91.0 ± 1.0 %"),
        (0.87, 0.0085, "87.00 ± 0.85 %"),
        (0.78123, 0.1234, "78 ± 12 %"),
        (1.0, 0.0, "100.00 ± 0.00 %"),
        (0.87, 0.00000043, "87.00 ± 0.00 %"),
        (0.5, None, "50.00 %"),
    ],
)
def test_shares_are_in_percent(mean, std, text):
    assert with_spread(mean, std, share=True) == text


def test_percent():
    assert percent(0.873349) == "87.33 %"


@pytest.mark.parametrize(
    ("p", "text"),
    [(1.0, "p = 1"), (0.0123, "p = 0.012"), (1e-4, "p = 0.0001"), (9.9e-5, "p < 0.0001")],
)
def test_p_values_have_two_digits_and_an_end(p, text):
    assert p_text(p) == text


@pytest.mark.parametrize(
    ("value", "text"), [(10000.0, "10000"), (1e-6, "1e-06"), (1 / 3, "0.333333333333"), (3, "3")]
)
def test_settings_are_written_briefly(value, text):
    assert brief(value) == text


def test_pairs_in_words():
    assert display_pair("sigmoid+bce") == "sigmoid + BCE"
    assert (display_pair("sigmoid"), display_pair("")) == ("sigmoid", "unknown pair")
