from __future__ import annotations

from pathlib import Path

import pytest

from mlr.figures import record

PICTURES = record.PICTURES
XOR = ("experiment=xor", "steps=30", "model.widths=[8]")


@pytest.fixture
def made(trained_before, monkeypatch):
    """Makes the folder of a finished run, trained once, and lets figures be drawn again."""

    def make(name: str, *line: str) -> Path:
        folder = trained_before(name, *line)
        monkeypatch.setattr("mlr.figures.record.PICTURES", PICTURES)
        return folder

    return make


@pytest.fixture
def xor(made) -> Path:
    return made("xor", *XOR)
