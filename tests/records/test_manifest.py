"""A seal has one spelling, and a table knows its SHA-256 however it was written."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from mlr.core.checks import DataError
from mlr.records.manifest import (
    JSON,
    YAML,
    check_entry,
    entries,
    entry,
    read_small,
    sealed,
    size_of,
    unsealed,
)
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


def test_a_file_is_held_against_its_size_and_its_sha256(tmp_path):
    path = tmp_path / "a"
    known = {"bytes": 1234, "sha256": sha256(b"x" * 1234).hexdigest()}
    for size, told in ((1233, "ends at byte 1,233 of 1,234"), (1235, "is longer: 1,235 of 1,234")):
        path.write_bytes(b"x" * size)
        with pytest.raises(ValueError, match=told):
            check_entry(path, tmp_path, known)
    path.write_bytes(b"x" * 1233 + b"y")
    check_entry(path, tmp_path, {"bytes": 1234})
    with pytest.raises(ValueError, match="its 1,234 bytes have another SHA-256 than they had"):
        check_entry(path, tmp_path, known)
    path.write_bytes(b"x" * 1234)
    check_entry(path, tmp_path, known)
    assert entry(b"x" * 1234) == known


def test_what_is_no_file_of_the_folder_has_no_size(tmp_path):
    (tmp_path / "run").mkdir()
    for place in ("run/a", "outside"):
        (tmp_path / place).write_bytes(b"abc")
    (tmp_path / "run/inner").symlink_to("a")
    (tmp_path / "run/outer").symlink_to("../outside")
    assert [size_of(tmp_path / "run" / name, tmp_path / "run") for name in ("a", "inner")] == [3, 3]
    with pytest.raises(ValueError, match="is a link out of the folder, which is not followed"):
        size_of(tmp_path / "run/outer", tmp_path / "run")
    with pytest.raises(ValueError, match="is not a file"):
        size_of(tmp_path / "run", tmp_path)


def test_files_are_listed_as_they_were_written_else_as_they_are(tmp_path):
    (tmp_path / "metrics.csv").write_bytes(b"changed")
    (tmp_path / "checkpoint.safetensors").write_bytes(b"abc")
    (tmp_path / "notes.txt").write_bytes(b"mine")
    found = entries(tmp_path, {"metrics.csv": {"bytes": 4}, "events": {"bytes": 9}})
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert found == {
        "checkpoint.safetensors": {"bytes": 3, "sha256": abc},
        "events": {"bytes": 9},
        "metrics.csv": {"bytes": 4},
    }
    assert list(found) == sorted(found)


def test_a_file_of_the_largest_size_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("mlr.records.manifest.MOST", 3)
    (tmp_path / "a").write_bytes(b"abc")
    assert read_small(tmp_path / "a") == b"abc"
    (tmp_path / "a").write_bytes(b"abcd")
    with pytest.raises(ValueError, match="it has 4 bytes, more than 3"):
        read_small(tmp_path / "a")


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
