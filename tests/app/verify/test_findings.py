"""Files that are too large, and kinds of findings."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from mlr.app.verify.findings import content_of, judged
from mlr.records.status import FormatError


def test_a_file_of_more_than_2_gib_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "events"
    read = []
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or b"x")
    for size, whole in ((2**31, True), (2**31 + 1, False)):
        with path.open("wb") as file:
            file.truncate(size)  # takes no room
        if whole:
            assert content_of(path, tmp_path) == b"x"
        else:
            with pytest.raises(ValueError, match="has 2,147,483,649 bytes, more than"):
                content_of(path, tmp_path)
    assert read == ["events"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, ("ok", "a", "good")),
        (FileNotFoundError(errno.ENOENT, "no"), ("damaged", "a", "is missing; mend it")),
        (PermissionError(errno.EACCES, "denied"), ("unreadable", "a", "denied")),
        (OSError("odd"), ("unreadable", "a", "odd")),
        (MemoryError(), ("unreadable", "a", "it is more than memory holds")),
        (FormatError("is of format 1."), ("format", "a", "is of format 1")),
        (ValueError("is short."), ("damaged", "a", "is short; mend it")),
    ],
)  # fmt: skip
def test_errors_are_kinds_of_findings(error, expected):
    def check() -> str:
        if error is not None:
            raise error
        return "good"

    assert judged("a", "mend it", check) == expected
