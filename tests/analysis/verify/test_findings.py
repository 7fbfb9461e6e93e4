"""Errors of checks as kinds of findings."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mlr.analysis.verify.findings import judged
from mlr.core.checks import DataError, UnreadableError
from mlr.records.status import FormatError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, ("ok", "a", "")),
        (FileNotFoundError(errno.ENOENT, "no"), ("damaged", "a", "is missing")),
        (PermissionError(errno.EACCES, "denied"), ("unreadable", "a", "denied")),
        (OSError("odd"), ("unreadable", "a", "odd")),
        (UnreadableError("a disk fails."), ("unreadable", "a", "a disk fails.")),
        (DataError("here/a is damaged: its end."), ("damaged", "a", "its end")),
        (DataError("here/a has 1 byte."), ("damaged", "a", "has 1 byte")),
        (MemoryError(), ("unreadable", "a", "it is more than memory holds")),
        (FormatError("is of format 1."), ("format", "a", "is of format 1")),
        (ValueError("is short."), ("damaged", "a", "is short")),
    ],
)  # fmt: skip
def test_errors_are_kinds_of_findings(tmp_path, monkeypatch, error, expected):
    def check() -> None:
        if error is not None:
            raise error

    monkeypatch.chdir(tmp_path)
    Path("here").mkdir()
    Path("here/a").touch()
    assert judged(Path("here"), "a", check) == expected
