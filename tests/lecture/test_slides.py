"""Every claim of the lecture, measured."""

from __future__ import annotations

import re

import pytest

from mlr.lecture.command import ask
from mlr.lecture.page.answer import Answer
from mlr.lecture.slides import CHAPTERS, SLIDES
from tests.looping import looped

FAST = {2, 15, 18, 19, 24, 29}
"""Slides that test_statements.py does not ask."""


def _names(slide) -> str:
    return f"{slide.number}-{slide.title}"


def assert_holds(answer) -> None:
    assert isinstance(answer, Answer), answer
    assert answer.claims
    assert answer.pictures
    assert [claim for claim in answer.claims if not claim.holds] == []
    assert any(character.isdigit() for character in answer.sentence), "the measured number"
    assert len(re.findall(r"[.?!] [A-Z]", answer.sentence)) <= 1, "one or two sentences"
    shown = [text for one in answer.claims for text in (one.text, one.measured)]
    raw = [text for text in (answer.sentence, *shown) if re.search(r"\d[eE][−+-]?\d|\d%", text)]
    assert raw == [], "numbers as people write them"


@pytest.mark.slow
@pytest.mark.xdist_group("lecture")
@pytest.mark.parametrize("slide", SLIDES, ids=_names)
def test_every_claim_holds(slide, whole_lecture):
    assert_holds(whole_lecture.answers[slide.number])


@pytest.mark.parametrize("slide", [one for one in SLIDES if one.number in FAST], ids=_names)
def test_claims_that_take_no_time_hold(slide, tmp_path):
    assert_holds(ask(slide, tmp_path))


def test_slides_are_numbered_once_and_grouped():
    numbers = [slide.number for slide in SLIDES]
    assert len(set(numbers)) == len(numbers)
    assert numbers == sorted(numbers)
    assert sum(len(part.slides) for part in CHAPTERS) == len(SLIDES)


@looped("slide", SLIDES)
def test_every_slide_asks_and_names_its_source(slide):
    assert slide.question.endswith("?")
    assert any(note.startswith("Source: ") for note in slide.notes)
