"""HTML of displays: every text escaped, no script, no stylesheet, the colours of the page's theme.

Styles are inline and leave the colour of text alone, so that a display is as readable in a dark
notebook as in a light one; a ground is translucent, and says nothing that no word says.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mlr.core.text import printable

DIM = "opacity:.8;font-size:.92em"
GOOD, BAD, NOTE, PLAIN = (
    "rgba(0,158,115,.22)",
    "rgba(213,94,0,.22)",
    "rgba(201,133,0,.22)",
    "rgba(128,128,128,.18)",
)
"""Grounds: translucent green, vermillion, amber and grey."""


def text(value: str) -> str:
    """Escape a text that others may have written, control characters too."""
    return escape(printable(value))


def element(tag: str, inner: str, style: str = "") -> str:
    """Write an element around HTML."""
    return f'<{tag} style="{style}">{inner}</{tag}>' if style else f"<{tag}>{inner}</{tag}>"


def paragraph(value: str, style: str = "") -> str:
    """Write a paragraph of text."""
    return element("p", text(value), f"margin:.35em 0;{style}")


def named(name: str, inner: str, style: str = "") -> str:
    """Write a line of HTML after a dim name, as `evidence  …`."""
    label = element("span", text(name), "opacity:.8;display:inline-block;min-width:5em")
    return element("div", f"{label} {inner}", style)


def badge(value: str, ground: str) -> str:
    """Write a word on a ground."""
    return element("b", text(value), f"background:{ground};padding:.1em .45em;border-radius:.3em")


def display(*parts: str) -> str:
    """Join the parts of a display."""
    return element("div", "".join(parts), "line-height:1.45")


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], lead: int, grounds: Sequence[Sequence[str]]
) -> str:
    """Write a table of texts, which can be scrolled if it is too wide.

    Args:
        heads: C names of columns.
        rows: of C cells.
        lead: number of the first columns, which are aligned to the left; numbers to the right.
        grounds: ground of each cell, as `rows`; empty for none.
    """
    line = "border:0;padding:.25em .55em;white-space:nowrap;text-align"
    sides = ["left" if at < lead else "right" for at in range(len(heads))]
    names = "".join(
        f'<th scope="col" style="{line}:{side}">{text(head)}</th>'
        for head, side in zip(heads, sides, strict=True)
    )
    body = []
    for cells, own in zip(rows, grounds, strict=True):
        written = [
            element(
                "td", text(cell), f"{line}:{side}" + (f";background:{ground}" if ground else "")
            )
            for cell, side, ground in zip(cells, sides, own, strict=True)
        ]
        body.append(f"<tr>{''.join(written)}</tr>")
    style = "border-collapse:collapse;margin:.4em 0;font-variant-numeric:tabular-nums"
    inner = f"<thead><tr>{names}</tr></thead><tbody>{''.join(body)}</tbody>"
    return element("div", element("table", inner, style), "overflow-x:auto")
