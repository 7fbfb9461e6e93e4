"""Slides and their answers: a sentence, its claims, and pictures of the runs behind them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc
from math import isfinite
from pathlib import Path

from mlr.lecture.lab import Lab

DECIMAL = re.compile(r"(?<![\w.])−?\d[\d,]*(?:\.\d+)?(?!×10)")
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True)
class Claim:
    """One checked statement.

    text: the claim, with its number.
    measured: the number that was measured just now.
    holds: True if the measurement confirms the claim.
    """

    text: str
    measured: str
    holds: bool


@dataclass(frozen=True)
class Illustration:
    """One picture of an answer.

    title: caption, also the text for screen readers.
    svg: the drawing, from `drawing.svg`.
    command: shell command that reproduces it; empty for the slide's own.
    run: folder of the run or sweep that is drawn; None if nothing was trained.
    """

    title: str
    svg: str
    command: str = ""
    run: Path | None = None


@dataclass(frozen=True)
class PublishedNumber:
    """A published number and the same measured here, reported without a verdict.

    what: the measured quantity.
    published: the number, or the words where the source gives none.
    ours: our number, measured just now.
    digits: decimals that are shown; those of the source, or more.
    source: author and place of the publication.
    unit: unit of both numbers.
    """

    what: str
    published: float | str
    ours: float | str
    digits: int
    source: str
    unit: str = ""

    @property
    def theirs(self) -> str:
        """The published number as text."""
        return self._text(self.published)

    @property
    def measured(self) -> str:
        """Our number as text."""
        return self._text(self.ours)

    @property
    def difference(self) -> str:
        """Ours − theirs; empty if one of them is in words."""
        if isinstance(self.published, str) or isinstance(self.ours, str):
            return ""
        off = self.ours - self.published
        if abs(off) < 0.5 * 10.0**-self.digits:
            return number(off, 1)
        return f"{off:+.{self.digits}f}".replace("-", "−")

    def _text(self, value: float | str) -> str:
        if isinstance(value, str):
            return value
        return f"{value:.{self.digits}f}{self.unit}".replace("-", "−")


@dataclass(frozen=True)
class Answer:
    """The answer to a slide's question.

    sentence: one or two sentences with the measured number in them.
    claims: the claims behind it.
    pictures: at most two, drawn side by side.
    rows: published numbers next to ours.
    """

    sentence: str
    claims: tuple[Claim, ...]
    pictures: tuple[Illustration, ...] = ()
    rows: tuple[PublishedNumber, ...] = ()

    @property
    def holds(self) -> bool:
        """True if every claim holds."""
        return all(claim.holds for claim in self.claims)


@dataclass(frozen=True)
class Slide:
    """One slide of the lecture, or a published result.

    number: our number, in the order of the lecture; the name of a published result.
    title: a few words.
    ask: function that measures and answers; its docstring is the question.
    original: the slide's own question or statement, as noted down from the lecture.
    """

    number: int | str
    title: str
    ask: Callable[[Lab], Answer]
    original: str = ""

    @property
    def published(self) -> bool:
        """True for a published result, which may take minutes and need files that are absent."""
        return isinstance(self.number, str)

    @property
    def question(self) -> str:
        """First paragraph of the docstring, as one line."""
        return self._paragraphs()[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """Other paragraphs of the docstring: sources, and slips of the slide."""
        return tuple(self._paragraphs()[1:])

    def _paragraphs(self) -> list[str]:
        return [" ".join(part.split()) for part in (getdoc(self.ask) or "").split("\n\n")]


@dataclass(frozen=True)
class Chapter:
    """Slides of one topic, under a heading of the page."""

    title: str
    slides: tuple[Slide, ...]


def close(text: str, measured: float, expected: float, within: float, unit: str = "") -> Claim:
    """Claim that `measured` equals `expected`, to within `within` (absolute).

    Args:
        text: the claim, its number written out; the tolerance is added to it.
        measured: the number measured through mlr.
        expected: the number of the claim.
        within: tolerance for rounding or chance; 0 for equality.
        unit: unit of all three, as in " %".
    """
    off = abs(measured - expected)
    equal = measured == expected  # infinities too
    holds = equal or (isfinite(off) and off <= within)
    points = " points" if unit == " %" else unit  # percentages differ by percentage points
    shown = f"{number(measured)}{unit} (off by {number(off, 2)}{points})"
    if equal or not expected:
        shown = f"{number(measured, 7 if equal else 2)}{unit}"
    allowed = f", to within {number(within, 3)}{points}{_of(expected, within, unit, text)}"
    return Claim(text + allowed * (within > 0), shown, holds)


def _of(expected: float, within: float, unit: str, text: str) -> str:
    """Write “ of 0.6931472” with the digits that the tolerance needs; empty if `text` has them."""
    written = (float(one.replace(",", "").replace("−", "-")) for one in DECIMAL.findall(text))
    if not expected or any(abs(one - expected) <= within / 10 for one in written):
        return ""
    digits = next((it for it in range(1, 17) if _error(expected, it) <= within / 10), 17)
    exact = number(expected, digits)
    return "" if exact in text else f" of {exact}{unit}"


def _error(value: float, digits: int) -> float:
    return abs(float(f"{value:.{digits}g}") - value)


def number(value: float, digits: int = 7) -> str:
    """Write a number for people: 0.1481481, −4.539375×10⁻⁵, 22,063."""
    whole = isfinite(value) and value == int(value) and abs(value) < 1e15
    text = f"{int(value):,}" if whole else f"{value:.{digits}g}"
    text, _, exponent = text.replace("-", "−").replace("inf", "∞").partition("e")
    if not exponent:
        return text
    power = "10" + str(int(exponent.replace("−", "-"))).translate(RAISED)
    return {"1": power, "−1": f"−{power}"}.get(text, f"{text}×{power}")


def percent(share: float, decimals: int = 1) -> str:
    """Write a share in percent: 0.695 as 69.5 %, 1.0 as 100 %."""
    return f"{round(100 * share, decimals):g} %"
