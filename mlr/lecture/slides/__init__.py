"""Slides of the lecture by chapter, numbered by us in the order of the lecture."""

from __future__ import annotations

from mlr.lecture.page.answer import Chapter, Slide
from mlr.lecture.slides import (
    clipped,
    cross_entropy,
    distributions,
    divergence,
    entropy,
    every_pair,
    likelihood,
    linear_unit,
    small_steps,
    softmax,
    squared_error,
    units,
    xor,
)

CHAPTERS: tuple[Chapter, ...] = (
    Chapter("Last time", xor.SLIDES),
    Chapter("Maximum likelihood", likelihood.SLIDES),
    Chapter(
        "Divergence and cross-entropy",
        (*divergence.SLIDES, *entropy.SLIDES, *distributions.SLIDES),
    ),
    Chapter("Output units", (*units.SLIDES, *clipped.SLIDES)),
    Chapter("A linear unit as a classifier", linear_unit.SLIDES),
    Chapter("The sigmoid, and squared error on it", (*squared_error.SLIDES, *small_steps.SLIDES)),
    Chapter("Cross-entropy of a sigmoid", cross_entropy.SLIDES),
    Chapter("Softmax", softmax.SLIDES),
    Chapter("The whole", every_pair.SLIDES),
)
SLIDES: tuple[Slide, ...] = tuple(
    sorted((slide for part in CHAPTERS for slide in part.slides), key=lambda slide: slide.number)
)
