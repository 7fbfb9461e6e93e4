"""Findings in a terminal, a line a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from mlr.analysis.verify.findings import DAMAGED, FORMAT, GOOD, MENDED, NOTE, UNREADABLE, Examined
from mlr.core.console import shown
from mlr.core.text import printable

STYLES = {GOOD: "green", NOTE: "yellow", MENDED: "cyan"}
STYLES |= dict.fromkeys((DAMAGED, UNREADABLE, FORMAT), "red")


def print_examined(out: Console, one: Examined, brief: bool) -> None:
    """A folder and its files.

    Args:
        out: where to.
        one: the folder.
        brief: leave out what is good, and folders of which all is.
    """
    found = [file for file in one.found if not brief or file.kind != GOOD]
    if brief and not found and not one.go_on:
        return
    state = "; continue with: ".join(filter(None, (one.state, one.go_on)))
    _print(out, Text(printable(shown(one.place)), style="bold"), Text(f"  {printable(state)}"))
    width = max((len(printable(file.name)) for file in found), default=0)
    for file in found:
        kind = Text(f"  {file.kind:10}", style=STYLES[file.kind])
        name = printable(file.name)
        _print(out, kind, Text(f"  {name:{width}}  {printable(file.text)}".rstrip()))


def print_sum(out: Console, kinds: Sequence[str], folders: int) -> None:
    """How many files are good, and how many not."""
    counts = Counter(kinds)
    parts = [f"{counts[kind]:,} {kind}" for kind in STYLES if counts[kind]]
    where = f" in {folders:,} folders" if folders > 1 else ""
    _print(out, Text(f"{len(kinds):,} files{where}: {', '.join(parts)}"))


def _print(out: Console, *parts: Text) -> None:
    out.print(Text.assemble(*parts), soft_wrap=True)
