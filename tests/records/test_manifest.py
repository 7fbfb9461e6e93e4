"""A seal has one spelling, and a table knows its SHA-256 however it was written."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from mlr.checks import DataError
from mlr.records.manifest import JSON, YAML, entry, sealed, unsealed
from mlr.records.table import MetricsTable


@pytest.mark.parametrize("marks", [JSON, YAML])
@pytest.mark.parametrize("body", [b"", b"{\n", b"status: done\n"])
def test_only_what_was_sealed_is_unsealed(body, marks):
    content = sealed(body, marks)
    assert unsealed(content, marks) == body
    spoiled = [content[:size] for size in range(len(content))]
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        spoiled.append(bytes(flipped))
    for one in [*spoiled, content + b"\n", content.upper(), content * 2]:
        with pytest.raises(ValueError, match="SHA-256"):
            unsealed(one, marks)


@pytest.mark.parametrize("seed", range(6))
def test_the_table_knows_its_sha256_without_reading(tmp_path, seed):
    """Whenever it is flushed, and whether its last row is filled before that or after."""
    random, path = np.random.default_rng(seed), tmp_path / "metrics.csv"
    table = MetricsTable(path, ["a", "b"])
    for call in range(40):
        present = np.array([[call % 2 == 0, call % 2 == 1]])
        table.append(np.array([call // 2]), np.array([1.0]), random.random((1, 2)), present)
        if random.random() < 0.5:
            table.flush()
            assert table.entry() == entry(path.read_bytes())
            if random.random() < 0.3:
                position = table.position()
                with path.open("ab") as file:
                    file.write(b"9,9,9,9\n")
                table = MetricsTable(path, ["a", "b"])
                table.go_on(position)
    table.close()
    assert table.entry() == entry(path.read_bytes())


def test_a_table_goes_on_only_with_the_rows_it_had(tmp_path):
    path = tmp_path / "metrics.csv"
    table = MetricsTable(path, ["a"])
    table.append(np.arange(9), np.zeros(9), np.ones((9, 1)))
    table.flush()
    position, content = table.position(), path.read_bytes()
    assert position["sha256"] == sha256(content[: -len(position["last"])]).hexdigest()
    for at in range(len(content) - len(position["last"])):
        path.write_bytes(content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])
        with pytest.raises(DataError, match=r"metrics\.csv is damaged"):
            MetricsTable(path, ["a"]).go_on(position)
    path.unlink()
    with pytest.raises(DataError, match="No such file"):
        MetricsTable(path, ["a"]).go_on(position)
