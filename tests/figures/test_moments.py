import pytest

from mlr.figures.record import moments


@pytest.mark.parametrize(
    ("count", "total", "expected"),
    [
        (0, 100, ()),
        (1, 100, (100,)),
        (2, 100, (0, 100)),
        (6, 10_000, (0, 6, 40, 251, 1585, 10_000)),
        (6, 3, (0, 1, 2, 3)),
        (6, 1, (0, 1)),
    ],
)
def test_moments_are_the_start_the_end_and_even_ratios_between(count, total, expected):
    assert moments(count, total) == expected
