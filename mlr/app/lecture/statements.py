"""Claims in the words of slides whose numbers have more digits, or are bounds."""

from __future__ import annotations

from mlr.app.lecture.answer import Claim


def told(value: float, form: str = ".6g") -> str:
    """A number as a person writes it, with a true minus sign."""
    return format(value, form).replace("-", "−")


def near(text: str, measured: float, expected: float, within: float, form: str = ".7g") -> Claim:
    """The claim that `measured` is `expected`, but for `within` of it at most (relative).

    Args:
        text: the claim, its number written out.
        measured: through mlr, just now.
        expected: the number of the claim.
        within: what rounding may add or take, as a share of `expected`.
        form: how the measured number is written.
    """
    off = abs(measured / expected - 1)
    return Claim(text, f"{told(measured, form)} (off by {off:.0e})", off <= within)


def at_most(text: str, measured: float, bound: float) -> Claim:
    """The claim that a difference is no larger than `bound`, as its text says."""
    return Claim(text, told(measured, ".1e") if measured else "0", measured <= bound)
