"""Published results next to ours: numbers of papers and books, and the same measured here.

A result is a function like that of a slide; its `Answer` holds `Comparison`s: what, published,
ours, the difference, the source. A difference is reported, never tuned away. `lecture.py
published` runs them, and each has a section of the lecture's page. Numbers are quoted from
sources that were read; where a source gives words, the words stand in their place.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from mlr.core.checks import InputError, nearest, unknown
from mlr.core.streams import as_shown
from mlr.lecture.answer import Comparison, Part, Slide
from mlr.lecture.published.glorot import glorot_plateaus
from mlr.lecture.published.hidden import nielsen_30, nielsen_100
from mlr.lecture.published.lecun import lecun_linear
from mlr.lecture.published.neuron import nielsen_neuron
from mlr.lecture.published.nielsen import nielsen_curves
from mlr.lecture.published.squares import many_classes, squares_on_digits

NAME = "published"
LONGEST = 24
"""Characters of a mistyped name that are shown."""
QUICK = (
    Slide("nielsen_neuron", "Nielsen's saturated neuron", nielsen_neuron),
    Slide("lecun_linear", "LeCun's linear classifier", lecun_linear),
    Slide("glorot_plateaus", "Glorot and Bengio's plateaus", glorot_plateaus),
    Slide("many_classes", "Squared error and many classes", many_classes),
    Slide("squares_on_digits", "Squared error on digits", squares_on_digits),
    Slide("nielsen_curves", "Nielsen's stored curves", nielsen_curves),
)
SLOW = (
    Slide("nielsen_30", "Nielsen's 30 hidden units", nielsen_30),
    Slide("nielsen_100", "Nielsen's 100 hidden units", nielsen_100),
)
"""Sweeps of minutes to a quarter of an hour, run by name only."""
PART = Part("Published results", (*QUICK, *SLOW))


def chosen(names: Sequence[str]) -> list[Slide]:
    """The results of these names; the quick ones for none.

    Raises:
        InputError: there is no such result.
    """
    by_name = {str(result.number): result for result in PART.slides}
    for name in names:
        if name not in by_name:
            raise InputError(unknown(f"result {shown(name)}", by_name, nearest(name, by_name, 0.5)))
    return [by_name[name] for name in names] or list(QUICK)


def names() -> tuple[str, ...]:
    """Names of all results."""
    return tuple(str(result.number) for result in PART.slides)


def shown(name: str) -> str:
    """The word that was typed, shortened if it is long."""
    return (name if len(name) <= LONGEST else f"{name[:LONGEST]}…") or "''"


def table(rows: Sequence[Comparison]) -> Table:
    """Ours, theirs, and the difference."""
    made = Table(box=box.SIMPLE_HEAD)
    made.add_column("measured")
    for name in ("published", "here", "difference"):
        made.add_column(name, justify="right")
    made.add_column("source")
    for row in rows:
        cells = (row.what, row.theirs, row.measured, row.difference, row.source)
        made.add_row(*(escape(as_shown(cell)) for cell in cells))
    return made
