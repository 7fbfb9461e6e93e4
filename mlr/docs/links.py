"""Links of the Markdown files that are no pages of the site: README, those of folders, .github.

Sphinx checks the pages; these are read on the repository's own page, and checked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
READ_THERE = ("*.md", "configs/*.md", "scripts/*.md", ".github/**/*.md")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)


def files() -> list[Path]:
    """List the files."""
    return sorted(path for pattern in READ_THERE for path in ROOT.glob(pattern))


def broken_links(paths: list[Path]) -> Iterator[str]:
    """Yield a line for each link to a file or a heading that does not exist."""
    for path in paths:
        for link in links(path):
            name, _, anchor = link.partition("#")
            target = path.parent / name if name else path
            if not target.exists() or (anchor and anchor not in anchors(target)):
                yield f"{path.relative_to(ROOT)}: link to {link}, which does not exist"


def links(path: Path) -> list[str]:
    """List the links of a file to others of the repository."""
    found: list[str] = LINK.findall(CODE.sub("", path.read_text(encoding="utf-8")))
    return [link for link in found if not link.startswith(("https://", "http://", "mailto:"))]


def anchors(path: Path) -> set[str]:
    """Return the names that links to the headings of a page have."""
    text = CODE.sub(lambda code: code[0].strip("`\n"), path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def external_links() -> str:
    """Return a page with the addresses of the files, for Sphinx to ask for."""
    addresses = {
        address
        for path in files()
        for address in re.findall(r"https?://[^\s)>\]]+", path.read_text(encoding="utf-8"))
    }
    lines = [f"- <{address}>" for address in sorted(addresses)]
    return "\n".join(["---", "orphan: true", "---", "# Links of other files", "", *lines, ""])
