"""Files of others: loaded only if they are data, and say each thing once."""

from __future__ import annotations

import os
import time

import pytest

from mlr.core.checks import InputError
from mlr.records import plain_yaml
from mlr.records.plain_yaml import parsed, read_text, read_yaml


def read_whole(path):
    """Read a file without splitting it into entries."""
    return parsed(read_text(path), path)


READERS = pytest.mark.parametrize("read", [read_whole, read_yaml])
BAD = {
    "a:\n" + "- x\n" * 250_000: "line 249999: comes to more than 250,000 values",
    "[" * 100_000: "line 1: is nested more than 64 deep",
    "".join(f"{'  ' * n}a:\n" for n in range(64))
    + 128 * " "
    + "a: 1\n": "nested more than 64 deep",
    f"a:\n  b: {'[' * 63}{']' * 63}\n": "line 2: is nested more than 64 deep",
    "a: 1\nb:\n  c: 1\n  c: 2\n": "line 4: has the key 'c' twice",
    "a: {b: 1, b: 2}": "line 1: has the key 'b' twice",
    "a:\n\tb: 1\n": "line 2: has a tab",
    "a: !!python/object/apply:os.system ['x']": "line 1: has a tag",
    "a: !mine 1": "line 1: has a tag",
    "a: !!binary aGk=": "line 1: has a tag",
    "a: &a {b: 1}\nc: *a\n": r"line 2: has an alias, .*write the value again, or \${its.key}",
    "? [a, b]\n: 1\n": "line 1: has a key that is not a plain word",
    "a: 1\n---\nb: 2\n": "line 2: holds a second document",
    "a: [1,": "is not YAML",
    "a: 2026-99-99": "holds a value that YAML does not know",
    "a: " + "1" * 5000: "holds a value that YAML does not know",
    "a: {b: -" + "9" * 310 + "}": "holds a value that YAML does not know",
    "a: " + "x" * 5_000_000: "is larger than 4 MiB",
}


@READERS
@pytest.mark.parametrize(("text", "why"), BAD.items(), ids=range(len(BAD)))
def test_a_file_is_refused_with_its_line(tmp_path, text, why, read):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    start = time.monotonic()
    with pytest.raises(InputError, match="a.yaml.*" + why):
        read(path)
    assert time.monotonic() - start < 2


@READERS
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        (
            "a:\n  b: 1\n  'yes': no\n  c:\n  - x\n  - d: 2\n    e: 3\nf: null\n",
            {"a": {"b": 1, "yes": False, "c": ["x", {"d": 2, "e": 3}]}, "f": None},
        ),
        (
            "a:\n  b: |\n    c: 1\n\n    d\n\n  e: 'x\n\n    y'\nz:\n  plain\n  words\n",
            {"a": {"b": "c: 1\n\nd\n", "e": "x\ny"}, "z": "plain words"},
        ),
        ("a:\n- 1\n- b: 2\n", {"a": [1, {"b": 2}]}),
        ("# why\na: 1 # so\nyes: 2\n7: 3\n", {"a": 1, True: 2, 7: 3}),
        ("a:\n  b: 1\x85  c: 2\n", {"a": {"b": 1, "c": 2}}),
        ("- a\n- b: 1\n", ["a", {"b": 1}]),
        ("a: 1", {"a": 1}),
        ("a: {b: [1, 2.5, x]}\n", {"a": {"b": [1, 2.5, "x"]}}),
        ("a: !!str 5\n", {"a": "5"}),
        ("a: ${oc.env:HOME}\n", {"a": "${oc.env:HOME}"}),
    ],
)
def test_data_are_read(tmp_path, text, value, read):
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    assert read(path) == value


@READERS
def test_as_deep_as_may_be(tmp_path, read):
    path = tmp_path / "a.yaml"
    path.write_text("".join(f"{'  ' * n}a:\n" for n in range(63)) + 126 * " " + "a: 1\n")
    found, deep = read(path), 0
    while isinstance(found, dict):
        found, deep = found["a"], deep + 1
    assert (found, deep) == (1, 64)
    path.write_text(f"a:\n  b: {'[' * 62}{']' * 62}\nc: 1\n")
    assert read(path)["c"] == 1


def test_an_entry_that_a_file_shares_with_another_is_parsed_once(tmp_path, monkeypatch):
    entries = "head:\n  name: shared_entry\n  low: 0.0\n"
    for seed in range(3):
        (tmp_path / f"{seed}.yaml").write_text(f"{entries}seed: {seed + 1}0001\n")
    texts = []
    monkeypatch.setattr(plain_yaml, "checked", lambda text, path: texts.append(text))
    read = [read_yaml(tmp_path / f"{seed}.yaml") for seed in range(3)]
    head = {"name": "shared_entry", "low": 0.0}
    assert read == [{"head": head, "seed": 10_000 * (seed + 1) + 1} for seed in range(3)]
    assert [text for text in texts if "shared_entry" in text] == ["name: shared_entry\n"]


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nowhere", "."):
        with pytest.raises(InputError, match="is not a file"):
            read_yaml(tmp_path / name)


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_yaml(tmp_path / "a.yaml")
