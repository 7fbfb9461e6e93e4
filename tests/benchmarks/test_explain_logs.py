"""Shares of trainings whose event files tell their fault, and of sound ones that are left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mlr.benchmarks import explain_logs
from mlr.benchmarks.explain_logs import FAULTY, HEALTHY, JudgedLog, judge_trainings, rows
from mlr.benchmarks.logged import SOUND, Training, numbers
from mlr.diagnosis.curves import RULES

SHORT = Training("sgd", epochs=2)


def test_a_verdict_is_right_by_any_name_of_the_fault():
    faulty = Training("x", ("flat", "chance"))
    assert JudgedLog(faulty, "chance", []).right
    assert not JudgedLog(faulty, SOUND, []).right
    assert not JudgedLog(SHORT, "flat", []).right
    assert JudgedLog(SHORT, SOUND, ["val_better"]).right


def test_rules_of_the_faulty_are_known_and_names_are_used_once():
    assert {rule for one in FAULTY for rule in one.rules} <= RULES.keys()
    names = [one.name for one in (*HEALTHY, *FAULTY)]
    assert len(names) == len(set(names))
    assert len(HEALTHY) >= 30
    assert len(FAULTY) >= 20


def test_named_faults_alarms_and_remarks_are_counted(monkeypatch):
    judged = [
        JudgedLog(replace(SHORT, rules=("flat",)), "flat", []),
        JudgedLog(replace(SHORT, rules=("flat",)), SOUND, []),
        JudgedLog(SHORT, SOUND, ["val_better"]),
        JudgedLog(SHORT, "rises", []),
        JudgedLog(SHORT, SOUND, []),
    ]
    monkeypatch.setattr(explain_logs, "judge_trainings", lambda *_: judged)
    named, alarms, remarks = rows()
    assert (named.mlr, named.value, named.other) == ("1 of 2", 50, "sgd: sound")
    assert (alarms.mlr, alarms.value, alarms.other) == (
        "1 of 3",
        pytest.approx(100 / 3),
        "sgd: rises",
    )
    assert (remarks.mlr, remarks.other) == ("1 of 3", "sgd: val_better")
    assert (named.least, alarms.most) == (90, 2)


def test_trainings_are_logged_and_judged(tmp_path):
    few = [
        Training("diverges", ("not_finite",), numbers, options={"lr": 9.0}, epochs=3, log="mixed"),
        Training("sound", task=numbers, options={"lr": 0.05}, epochs=3, log="batches"),
    ]
    judged = judge_trainings(tmp_path, few)
    assert [one.right for one in judged] == [True, True]


@pytest.mark.slow
@pytest.mark.long
def test_faults_are_named_and_sound_trainings_are_left_alone():
    """Measured with seeds 0, 1 and 2; a minute and a half."""
    named, alarms, _ = rows()
    assert named.kept, named.other
    assert alarms.kept, alarms.other
