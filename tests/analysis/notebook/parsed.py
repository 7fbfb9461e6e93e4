"""Displays as a browser reads them: elements, texts and tables."""

from __future__ import annotations

import re
from html.parser import HTMLParser

KNOWN = {
    *("div", "p", "b", "span", "code", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
    *("svg", "title", "path", "text"),
}


class Parsed(HTMLParser):
    """Elements of a display; it fails on what is not closed, unknown, or could run."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tables: list[list[list[tuple[str, str]]]] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in KNOWN, tag
        own = {name: value or "" for name, value in attrs}
        assert not [name for name in own if name.startswith("on") or name in ("href", "src")]
        # the colour of text is the theme's
        assert not re.search(r"(?<!-)\bcolor\s*:", own.get("style", ""))
        self.found.append((tag, own))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append(("", own.get("style", "")))
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            _, style = self.tables[-1][-1].pop()
            self.tables[-1][-1].append((data, style))

    @property
    def text(self) -> str:
        """All texts, blanks as one."""
        return " ".join(" ".join(self.texts).split())

    def cells(self, at: int = 0) -> list[list[str]]:
        """The texts of a table."""
        return [[text for text, _ in row] for row in self.tables[at]]

    def of(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a kind."""
        return [own for name, own in self.found if name == tag]
