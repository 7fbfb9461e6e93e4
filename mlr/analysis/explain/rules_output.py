"""Rules about the output: examples and classes without gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlr.analysis.explain import curve_shape
from mlr.analysis.explain.facts import OF_ONE_OUTPUT, TRAILS, Facts
from mlr.diagnosis.data_weights import saturated_units
from mlr.diagnosis.findings import Finding

CLIPPING = {
    "clipped_linear": "the clipped-linear unit is outside [0, 1] for them",
    "hard_sigmoid": "the hard sigmoid is outside [−3, 3] for them",
    "sparsemax": "sparsemax gives each class exactly 0 or 1 for them",
    "entmax15": "entmax15 gives each class exactly 0 or 1 for them",
}
"""Heads with slope 0 outside an interval, and why examples have no gradient there."""
FULL_GRADIENT = {
    "clipped_linear": "head=sigmoid loss=bce, or loss=matching",
    "hard_sigmoid": "head=sigmoid loss=bce, or loss=matching",
    "sparsemax": "head=softmax loss=ce, or loss=matching",
    "entmax15": "head=softmax loss=ce, or loss=matching",
    "softmax": "loss=ce",
}
"""Remedies that cancel the slope of a head; of other heads it is `loss=bce`."""
COSTS = {
    "se": "squared error",
    "mse": "squared error",
    "mae": "absolute error",
    "gce": "generalised cross-entropy",
}
SHARED_COSTS = ("ce", "smoothed_ce", "focal")
"""Losses of the output of an example's class alone."""
UNSHARED = 0.05
"""Share of wrong examples from which a pair that is no likelihood has not learned."""
STUCK = 0.05
"""Share of all training examples: fewer may be mislabelled ones."""
STUCK_OF_WRONG = 0.2
"""Share of the wrong examples: if fewer are stuck, the others are wrong for another reason."""
FLAT = 0.5
"""Share of saturated outputs: 0.85 and more in runs that have stopped learning."""
FOUND = 0.5
"""Recall from which a class counts as learned."""
LOST = 0.1
"""Recall below which a class counts as never found: chance, for ten classes."""
DEAD_GRADIENT = 0.01
"""|dL/dz_k| of a dead class: 0.01 is stuck; a live wrong one has 0.1 to 1 (published case 2B)."""
HELD_UP = 0.25
"""Share of the updates after which the loss was half-way down: sound runs need less."""
FAINT = 0.03
"""‖dL/dz‖ of wrong examples: squared error gives 0.03 at an eighth of the largest slope of a
sigmoid. An untrained softmax gives about 1/K: for more than ten classes the limit is lower."""
DRAGGED = 0.05
"""Share of training examples that another threshold would correct."""
PAST_TARGET = 0.03
"""Share of right examples beyond their target, which shift the boundary."""
LATE = " (means over the last quarter of the measured batches)"
"""Of a loop of a user's own, see `Facts.at_last`."""


def clipped_dead(facts: Facts) -> Finding | None:
    """Find wrong examples with a gradient of exactly 0 at a clipping unit."""
    stuck, wrong = facts.stuck_zero, facts.wrong
    if facts.head not in CLIPPING or facts.diverged or not _holds_back(stuck, wrong):
        return None
    return Finding(
        "{stuck:%} of the training examples are predicted wrongly and receive no gradient: "
        f"{CLIPPING[facts.head]}.",
        f"stuck/zero {stuck:.3g}{_before(facts)}; accuracy/train {1 - wrong:.3g}"
        f"{_of_batches(facts)}",
        _with_full_gradient(facts),
        {"stuck": stuck},
    )


def no_likelihood(facts: Facts) -> Finding | None:
    """Find cross-entropy of outputs that do not sum to 1: no other output is lowered."""
    several = len(facts.row("classes", "recall")) > 2
    if facts.loss not in SHARED_COSTS or facts.head not in OF_ONE_OUTPUT or not several:
        return None
    wrong, (zeros, _) = facts.anatomy("wrong"), facts.logit_counts
    if not (wrong >= UNSHARED and zeros.sum() > 0):
        return None
    high = float(zeros[len(zeros) // 2 :].sum() / zeros.sum())  # logits from 0 on
    if not high >= FLAT:
        return None
    return Finding(
        f"{facts.head} with {facts.loss} is no likelihood: the outputs do not sum to 1, so that "
        "the loss only raises the output of each example's class and lowers none; {high:%} of the "
        "outputs whose target is 0 have a logit above 0, and {wrong:%} of the training examples "
        "are predicted wrongly.",
        f"logits of target 0 from 0 on: {high:.3g}; accuracy/train {1 - wrong:.3g}",
        "head=softmax, or loss=bce",
        {"high": high, "wrong": wrong},
    )


def saturated(facts: Facts) -> Finding | None:
    """Find wrong examples almost without gradient at a saturated head, at the end or before."""
    if facts.head in CLIPPING:
        return None
    at_the_head = _saturated_to_the_end(facts) or _saturated_for_long(facts)
    return at_the_head or saturated_units(facts.program)


def _saturated_to_the_end(facts: Facts) -> Finding | None:
    stuck, wrong = facts.stuck, facts.wrong
    if not facts.saturated >= FLAT or not _holds_back(stuck, wrong):
        return None
    unsure = facts.row("confidence", "count_wrong")
    if facts.head == "softmax" and len(unsure) and unsure[0] > FLAT * unsure.sum():
        return None  # with many classes each slope is small before anything is learned
    if facts.held_out - (1 - wrong) >= TRAILS:  # their labels may be wrong
        return None
    return Finding(
        "{stuck:%} of the training examples are predicted wrongly and receive next to no gradient: "
        f"the {facts.head} is saturated, and {_cost(facts)} does not make up for its small slope.",
        f"stuck/fraction {stuck:.3g}; accuracy/train {1 - wrong:.3g}; saturation/fraction "
        f"{facts.saturated:.3g}; logit_grad/wrong {facts.metric('logit_grad/wrong'):.3g}"
        f"{_of_batches(facts)}",
        _with_full_gradient(facts),
        {"stuck": stuck},
    )


def _saturated_for_long(facts: Facts) -> Finding | None:
    """Find a start on the flat part of a sigmoid or softmax that took much of the training."""
    start, end = facts.anatomy("start", "loss"), facts.metric("loss/train")
    wrong, (steps, pulls) = facts.anatomy("start", "wrong"), facts.points("logit_grad/wrong")
    if facts.head == "linear" or not (wrong >= FLAT and len(pulls)):
        return None
    took = curve_shape.time_above(facts, (start + end) / 2)
    faint = FAINT * 10 / max(10, len(facts.row("classes", "count")))
    if not (steps[0] == 0 and pulls[0] <= faint and end < start and took >= HELD_UP):
        return None
    return Finding(
        "{wrong:%} of the training examples were predicted wrongly at the start, with next to no "
        f"gradient: the {facts.head} was saturated, and {_cost(facts)} does not make up for its "
        "small slope; the loss was half-way down only after {took:%} of the updates.",
        f"before the first update logit_grad/wrong {pulls[0]:.3g}, stuck/fraction "
        f"{facts.anatomy('start', 'stuck'):.3g}, loss {start:.3g}; after {facts.updates:,.0f} "
        f"updates loss/train {end:.3g}",
        _with_full_gradient(facts),
        {"wrong": wrong, "took": took},
    )


def dead_class(facts: Facts) -> Finding | None:
    """Find classes with a recall of about 0 whose own output gets no gradient."""
    recall, gradient = facts.row("classes", "recall"), facts.row("classes", "grad")
    dead, live = dead_classes(facts), np.flatnonzero(recall >= FOUND)
    if len(recall) < 3 or not len(dead) or not len(live):
        return None
    # if most classes are dead, the head is saturated; a clipped output is dead by itself
    if len(dead) > len(live) and facts.head not in CLIPPING:
        return None
    worst = int(dead[np.argmin(gradient[dead])])
    why = (
        f"never found, and their own gradient is too small to learn them: the output of the "
        f"{facts.head} is near 0 even where it should be 1, and {_cost(facts)} gives no gradient "
        "there."
    )
    return Finding(
        f"{_classes([facts.class_name(k) for k in dead.tolist()])} {why}",
        f"recall of class {facts.class_name(worst)} {recall[worst]:.3g}, mean |dL/dz_{worst}| over "
        f"its examples {gradient[worst]:.3g}; of the classes found: {gradient[live].mean():.3g}",
        _with_full_gradient(facts),
        {"dead": len(dead)},
        of_many=f"Some classes ({{dead:d}} of {len(recall)} in each run) are {why}",
    )


def dead_classes(facts: Facts) -> NDArray[np.intp]:
    """Return numbers of the classes that are never found and get no gradient."""
    recall, gradient = facts.row("classes", "recall"), facts.row("classes", "grad")
    if len(recall) != len(gradient):
        return np.zeros(0, np.intp)
    return np.flatnonzero((recall < LOST) & (gradient < DEAD_GRADIENT))


def confident_right(facts: Facts) -> Finding | None:
    """Find outputs of a linear unit beyond their target, which shift the boundary."""
    if facts.head != "linear" or facts.loss not in ("se", "matching"):
        return None
    wrong, best = facts.anatomy("wrong"), facts.anatomy("boundary", "wrong")
    zeros, ones = facts.logit_counts
    middle, total = len(zeros) // 2, max(1, zeros.sum() + ones.sum())  # of the bin from 0 to 1
    past = float((zeros[:middle].sum() + ones[middle + 1 :].sum()) / total)
    if not (wrong - best >= DRAGGED and best <= wrong / 2 and past >= PAST_TARGET):
        return None
    return Finding(
        "{past:%} of the training examples have an output beyond their target; squared error "
        "counts this as an error and shifts the boundary so that {wrong:%} are predicted wrongly; "
        "another threshold on the same output would leave {best:%}.",
        f"wrong {wrong:.3g} at the threshold 0.5, {best:.3g} at "
        f"{facts.anatomy('boundary', 'at'):.3g}; y > 1 for target 1 or y < 0 for target 0: "
        f"{past:.3g}",
        "head=sigmoid loss=bce",
        {"past": past, "wrong": wrong, "best": best},
    )


def _before(facts: Facts) -> str:
    before = facts.anatomy("start", "stuck_zero")
    return f", before the first update {before:.3g}" if before == before else ""


def _of_batches(facts: Facts) -> str:
    """Say of which examples the evidence is, if not of all of the training split."""
    return LATE if facts.run.anatomy is None else ""


def _cost(facts: Facts) -> str:
    return COSTS.get(facts.loss, facts.loss) or "the loss"


def _holds_back(stuck: float, wrong: float) -> bool:
    return stuck >= STUCK and stuck >= STUCK_OF_WRONG * wrong


def _with_full_gradient(facts: Facts) -> str:
    return FULL_GRADIENT.get(facts.head, "loss=bce")


def _classes(names: list[str]) -> str:
    *others, last = names
    return f"Classes {', '.join(others)} and {last} are" if others else f"Class {last} is"
