from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from mlr.lecture import readme_picture

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "path"),
    [((), ROOT / ".assets" / "gradient.png"), (("--out", "it.png"), Path("it.png"))],
)
def test_the_picture_is_drawn_where_it_is_asked_for(monkeypatch, capsys, words, path):
    drawn = []
    monkeypatch.setattr(readme_picture, "draw_readme_picture", drawn.append)
    monkeypatch.setattr(sys, "argv", ["readme_picture", *words])
    assert readme_picture.main() == 0
    assert drawn == [path]
    assert capsys.readouterr().out == f"drawn: {path}\n"


def test_help_draws_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["readme_picture", "--help"])
    with pytest.raises(SystemExit), pytest.warns(RuntimeWarning, match="found in sys.modules"):
        runpy.run_module("mlr.lecture.readme_picture", run_name="__main__")
    assert "python -m mlr.lecture.readme_picture" in capsys.readouterr().out
