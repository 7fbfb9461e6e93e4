from __future__ import annotations

import math

import pytest

from mlr.core.checks import InputError, finite, fraction, known, non_negative, positive, whole
from mlr.core.seeds import derive_seed


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (positive, [1e-300, 1, 2.5], [0, -1, math.nan, math.inf, "1", True, None, [1]]),
        (non_negative, [0, 0.0, 3], [-1e-300, math.nan, math.inf, "0", False]),
        (finite, [-1, 0, 2.5], [math.nan, math.inf, -math.inf, "1", True]),
        (fraction, [0, 0.999], [1, -0.1, math.nan, "0.5", True]),
        (whole, [1, 7], [0, -1, 2.0, "3", True, None]),
    ],
)
def test_values_are_returned_or_refused_by_name(check, good, bad):
    for value in good:
        assert check("some.option", value) is value
    for value in bad:
        with pytest.raises(InputError, match=r"^some\.option="):
            check("some.option", value)


def test_bounds_of_whole_numbers():
    assert whole("k", 0, at_least=0) == 0
    with pytest.raises(InputError, match="at least 2 and at most 5"):
        whole("k", 6, at_least=2, at_most=5)


def test_unknown_names_are_told_the_nearest_and_all():
    assert known("head", "sigmoid", ["sigmoid"]) == "sigmoid"
    with pytest.raises(
        InputError, match=r"Did you mean head=sigmoid\? Choose from linear, sigmoid"
    ):
        known("head", "sigmod", ["sigmoid", "linear"])
    with pytest.raises(InputError, match=r"Unknown head=xyz\. Choose from linear"):
        known("head", "xyz", ["linear"])


def test_input_errors_are_value_errors():
    assert issubclass(InputError, ValueError)


def test_derived_seeds_are_pure_distinct_and_fit_torch():
    seeds = [
        derive_seed(seed, *names) for seed in range(50) for names in (("a",), ("a", 1), ("b",))
    ]
    assert len(set(seeds)) == 150
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(0, "order", 3) == derive_seed(0, "order", 3)
