"""Text on terminals of any encoding."""

import io
import sys

import pytest

from mlr.app import streams


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", b"||dL/dz|| 1 +- 2 ... v y - t ?"),
        ("latin-1", b"||dL/dz|| 1 \xb1 2 ... v y - t ?"),
        ("utf-8", "‖dL/dz‖ 1 ± 2 … ↓ y − t 数".encode()),
    ],
)
def test_what_an_encoding_lacks_is_replaced(monkeypatch, encoding, written):
    below = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(below, encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    streams.prepare()
    print("‖dL/dz‖ 1 ± 2 … ↓ y − t 数", end="", flush=True)
    assert below.getvalue() == written
