"""A checkpoint's file: exact, and never silently wrong."""

from __future__ import annotations

import json
import math
import random

import numpy as np
import pytest
from safetensors.numpy import load_file

from mlr.core.checks import DataError
from mlr.records.checkpoint_file import decode, encode, read

ARRAYS = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "wide": np.array([math.pi, math.inf, math.nan]),
    "count": np.array(7),
    "mask": np.array([True, False]),
    "bytes": np.arange(5, dtype=np.uint8),
    "none": np.zeros((0, 4), np.float32),
}
ABOUT = {"step": 3, "lowest": math.inf, "config": {"head": "sigmoid", "note": "σ\n'"}}


def written(tmp_path, content):
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(content)
    return path


def test_what_is_written_is_read(tmp_path):
    found = read(written(tmp_path, encode(ARRAYS, ABOUT)))
    assert found.about == ABOUT
    assert found.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].tobytes() == array.tobytes()
        assert found.arrays[name].shape == array.shape


def test_the_order_is_kept_and_the_bytes_are_the_same():
    """The lecture compares parameters in their order; safetensors itself reads them in any."""
    names = [f"{letter}.{number}" for number in range(9) for letter in "wba"]
    arrays = {name: np.full(number, number, np.float32) for number, name in enumerate(names)}
    content = encode(arrays, ABOUT)
    assert encode(arrays, ABOUT) == content
    for _ in range(5):
        assert list(decode(bytearray(content)).arrays) == names


def test_other_tools_read_it(tmp_path):
    arrays = load_file(written(tmp_path, encode(ARRAYS, ABOUT)))
    np.testing.assert_array_equal(arrays["weight"], ARRAYS["weight"])


def test_every_truncation_is_refused(tmp_path):
    content = encode(ARRAYS, ABOUT)
    for size in range(len(content)):
        with pytest.raises(ValueError, match="it is no whole checkpoint"):
            decode(bytearray(content[:size]))
    with pytest.raises(DataError, match="damaged"):
        read(written(tmp_path, content + b"\0"))


def test_every_flipped_bit_is_refused():
    content = encode(ARRAYS, ABOUT)
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="it is no whole checkpoint"):
            decode(flipped)


def test_garbage_is_refused(tmp_path):
    generator = random.Random(0)
    hostile = [
        b"",
        b"\x80\x04\x95",  # a pickle
        b"PK\x03\x04" + bytes(100),
        (2**63).to_bytes(8, "little") + b"{}",
        (200_000).to_bytes(8, "little") + b"[" * 200_000,
        *(generator.randbytes(200) for _ in range(300)),
    ]
    for content in hostile:
        with pytest.raises(DataError, match="damaged"):
            read(written(tmp_path, content))


@pytest.mark.parametrize(
    "offsets", [["0", "32"], [-32, 0], [0.0, 32.0], [True, 33], [0, 31], [0, 10**30], [0], 1]
)
def test_a_seal_that_lies_nowhere_is_refused(tmp_path, offsets):
    header = json.dumps({"~sha256": {"data_offsets": offsets}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(64)
    with pytest.raises(DataError, match="it is no whole checkpoint"):
        read(written(tmp_path, content))


@pytest.mark.parametrize("told", [[], {}, {"order": ["x"], "about": {}}, {"order": 3}])
def test_what_does_not_say_what_its_tensors_are_is_refused(monkeypatch, told):
    monkeypatch.setattr(
        "mlr.records.checkpoint_file.json.dumps", lambda _: str(told).replace("'", '"')
    )
    content = encode(ARRAYS, ABOUT)
    with pytest.raises(ValueError, match="it is no whole checkpoint"):
        decode(bytearray(content))


def test_a_checkpoint_of_format_2_is_read(monkeypatch):
    """It had a checksum of each tensor in place of their order."""
    dumps = json.dumps
    sums = {"sums": dict.fromkeys(ARRAYS, 7), "about": ABOUT}
    monkeypatch.setattr("mlr.records.checkpoint_file.json.dumps", lambda _: dumps(sums))
    arrays, about = decode(bytearray(encode(ARRAYS, ABOUT)))
    assert (list(arrays), about) == (list(ARRAYS), ABOUT)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.safetensors cannot be read: No such file"):
        read(tmp_path / "none.safetensors")
