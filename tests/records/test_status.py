"""Entries of status.json, right and wrong, and numbers of formats."""

from __future__ import annotations

from math import inf, nan

import pytest

from mlr.records.status import FormatError, RunStatus, check_entries, check_format, encode_entries
from tests.looping import looped

LARGEST = 2**63 - 1
RIGHT = {
    "status": ["running", "done", "failed", "diverged", "interrupted"],
    "reason": [None, "why"],
    "started": ["2026"],
    "finished": [None, "2026"],
    "seed": [None, 0, -3, LARGEST],
    "pid": [7],
    "versions": [{}, {"mlr": "1", "torch": None}],
    "sessions": [[], ["2026", "2027"]],
    "metrics": [{}, {"a": 1, "b": -0.5, "c": "nan", "d": "inf", "e": "-inf", "f": 1.7e308}],
    "steps": [0, LARGEST],
    "anatomy": [{}],
    "files": [{}, {"a": {"bytes": 0}, "b": {"bytes": 3, "sha256": "ab"}}],
    "of somebody else": [object()],
}
WRONG = {
    "status": ["finished", None, 1],
    "reason": [1, ["why"]],
    "started": [None, 2026],
    "finished": [2026],
    "seed": ["0", 0.0, True, LARGEST + 1, -LARGEST - 1],
    "pid": [None, "7", 7.0],
    "versions": [None, [], {"mlr": 1}],
    "sessions": [None, "2026", [2026], ["2026", None]],
    "metrics": [None, [], *({"a": 1, "b": one} for one in (None, "0.5", True, nan, inf, []))],
    "steps": [-1, None, 1.0, LARGEST + 1],
    "anatomy": [None, []],
    "files": [None, *({"a": one} for one in ([], {}, {"bytes": -1}, {"bytes": 1, "sha256": 2}))],
}
CLASSES = {"count": [1, 2, 3], "recall": [0.5, None, 1], "labels": ["a", "b", "c"]}
LOGITS = {"edges": [0, 1], "count": [[1, 2, 3], [4, 5, 6]], "grad": [[1, None, 3], [4, 5, 6]]}
RIGHT_ANATOMY = {
    "wrong": [None, 0, 0.5],
    "examples": [1],
    "start": [{"loss": 0.5, "zero": None}],
    "confidence": [
        {},
        {"count_wrong": [0, 1, 2], "grad_right": [None, 0.5, 1]},  # older runs have no edges
        {"edges": [0, 1], "count_right": [0, 1, 2]},
        {"edges": [0.1, 0.5, 0.9], "grad_wrong": [0.1, 0.2, 0.3, 0.4]},
    ],
    "classes": [{"count": []}, CLASSES],
    "targets": [
        {"offset": [1.5, -2.0], "divisor": [0.1, 7], "rmse": [0.2, 3], "labels": ["a", "b"]},
        {"count": [3, 4], "recall": [0.5, None], "precision": [None, 1]},
    ],
    "boundary": [{"at": 0.5, "wrong": None}],
    "logits": [LOGITS],
    "gradient": [[], [0.5, None]],
    "data": [{}, {"mean": 1, "feature_std": [1, None, 0.5]}],
}
WRONG_ANATOMY = {
    "wrong": ["0.5", True, nan, ["1"]],
    "examples": [0, -1, None],
    "start": [None, {"loss": "0.5"}],
    "confidence": [
        *([], None, {"count_right": [0, -1, 2]}, {"grad_wrong": 1}, {"grad_right": ["a", "b"]}),
        *({"edges": edges} for edges in (None, {}, "ab", [0, None], [0, nan])),
        *({"edges": [0, 1], "count_right": counts} for counts in ([0, 1], [0, 1, 2, 3])),
    ],
    "classes": [
        *([], {"count": 3}, CLASSES | {"count": [1, 2]}, CLASSES | {"count": [1, 2, None]}),
        *(CLASSES | {"recall": [0.5, 1]}, CLASSES | {"labels": [1, 2, 3]}, CLASSES | {"grad": 1}),
    ],
    "targets": [[], {"offset": [1.0], "divisor": [1.0, 2.0]}, {"rmse": ["a"]}],
    "boundary": [[], {"at": "0.5"}],
    "logits": [
        *([], {}, LOGITS | {"edges": None}, LOGITS | {"edges": [0, 1, 2]}, LOGITS | {"grad": None}),
        *(LOGITS | {"count": LOGITS[name][:rows]} for name, rows in (("grad", 2), ("count", 1))),
        {"edges": [0], "count": [[1, 2]] * 2, "grad": [[1, 2]] * 2},
    ],
    "gradient": [["a"]],
    "data": [[], {"mean": "1"}, {"feature_std": ["a"]}],
}


def pairs(table):
    return [(key, value) for key, values in table.items() for value in values]


@looped("key, value", pairs(RIGHT))
def test_an_entry_that_mlr_writes(key, value):
    check_entries({key: value})


@looped("key, value", pairs(WRONG))
def test_an_entry_that_no_mlr_writes(key, value):
    with pytest.raises(ValueError, match=f"its entry '{key}' is not as mlr writes it"):
        check_entries({key: value})


@looped("key, value", pairs(RIGHT_ANATOMY))
def test_an_anatomy_that_mlr_writes(key, value):
    check_entries({"anatomy": {key: value}})


@looped("key, value", pairs(WRONG_ANATOMY))
def test_an_anatomy_that_no_mlr_writes(key, value):
    with pytest.raises(ValueError, match="its entry 'anatomy' is not as mlr writes it"):
        check_entries({"anatomy": {key: value}})


def test_two_and_three_are_read_and_every_other_number_is_refused():
    check_format("status.json", 2)
    check_format("status.json", 3)
    numbers = [(1, 1), (4, 4), (-2, -2), (LARGEST + 1, "unknown")]
    for found, told in [*numbers, *((one, "unknown") for one in (True, 2.0, "2", None))]:
        with pytest.raises(FormatError) as caught:
            check_format("status.json", found)
        assert str(caught.value) == (
            f"status.json is of format {told}, and this mlr reads formats 2 to 3: "
            "read it with the mlr that wrote it, or train it again."
        )


def test_what_is_encoded_is_decoded_and_any_changed_bit_is_found():
    status = RunStatus.begun(7, "train.py", pair="a+b", metrics={"loss": inf, "größe": 0.1})
    content = status.encode()
    found = RunStatus.decode(content, "status.json")
    assert found == {**status, "metrics": {"loss": "inf", "größe": 0.1}}
    assert list(found) == list(status)
    assert (found.seed, found.reason, found["reason"], found.get("steps")) == (7, None, None, None)
    assert "steps" not in found
    spoiled = [content[:size] for size in range(len(content))]
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        spoiled.append(bytes(flipped))
    for one in [*spoiled, content + b"\n", content.upper(), content * 2]:
        with pytest.raises(ValueError, match="its SHA-256 is not the one written into it"):
            RunStatus.decode(one, "status.json")


def test_without_a_number_it_is_of_the_format_that_did_not_name_its_own():
    assert RunStatus.decode(encode_entries({"status": "done"}), "").status == "done"
    assert len(RunStatus()) == 0


def test_entries_of_others_are_ignored():
    found = RunStatus.decode(encode_entries({"status": "done", "of somebody": 1}), "")
    assert dict(found) == {"status": "done", "reason": None, "finished": None, "seed": None}
