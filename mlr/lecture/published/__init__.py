"""Published results next to ours: numbers of papers and books, and the same measured here.

A result is a function like that of a slide; its `Answer` holds a `PublishedNumber` for each number.
A difference is reported, never tuned away. `lecture.py published` runs the results, and each has a
section of the lecture's page. Numbers are quoted from sources that were read; where a source gives
words, these are quoted instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from mlr.core.checks import InputError, nearest, unknown
from mlr.lecture.page.answer import Chapter, PublishedNumber, Slide
from mlr.lecture.published.cement import cement_strength
from mlr.lecture.published.glorot import glorot_plateaus
from mlr.lecture.published.hidden import nielsen_30, nielsen_100
from mlr.lecture.published.lecun import lecun_linear
from mlr.lecture.published.neuron import nielsen_neuron
from mlr.lecture.published.nielsen import nielsen_curves
from mlr.lecture.published.noise import noisy_labels
from mlr.lecture.published.squares import many_classes, squares_on_digits

NAME = "published"
LONGEST = 24
"""Length to which a mistyped name is shortened."""
QUICK = (
    Slide("nielsen_neuron", "Nielsen's saturated neuron", nielsen_neuron),
    Slide("lecun_linear", "LeCun's linear classifier", lecun_linear),
    Slide("glorot_plateaus", "Glorot and Bengio's plateaus", glorot_plateaus),
    Slide("many_classes", "Squared error and many classes", many_classes),
    Slide("squares_on_digits", "Squared error on digits", squares_on_digits),
    Slide("cement", "Ordered classes of cement", cement_strength),
    Slide("nielsen_curves", "Nielsen's stored curves", nielsen_curves),
)
SLOW = (
    Slide("nielsen_30", "Nielsen's 30 hidden units", nielsen_30),
    Slide("nielsen_100", "Nielsen's 100 hidden units", nielsen_100),
    Slide("noise", "Losses against wrong labels", noisy_labels),
)
"""Sweeps of minutes to a quarter of an hour, run by name only."""
CHAPTER = Chapter("Published results", (*QUICK, *SLOW))


def select_results(names: Sequence[str]) -> list[Slide]:
    """Select results by name; without names, the quick ones.

    Raises:
        InputError: There is no result of that name.
    """
    by_name = {str(result.number): result for result in CHAPTER.slides}
    for name in names:
        if name not in by_name:
            raise InputError(
                unknown(f"result {shortened(name)}", by_name, nearest(name, by_name, 0.5))
            )
    return [by_name[name] for name in names] or list(QUICK)


def names() -> tuple[str, ...]:
    """List the names of all results."""
    return tuple(str(result.number) for result in CHAPTER.slides)


def shortened(name: str) -> str:
    """Shorten a long word that was typed."""
    return (name if len(name) <= LONGEST else f"{name[:LONGEST]}…") or "''"


def published_table(rows: Sequence[PublishedNumber]) -> Table:
    """Build a table of the published numbers, ours, and the differences."""
    built = Table(box=box.SIMPLE_HEAD)
    built.add_column("measured")
    for name in ("published", "here", "difference"):
        built.add_column(name, justify="right")
    built.add_column("source")
    for row in rows:
        cells = (row.what, row.theirs, row.measured, row.difference, row.source)
        built.add_row(*(escape(cell) for cell in cells))
    return built
