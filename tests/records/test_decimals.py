"""Text of whole arrays is what Python and numpy print number by number."""

from timeit import repeat

import numpy as np
import pytest

from mlr.records.decimals import cells


def printed(numbers):
    text = cells(numbers).tobytes().translate(None, b"\0").decode()
    return text.split(",")[1:]


def expected(numbers):
    return [repr(float(str(number))) for number in numbers]


@pytest.mark.parametrize("power", range(-46, 39, 3))
def test_float32_of_every_size(power):
    numbers = np.random.default_rng(power + 50).normal(size=2000) * 10.0**power
    with np.errstate(over="ignore"):
        numbers = numbers.astype(np.float32)
    assert printed(numbers) == expected(numbers)


def test_float32_with_few_digits():
    rng = np.random.default_rng(0)
    whole = rng.integers(-99_999, 99_999, 20_000) // 10.0 ** rng.integers(0, 5, 20_000)
    numbers = (whole * 10.0 ** rng.integers(-12, 3, 20_000)).astype(np.float32)
    assert printed(numbers) == expected(numbers)


def test_numbers_at_the_edges():
    """Powers of two, whose neighbours stand at unequal distances, and the edges of the layouts."""
    tens = (10.0 ** np.arange(-40, 38)).astype(np.float32)
    down, up = np.nextafter(tens, np.float32(0)), np.nextafter(tens, np.float32(np.inf))
    twos = (2.0 ** np.arange(-149, 128)).astype(np.float32)
    special = np.array([0.0, np.nan, np.inf, 9999.9995, 999.99997, 1e-4, 123.0], np.float32)
    numbers = np.concatenate([tens, down, up, twos, special])
    for part in (numbers, -numbers):
        assert printed(part) == expected(part)


def test_any_bits():
    """Signalling NaN among them."""
    bits = np.random.default_rng(0).integers(0, 2**32, 20_000, dtype=np.uint32)
    numbers = bits.view(np.float32)
    assert printed(numbers) == expected(numbers)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_kinds_of_numbers(dtype):
    numbers = np.random.default_rng(0).normal(size=500).astype(dtype)
    texts = [repr(float(str(number))) for number in numbers]
    assert printed(numbers) == texts
    assert printed(numbers[:0]) == []


def test_a_number_costs_a_tenth_of_its_repr():
    numbers = np.random.default_rng(0).lognormal(-3, 1.5, 20_000).astype(np.float32)
    seconds = min(repeat(lambda: cells(numbers), number=1, repeat=10))
    assert seconds / len(numbers) < 0.4e-6  # measured 0.04 µs; room for CI
