"""HTML document and stylesheet shared by mlr's pages, each a file that needs no other."""

from __future__ import annotations

from contextlib import suppress
from html import escape
from importlib.resources import files
from pathlib import Path

from mlr.core.checks import InputError

BASE = files("mlr.analysis").joinpath("page.css").read_text(encoding="utf-8")
"""Stylesheet of all pages: large system type, light and dark, hall and phone and paper."""
GENERATOR = '<meta name="generator" content="mlr">'
"""Mark of a page that mlr wrote."""


def document(title: str, policy: str, style: str, body: str) -> str:
    """Write a page: title as text, Content-Security-Policy, stylesheet and content of <body>."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{GENERATOR}
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{escape(policy, quote=False)}">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body id="top">
{body}
</body>
</html>
"""


def refuse_foreign_page(path: Path) -> None:
    """Refuse to overwrite a page that mlr has not written.

    Raises:
        InputError: `path` is one.
    """
    with suppress(OSError):  # no such file, or an error that writing will report
        if path.is_file() and GENERATOR.encode() not in path.read_bytes():
            raise InputError(f"{path} was not written by mlr; move it, or stand in another folder.")
