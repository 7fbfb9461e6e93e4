"""All slides, by topic; their numbers are those of the lecture."""

from __future__ import annotations

from mlr.app.lecture import units
from mlr.app.lecture.answer import Part, Slide

PARTS: tuple[Part, ...] = (Part("Output units", units.SLIDES),)
SLIDES: tuple[Slide, ...] = tuple(
    sorted((slide for part in PARTS for slide in part.slides), key=lambda slide: slide.number)
)
