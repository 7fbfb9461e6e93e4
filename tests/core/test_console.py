"""Names that others gave their runs reach no terminal as a command."""

from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

from mlr.core import console


def test_names_move_no_cursor(capsys):
    table = Table()
    table.add_column("a\x1b]0;owned\x07b")
    table.add_row(Text("c\x9bd\u202ee"))
    console.console().print(table)
    console.console().print("one\ntwo\x1b[2J")
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(out)
    assert "a\\x1b]0" in out
    assert "one\ntwo\\x1b[2J\n" in out


def test_a_refusal_is_one_line(capsys):
    console.refuse("a\nb\x1b[31m" + "x " * 500 + "; use y.")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert len(err) <= 201
    assert err.endswith("; use y.\n")


def test_a_folder_is_never_an_option():
    assert console.shown(Path("-x")) == "./-x"
