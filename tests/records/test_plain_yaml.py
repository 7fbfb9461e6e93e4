"""Files of others: loaded only if they are data, and say each thing once."""

from __future__ import annotations

import os
import time

import pytest

from mlr.checks import InputError
from mlr.records.plain_yaml import read_yaml

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)
BAD = {
    BOMB: "line 6: comes to more than 250,000 values",
    "[" * 100_000: "line 1: is nested more than 64 deep",
    f"a: &a {'[' * 60}{']' * 60}\nb: [[[[[*a]]]]]\n": "line 2: is nested more than 64 deep",
    "a: 1\nb:\n  c: 1\n  c: 2\n": "line 4: has the key 'c' twice",
    "a: {b: 1, b: 2}": "line 1: has the key 'b' twice",
    "a:\n\tb: 1\n": "line 2: has a tab",
    "a: !!python/object/apply:os.system ['x']": "line 1: has a tag",
    "a: !mine 1": "line 1: has a tag",
    "a: !!binary aGk=": "line 1: has a tag",
    "a: &a [*a]": "line 1: has an alias of what is not whole",
    "a: *b": "line 1: has an alias of what is not whole",
    "? [a, b]\n: 1\n": "line 1: has a key that is not a plain word",
    "a: 1\n---\nb: 2\n": "line 2: holds a second document",
    "a: [1,": "is not YAML",
    "a: 2026-99-99": "holds a value that YAML does not know",
    "a: " + "1" * 5000: "holds a value that YAML does not know",
    "a: " + "x" * 5_000_000: "is larger than 4 MiB",
}


@pytest.mark.parametrize(("text", "why"), BAD.items(), ids=range(len(BAD)))
def test_a_file_is_refused_with_its_line(tmp_path, text, why):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    start = time.monotonic()
    with pytest.raises(InputError, match="a.yaml.*" + why):
        read_yaml(path)
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("a: {b: [1, 2.5, x]}\n", {"a": {"b": [1, 2.5, "x"]}}),
        ("a: &a {b: 1}\nc:\n  <<: *a\n  d: 2\n", {"a": {"b": 1}, "c": {"b": 1, "d": 2}}),
        ("a: !!str 5\n", {"a": "5"}),
        ("a: ${oc.env:HOME}\n", {"a": "${oc.env:HOME}"}),
    ],
)
def test_data_are_read(tmp_path, text, value):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    assert read_yaml(path) == value


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nowhere", "."):
        with pytest.raises(InputError, match="is not a file"):
            read_yaml(tmp_path / name)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_yaml(tmp_path / "a.yaml")
