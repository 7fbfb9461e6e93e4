"""Which status.json is of this format: literal entries, right and wrong."""

from __future__ import annotations

from math import inf, nan

import pytest

from mlr.records.format import FormatError, check_format, check_status, never_sealed

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
        # without edges there are those of 0 and 1: three bins
        {"count_wrong": [0, 1, 2], "grad_right": [None, 0.5, 1]},
        {"edges": [0, 1], "count_right": [0, 1, 2]},
        {"edges": [0.1, 0.5, 0.9], "grad_wrong": [0.1, 0.2, 0.3, 0.4]},
    ],
    "classes": [{"count": []}, CLASSES],
    "boundary": [{"at": 0.5, "wrong": None}],
    "logits": [LOGITS],
    "gradient": [[], [0.5, None]],
    "data": [{}, {"mean": 1, "feature_std": [1, None, 0.5]}],
}
WRONG_ANATOMY = {
    "wrong": ["0.5", True, nan, [1]],
    "examples": [0, -1, None],
    "start": [None, {"loss": "0.5"}],
    "confidence": [
        *([], None, {"count_wrong": [0, 1, 2, 3]}, {"count_right": [0, -1, 2]}),
        *({"grad_wrong": 1}, {"grad_right": ["a", "b", "c"]}),
        *({"edges": edges} for edges in (None, {}, "ab", [0], [1, 1], [1, 0], [0, None], [0, nan])),
        {"edges": [0, 1], "count_right": [0, 1]},
    ],
    "classes": [
        *([], {}, {"count": 3}, CLASSES | {"count": [1, 2]}, CLASSES | {"count": [1, 2, None]}),
        *(CLASSES | {"recall": [0.5, 1]}, CLASSES | {"labels": [1, 2, 3]}, CLASSES | {"grad": 1}),
    ],
    "boundary": [[], {"at": "0.5"}],
    "logits": [
        *([], {}, LOGITS | {"edges": None}, LOGITS | {"edges": [0, 1, 2]}, LOGITS | {"grad": None}),
        *(LOGITS | {"count": LOGITS[name][:rows]} for name, rows in (("grad", 2), ("count", 1))),
    ],
    "gradient": [None, ["a"]],
    "data": [[], {"mean": "1"}, {"feature_std": [1, 2]}, {"feature_std": None}],
}


def pairs(table):
    return [(key, value) for key, values in table.items() for value in values]


@pytest.mark.parametrize(("key", "value"), pairs(RIGHT))
def test_an_entry_that_mlr_writes(key, value):
    check_status({key: value})


@pytest.mark.parametrize(("key", "value"), pairs(WRONG))
def test_an_entry_that_no_mlr_writes(key, value):
    with pytest.raises(ValueError, match=f"its entry '{key}' is not as mlr writes it"):
        check_status({key: value})


@pytest.mark.parametrize(("key", "value"), pairs(RIGHT_ANATOMY))
def test_an_anatomy_that_mlr_writes(key, value):
    check_status({"anatomy": {key: value}})


@pytest.mark.parametrize(("key", "value"), pairs(WRONG_ANATOMY))
def test_an_anatomy_that_no_mlr_writes(key, value):
    with pytest.raises(ValueError, match=rf"its entry 'anatomy\.{key}' is not as mlr writes it"):
        check_status({"anatomy": {key: value}})


def test_two_is_read_and_every_other_number_refused():
    check_format("status.json", 2)
    numbers = [(1, 1), (3, 3), (-2, -2), (LARGEST + 1, "unknown")]
    for found, told in [*numbers, *((one, "unknown") for one in (True, 2.0, "2", None))]:
        with pytest.raises(FormatError) as caught:
            check_format("status.json", found)
        assert str(caught.value) == (
            f"status.json is of format {told}, and this mlr reads format 2: "
            "read it with the mlr that wrote it, or train it again."
        )


def test_what_never_had_a_seal():
    assert never_sealed({"status": "done"})
    assert never_sealed({"status": "done", "reason": "a" * 63})
    assert never_sealed({"real": "a" * 64, "status": "done"})
    sealed = [{"status": "done", name: "a" * 64} for name in ("seal", "real")]
    for found in (*sealed, {"seal": "a", "status": "done"}, {"command": "a"}, {}, [], None):
        assert not never_sealed(found)
