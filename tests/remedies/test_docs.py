"""The example of the page prints what the page shows, and its numbers are the program's."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from mlr.analysis.explain.gain import FEWEST_EXAMPLES
from mlr.remedies import trial

PAGE = Path(__file__).parents[2] / "mlr" / "docs" / "program_faults.md"
TEXT = PAGE.read_text(encoding="utf-8")


def block(mark):
    """The block after a mark."""
    return re.search(rf"<!-- {mark} -->\n```\w+\n(.*?)```", TEXT, re.DOTALL)[1]


def test_the_example_prints_what_the_page_shows(capsys):
    torch.manual_seed(0)
    scope: dict = {}
    exec(block("example: try_remedies.py"), scope)
    printed = capsys.readouterr().out.splitlines()
    shown = block("output").splitlines()
    assert len(printed) == len(shown)
    for line, row in zip(printed, shown, strict=True):
        assert line.startswith(row.removesuffix("…").rstrip())
    assert scope["tried"].best == ["remove the sigmoid at the end of the model"]


def test_numbers_of_the_page():
    text = " ".join(TEXT.split())
    assert f"over {trial.CHECKS[0]} to {trial.SEEDS} seeds" in text
    assert f"(at most {trial.STEPS} by default)" in text
    assert "by four examples and a tenth of the errors" in text
    assert FEWEST_EXAMPLES == 4
