"""The judge of mlr.try_remedies: programs handed over as factories, cures, and what is in vain."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from mlr.benchmarks import program_remedies
from mlr.benchmarks.cli import SECTIONS
from mlr.benchmarks.program_remedies import (
    LEFT_OUT,
    TriedProgram,
    handed,
    judged,
    shares,
    try_program,
)
from mlr.benchmarks.programs.corpus import FAULTY

CASES = {case.name: (case, hand) for case, hand in handed()}


def test_every_program_that_may_be_read_is_handed_over_or_left_out():
    read = {case.name for case in FAULTY if not case.blind}
    assert {*CASES} | {*LEFT_OUT} == read
    assert not {*CASES} & {*LEFT_OUT}
    assert {*program_remedies.WRITTEN} <= {*CASES}


@pytest.mark.parametrize("name", ["sigmoid_before_bce_with_logits", "step_missing"])
def test_what_is_handed_over_fails_and_learns_as_the_program_does(name, monkeypatch):
    monkeypatch.setattr(program_remedies, "FRESH", range(100, 101))
    case, hand = CASES[name]
    faulty, sound = hand(True), hand(False)
    assert judged(faulty.program("bce_logits", False), faulty.steps)[0] <= case.fails
    assert judged(sound.program("bce_logits", False), sound.steps)[0] >= case.learns


def test_the_data_are_the_same_in_each_training():
    one, other = (CASES["relu_regression"][1](True) for _ in range(2))
    assert torch.equal(one.loader.tensors[0], other.loader.tensors[0])
    (first, _), (second, _) = one.make(), one.make()
    assert first is not second


def test_a_program_is_tried_and_judged(monkeypatch):
    monkeypatch.setattr(program_remedies, "FRESH", range(100, 101))
    case, hand = CASES["step_missing"]
    one = try_program(case, lambda faulty: replace(hand(faulty), steps=60), True)
    assert one.found.best[0].startswith("optimizer.zero_grad(); loss.backward()")
    assert one.before < 0.5 < 0.9 < one.after
    assert (one.is_cured, one.in_vain) == (True, False)


def tried(name, faulty, best, before, after, healthy):
    case = SimpleNamespace(name=name)
    return TriedProgram(case, SimpleNamespace(best=best), faulty, before, after, healthy)


@pytest.mark.parametrize(
    ("best", "after", "cured", "in_vain"),
    [
        (["lr=1"], 0.98, True, False),
        (["lr=1"], 0.94, False, False),
        (["lr=1"], 0.5, False, True),
        ([], 0.98, False, False),
    ],
)
def test_cured_is_as_good_as_corrected(best, after, cured, in_vain):
    one = tried("one", True, best, 0.5, after, 0.98)
    assert (one.is_cured, one.in_vain) == (cured, in_vain)


def test_shares_are_counted(monkeypatch):
    found = [
        tried("one", True, ["a", "b"], 0.5, 0.98, 0.98),
        tried("two", True, [], 0.5, 0.5, 0.98),
        tried("three", True, ["c"], 0.5, 0.4, 0.98),
        tried("one", False, ["d"], 0.9, 0.8, 0.9),
        tried("two", False, [], 0.9, 0.9, 0.9),
    ]
    programs = iter(found)
    monkeypatch.setattr(program_remedies, "handed", lambda: [("case", "hand")] * 2)
    monkeypatch.setattr(program_remedies, "try_program", lambda *about: next(programs))
    cured, *_ = list(SECTIONS["try-remedies"].rows(1))
    assert cured.mlr == "1 of 3"  # of the faulty ones among the first four
    cured, wrong, sound = shares(found)
    assert (cured.mlr, cured.other) == ("1 of 3", "two: none; three: c")
    assert cured.value == pytest.approx(100 / 3)
    assert (wrong.mlr, wrong.other, wrong.kept) == ("1 of 2", "three: c", False)
    assert (sound.mlr, sound.other) == ("1 of 1", "one: d")
