"""All slides, by topic; their numbers are those of the lecture."""

from __future__ import annotations

from mlr.app.lecture import (
    clipped,
    costs,
    divergence,
    entropy,
    likelihood,
    underflow,
    units,
    xor,
)
from mlr.app.lecture.answer import Part, Slide

PARTS: tuple[Part, ...] = (
    Part("Last time", xor.SLIDES),
    Part("Maximum likelihood", (*likelihood.SLIDES, *underflow.SLIDES)),
    Part("Divergence and cross-entropy", (*divergence.SLIDES, *entropy.SLIDES, *costs.SLIDES)),
    Part("Output units", (*units.SLIDES, *clipped.SLIDES)),
)
SLIDES: tuple[Slide, ...] = tuple(
    sorted((slide for part in PARTS for slide in part.slides), key=lambda slide: slide.number)
)
