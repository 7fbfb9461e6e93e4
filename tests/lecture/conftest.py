from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from mlr.core.checks import InputError
from mlr.lecture import command
from mlr.lecture.page.answer import Answer


class Lecture(NamedTuple):
    """Answers of all slides, asked once, or the errors they raised; and the page."""

    answers: dict[int | str, Answer | Exception]
    page: Path


def _asked(slide, root: Path) -> Answer | Exception:
    try:
        return command.ask(slide, root)
    except (InputError, ValueError, RuntimeError) as error:  # of this slide's test only
        return error


@pytest.fixture(scope="session")
def whole_lecture(tmp_path_factory) -> Lecture:
    root = tmp_path_factory.mktemp("lecture")
    answers = {slide.number: _asked(slide, root) for slide in command.SLIDES}
    return Lecture(answers, command.write_page(root))
