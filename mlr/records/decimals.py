"""Numbers as decimal text, whole arrays at a time.

Text is what recording a sweep would cost most: `repr` takes 0.25 µs a number, and finding
the fewest digits of a float32 half as much again. Here each number becomes a cell of fixed
width, its characters looked up four digits at a time; where a cell has fewer characters
stand zero bytes, which are deleted from the text of a whole table at once.
"""

from __future__ import annotations

import numpy as np

_DIGITS = 9  # tell all float32 apart
# powers of ten for which all scales below are exact; numbers beyond are printed one by one
_LOWEST, _HIGHEST = -13, 2
_TENS = 10.0 ** np.arange(23)


def cells(numbers: np.ndarray) -> np.ndarray:
    """A comma and each number, as the shortest text that reads back as it in its dtype.

    Args:
        numbers: float (N,).

    Returns:
        uint8 (N, width), width a multiple of 8, with zero bytes behind and between the
        characters.
    """
    if numbers.dtype != np.float32 or not len(numbers):
        return _padded(texts(numbers))
    bits = numbers.view(np.int32)
    with np.errstate(invalid="ignore"):  # a signalling nan
        size = np.abs(numbers).astype(np.float64)
    power = _power(bits, size)
    rare = np.flatnonzero((power < _LOWEST) | (power > _HIGHEST))
    size[rare], power[rare] = 0.0, 0
    words = _words(*_shortest(size, power, (bits & 0x7FFFFF) == 0), bits < 0)
    rare = rare[numbers[rare] != 0]
    if not len(rare):
        return words.view(np.uint8)
    slow = _padded(texts(numbers[rare])).view(np.uint64)
    wider = np.zeros((len(words), slow.shape[1]), np.uint64)
    wider[:, :2] = words
    wider[rare] = slow
    return wider.view(np.uint8)


def texts(numbers: np.ndarray) -> list[str]:
    """Each number as the shortest text that reads back as the same number of its dtype."""
    if numbers.dtype.kind == "f" and numbers.dtype.itemsize < 8:
        return [repr(float(str(number))) for number in numbers.ravel()]
    return list(map(repr, numbers.ravel().tolist()))


def _padded(strings: list[str]) -> np.ndarray:
    """A comma and each text, as cells."""
    packed = np.array([f",{text}" for text in strings], dtype="S")
    width = max(16, -(-packed.itemsize // 8) * 8)
    return packed.astype(f"S{width}").view(np.uint8).reshape(len(strings), width)


def _power(bits: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The exponent of ten of each first digit; out of bounds for zero, nan and inf."""
    exponent = bits >> 23 & 0xFF
    power: np.ndarray = _GUESS[exponent] + (size >= _NEXT[exponent])
    return power


def _shortest(
    size: np.ndarray, power: np.ndarray, lonely: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The fewest digits that round to each float32, as nine with zeros behind, and the power.

    A whole number divided by an exact power of ten is the double nearest to that decimal.
    Where d digits suffice, so do d + 1, but for powers of two: their neighbour below is
    nearer than that above. Of 6 digits float32 keeps every one, so fewer need no search.

    Args:
        size: the float32 numbers without sign, as float64.
        power: the exponents of ten of their first digits.
        lonely: whether a number is a power of two.
    """
    digits = np.rint(size * _TENS[_DIGITS - 1 - power])
    rows: np.ndarray | slice = slice(None)
    for fewer in (1, 2, 3):
        scale = _TENS[_DIGITS - 1 - fewer - power[rows]]
        exact = size[rows]
        whole = np.rint(exact * scale)
        fits = (whole / scale).astype(np.float32) == exact
        if fewer == 1:
            np.copyto(digits, whole * 10.0, where=fits)
            rows = np.flatnonzero(fits | lonely)
        else:
            assert isinstance(rows, np.ndarray)
            digits[rows[fits]] = whole[fits] * _TENS[fewer]
            rows = rows[fits | lonely[rows]]
    over = digits >= 10.0**_DIGITS  # 0.009999999776 is 0.01
    return np.where(over, 10.0 ** (_DIGITS - 1), digits), power + over


def _words(digits: np.ndarray, power: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """The characters, uint64 (N, 2): comma, sign, whole part and point, then eight digits."""
    shift = np.maximum(power, 0)
    unit = _TENS[_DIGITS - 1 - shift]
    front = np.floor(digits / unit)
    rest = ((digits - front * unit) * _TENS[shift]).astype(np.uint32)
    high = rest // np.uint32(10_000)
    low = rest - high * np.uint32(10_000)
    first = front.astype(np.int64)
    words = np.empty((len(digits), 4), np.uint32)
    words.view(np.uint64)[:, 0] = _FRONT[first + _BASE[power - _LOWEST] + negative * _SIGNED]
    words[:, 2] = _FOUR[high + np.uint32(10_000) * (low == 0)]
    words[:, 3] = _FOUR[low + np.uint32(10_000)]
    words[(rest == 0) & (power >= 0), 2] = ord("0")
    tiny = np.flatnonzero(power < -4)
    if len(tiny):
        words[tiny, 1:3] = words[tiny, 2:]
        words[tiny, 0] = _SCIENTIFIC[first[tiny] + 10 * negative[tiny] + 20 * (rest[tiny] == 0)]
        words[tiny, 3] = _EXPONENT[-power[tiny]]
    return words.view(np.uint64)


def _table(strings: list[str], size: int) -> np.ndarray:
    """Texts of at most `size` characters, as whole numbers of that many bytes."""
    return np.array(strings, dtype=f"S{size}").view(f"<u{size}")


def _guess() -> tuple[np.ndarray, np.ndarray]:
    """By float32's exponent: ⌊log₁₀⌋ of its least number, and the next power of ten."""
    least = [2.0 ** (exponent - 127) for exponent in range(1, 255)]
    powers = [int(f"{number:e}".split("e")[1]) for number in least]
    guess = np.array([-99, *powers, 99])
    return guess, np.array([np.inf, *(10.0 ** (power + 1) for power in powers), np.inf])


_GUESS, _NEXT = _guess()
_SIGNS = ("\0", "-")
# index: whole part to 9999, then the first digit behind 0.0…; the same again with the sign
_WHOLES = [f"{number}." for number in range(10_000)]
_SMALLS = [f"0.{'0' * zeros}{digit}" for zeros in range(4) for digit in range(10)]
_FRONT = _table([f",{sign}{text}" for sign in _SIGNS for text in _WHOLES + _SMALLS], 8)
_SIGNED = len(_WHOLES + _SMALLS)
_BASE = np.array(
    [10_000 - 10 * (power + 1) if -4 <= power < 0 else 0 for power in range(_LOWEST, 4)]
)
# the second half without zeros behind
_ALL = [f"{number:04d}" for number in range(10_000)]
_FOUR = _table(_ALL + [text.rstrip("0") for text in _ALL], 4)
_SCIENTIFIC = _table(
    [f",{sign}{digit}{point}" for point in (".", "") for sign in _SIGNS for digit in range(10)], 4
)
_EXPONENT = _table([f"e-{power:02d}" for power in range(14)], 4)
