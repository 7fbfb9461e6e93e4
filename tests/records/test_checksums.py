"""Files and their checksums."""

from __future__ import annotations

from hashlib import sha256

import pytest

from mlr.records.checksums import check_file, checksum, read_small, size_of


def test_a_file_is_held_against_its_size_and_its_sha256(tmp_path):
    path = tmp_path / "a"
    known = {"bytes": 1234, "sha256": sha256(b"x" * 1234).hexdigest()}
    for size, told in ((1233, "ends at byte 1,233 of 1,234"), (1235, "is longer: 1,235 of 1,234")):
        path.write_bytes(b"x" * size)
        with pytest.raises(ValueError, match=told):
            check_file(path, tmp_path, known)
    path.write_bytes(b"x" * 1233 + b"y")
    check_file(path, tmp_path, {"bytes": 1234})
    with pytest.raises(ValueError, match="its 1,234 bytes have another SHA-256 than they had"):
        check_file(path, tmp_path, known)
    path.write_bytes(b"x" * 1234)
    check_file(path, tmp_path, known)
    assert checksum(b"x" * 1234) == known


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


def test_a_file_of_the_largest_size_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("mlr.records.checksums.MOST", 3)
    (tmp_path / "a").write_bytes(b"abc")
    assert read_small(tmp_path / "a") == b"abc"
    (tmp_path / "a").write_bytes(b"abcd")
    with pytest.raises(ValueError, match="it has 4 bytes, more than 3"):
        read_small(tmp_path / "a")
