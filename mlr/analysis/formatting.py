"""Numbers and names as text: terminal, compare, explain and report write them alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import floor, isfinite, log10, nan

from mlr.records.settings import Value, value_text

DIGITS = 4
"""Significant digits of a number without a standard deviation."""
OF_SPREAD = 2
"""Significant digits of a standard deviation, to whose last place the mean is rounded."""
MOST_DECIMALS = 2
"""Decimals of a percentage."""
SMALLEST, LARGEST = 1e-5, 1e7
"""Outside of these a number is written with an exponent."""
NOTHING = 1e-6
"""Share of the mean below which a standard deviation is rounding."""


def number(value: float) -> str:
    """Write four significant digits, all digits of a large number: 0.01208, 12346, 6.556e-29."""
    if not isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if not SMALLEST <= abs(value) < LARGEST:
        return f"{value:.{DIGITS}g}"
    digits = f"{value:.{max(0, DIGITS - 1 - _exponent(value))}f}"
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def percent(share: float) -> str:
    """Write a share in percent: 93.31 %."""
    return f"{100 * share:.{MOST_DECIMALS}f} %" if isfinite(share) else f"{share} %"


def with_spread(mean: float, std: float | None, share: bool = False) -> str:
    """Write mean ± standard deviation: 200 ± 100, 0.9649 ± 0.0058; of a share 93.3 ± 1.9 %.

    The standard deviation has two significant digits, and the mean as many decimals; None or NaN
    leaves the mean alone.
    """
    one = percent(mean) if share else number(mean)
    if std is None or not isfinite(std) or not isfinite(mean):
        return one
    if share:
        return f"{_rounded(100 * mean, 100 * std, MOST_DECIMALS)} %"
    if std <= NOTHING * abs(mean):
        return f"{one} ± 0"
    if not SMALLEST <= abs(mean) + std < LARGEST:
        return f"{mean:.2e} ± {std:.1e}"
    return _rounded(mean, std, None)


def _rounded(mean: float, std: float, most: int | None) -> str:
    decimals = most or 0
    if std > 0:
        decimals = OF_SPREAD - 1 - _exponent(std)
        if _exponent(round(std, decimals)) > _exponent(std):  # 0.0999 is 0.10, not 0.100
            decimals -= 1
        decimals = decimals if most is None else min(decimals, most)
    shown = max(0, decimals)
    return f"{round(mean, decimals):.{shown}f} ± {round(std, decimals):.{shown}f}"


def _exponent(value: float) -> int:
    return floor(log10(abs(value)))


def significant(values: Iterable[float]) -> list[float]:
    """Round numbers for the charts of a page to four significant digits."""
    return [float(f"{value:.4g}") for value in values]


def p_text(p: float, sign: str = "=") -> str:
    """Write a p-value in two digits: p = 0.012; p < 0.0001."""
    return f"p {sign} {p:.2g}" if p >= 1e-4 else "p < 0.0001"


def brief(value: Value) -> str:
    """Write a setting: 10000 for 10000.0, 1e-06."""
    return f"{value:.12g}" if isinstance(value, float) else value_text(value)


def display_name(name: str) -> str:
    """Write the name of a head or loss for people, as in `clipped-linear`, `BCE`."""
    written = {"gaussian_nll": "Gaussian NLL", "beta_nll": "β-NLL"}
    if name in written:
        return written[name]
    short = ("se", "bce", "ce", "mae", "gce", "nll", "mdn")
    return name.upper() if name in short else name.replace("_", "-")


def display_pair(pair: str) -> str:
    """Write a pair for people, as in `sigmoid + SE`."""
    return " + ".join(map(display_name, filter(None, pair.split("+")))) or "unknown pair"


OUTPUTS = {
    "prediction/target_1": " for target 1",
    "prediction/target_0": " for target 0",
    "prediction/mean": "",
}
"""Tag of a mean output → the words that follow it in a sentence."""


def output_texts(metrics: Mapping[str, float]) -> list[str]:
    """Write the mean outputs by target, as in `0.2028 for target 0`; none if none was measured."""
    found = {tag: metrics[tag] for tag in OUTPUTS if metrics.get(tag, nan) == metrics.get(tag, nan)}
    return [f"{value:.4g}{OUTPUTS[tag]}" for tag, value in found.items()]
