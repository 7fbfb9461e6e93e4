"""Shares of programs whose fault is named, and of sound ones that are left alone."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from mlr.benchmarks import explain, explain_logs, explain_programs
from mlr.benchmarks.cli import SECTIONS
from mlr.benchmarks.explain_programs import NOTHING_FOUND, JudgedProgram, first_finding, shares
from mlr.benchmarks.programs import case, loop
from mlr.benchmarks.programs.case import Faulty, LookAlike
from mlr.benchmarks.programs.faults import rules_of
from mlr.benchmarks.rows import BenchmarkRow
from mlr.core.checks import InputError


def program(watch, faulty=False):
    return faulty


def held(watch, faulty=False):
    return faulty


held.__module__ = f"{case.BLIND}head_loss"
MISMATCH = Faulty(program, ("softmax_twice", "sigmoid_twice"), 1, 0)
OTHER = Faulty(held, ("rate_too_high",), 1, 0)
LOOKS = LookAlike(program, 1)


def test_a_verdict_is_right_by_any_name_of_the_fault():
    assert JudgedProgram(MISMATCH, True, "sigmoid_twice").right
    assert not JudgedProgram(MISMATCH, True, "rate_too_high").right
    assert not JudgedProgram(MISMATCH, True, NOTHING_FOUND).right
    assert JudgedProgram(OTHER, True, "lr_too_high").right
    assert JudgedProgram(MISMATCH, False, NOTHING_FOUND).right
    assert not JudgedProgram(MISMATCH, False, "softmax_twice").right
    assert not JudgedProgram(LOOKS, False, "rate_too_high").right


def test_shares_of_all_and_of_those_written_blind():
    assert OTHER.blind
    assert not MISMATCH.blind
    judged = [
        JudgedProgram(MISMATCH, True, "softmax_twice"),
        JudgedProgram(OTHER, True, "unscaled"),
        JudgedProgram(OTHER, True, "lr_too_high"),
        JudgedProgram(MISMATCH, False, NOTHING_FOUND),
        JudgedProgram(OTHER, False, "unscaled"),
        JudgedProgram(LOOKS, False, NOTHING_FOUND),
        JudgedProgram(LOOKS, False, NOTHING_FOUND),
    ]
    rows = list(shares(judged))
    assert [row.mlr for row in rows] == [
        *("2 of 3", "1 of 1", "1 of 2"),
        *("1 of 1", "1 of 1", "0 of 0"),
        *("1 of 4", "0 of 3", "1 of 1"),
    ]
    assert [row.value for row in rows] == [
        *(pytest.approx(200 / 3), 100, 50),
        *(100, 100, None),
        *(25, 0, 100),
    ]
    assert [(row.least, row.most) for row in rows[::3]] == [(80, None), (95, None), (None, 2)]
    assert [row.kept for row in rows] == [False, None, None, True, None, None, False, None, None]
    assert rows[0].other == rows[6].other == "held: unscaled"
    assert [row.other for row in rows[1:3]] == ["", ""]


def test_programs_are_observed_and_diagnosed(tmp_path):
    found = [
        first_finding(partial(loop.rate_too_high, faulty=faulty), tmp_path / str(faulty))
        for faulty in (True, False)
    ]
    assert found[0] in rules_of(("rate_too_high",))
    assert found[1] == NOTHING_FOUND
    assert (tmp_path / "True" / "metrics.csv").is_file()


def test_a_program_that_ends_with_an_error_tells_it(tmp_path):
    def refused(watch):
        raise InputError("no graph.")

    def broken(watch):
        with watch(nn.Linear(1, 1), torch.optim.SGD([torch.zeros(1)], 0.1)):
            raise RuntimeError("shapes differ.")

    assert first_finding(refused, tmp_path / "none") == "InputError: no graph."
    assert first_finding(broken, tmp_path / "broken") == "RuntimeError: shapes differ."


def test_both_forms_and_look_alikes_are_judged(tmp_path, monkeypatch):
    asked = []

    def found(program, folder):
        asked.append((program(None), folder.name))
        return NOTHING_FOUND

    monkeypatch.setattr(explain_programs, "first_finding", found)
    judged = explain_programs.judge_programs(tmp_path, [MISMATCH], [LOOKS])
    assert [(one.case, one.faulty) for one in judged] == [
        *((MISMATCH, True), (MISMATCH, False)),
        (LOOKS, False),
    ]
    assert asked == [(True, "program-faulty"), (False, "program-corrected"), (False, "program")]


def test_the_section_has_programs_and_logs_too(monkeypatch):
    planted, programs, logs = map(BenchmarkRow, ("planted", "programs", "logs"))
    monkeypatch.setattr(explain, "rows", lambda repeats: [planted])
    monkeypatch.setattr(explain_programs, "rows", lambda: [programs])
    monkeypatch.setattr(explain_logs, "rows", lambda: [logs])
    assert list(SECTIONS["explain"].rows(1)) == [planted, programs, logs]
