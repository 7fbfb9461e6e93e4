"""All slides, by topic; the numbers are ours, in the order of the lecture."""

from __future__ import annotations

from mlr.lecture import (
    clipped,
    consequences,
    costs,
    cross_entropy,
    divergence,
    entropy,
    likelihood,
    linear_unit,
    small_steps,
    softmax,
    softmax_limits,
    squared_error,
    underflow,
    units,
    whole,
    xor,
)
from mlr.lecture.answer import Part, Slide

PARTS: tuple[Part, ...] = (
    Part("Last time", xor.SLIDES),
    Part("Maximum likelihood", (*likelihood.SLIDES, *underflow.SLIDES)),
    Part("Divergence and cross-entropy", (*divergence.SLIDES, *entropy.SLIDES, *costs.SLIDES)),
    Part("Output units", (*units.SLIDES, *clipped.SLIDES)),
    Part("A linear unit as a classifier", linear_unit.SLIDES),
    Part("The sigmoid, and squared error on it", (*squared_error.SLIDES, *small_steps.SLIDES)),
    Part("Cross-entropy of a sigmoid", (*cross_entropy.SLIDES, *consequences.SLIDES)),
    Part("Softmax", (*softmax.SLIDES, *softmax_limits.SLIDES)),
    Part("The whole", whole.SLIDES),
)
SLIDES: tuple[Slide, ...] = tuple(
    sorted((slide for part in PARTS for slide in part.slides), key=lambda slide: slide.number)
)
