"""Evidence as an entry of status.json: what is written is read, and nothing else is taken."""

from __future__ import annotations

import json
from math import inf, isnan

import pytest

from mlr.records.evidence import Evidence, Look, Untrained, is_evidence
from mlr.records.status import RunStatus


def test_it_is_read_as_it_was_written():
    looks = [Look(call=3, loss=inf, pairs=["a>b"], rates=[0.1], known=True), Look()]
    unowned = Untrained(count=2, names=["w"], before=True)
    own = Evidence(calls=7, class_counts=[1, 2], unowned=unowned, looks=looks)
    content = RunStatus(program=own.encode()).encode()
    found = Evidence.decode(RunStatus.decode(content, "here").program)
    assert found.encode() == own.encode()
    assert (found.looks[0].loss, found.looks[0].pairs, found.unowned) == (inf, ["a>b"], unowned)
    assert isnan(found.looks[1].loss)
    assert json.loads(content)["program"]["looks"][1] == {}


@pytest.mark.parametrize(
    "found",
    [
        *([], 1, {"calls": "many"}, {"calls": 1.5}, {"calls": True}, {"looks": {}}),
        *({"looks": [1]}, {"looks": [{"loss": "big"}]}, {"looks": [{"pairs": [1]}]}),
        *({"class_counts": [None]}, {"unowned": []}, {"modes": 1}, {"unowned": {"count": "a"}}),
    ],
)
def test_anything_else_is_refused(found):
    assert not is_evidence(found)
    with pytest.raises(ValueError, match="its entry 'program' is not as mlr writes it"):
        RunStatus.decode(RunStatus(program=found).encode(), "here")


def test_fields_of_a_later_mlr_are_left_out():
    assert Evidence.decode({"calls": 2, "phase_of_the_moon": [3]}) == Evidence(calls=2)
