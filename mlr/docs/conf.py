"""Settings of Sphinx."""

from typing import Any

project = "mlr"
author = "the mlr authors"
copyright = "the mlr authors, MIT licence"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["attrs_inline", "colon_fence"]
myst_heading_anchors = 3
# single backquotes in docstrings are code
default_role = "code"
autodoc_typehints = "description"
autodoc_member_order = "bysource"
html_theme = "furo"
html_title = "mlr"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False


def escape_bars(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let |y − t| be itself, and no substitution of reStructuredText."""
    lines[:] = [line.replace("|", r"\|") for line in lines]


def setup(app: Any) -> None:
    """Register the change of docstrings."""
    app.connect("autodoc-process-docstring", escape_bars, priority=900)
