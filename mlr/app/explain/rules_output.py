"""Rules about the output: who gets no gradient, and why."""

from __future__ import annotations

import numpy as np

from mlr.app.explain.diagnosis import Finding
from mlr.app.explain.facts import TRAILS, Facts, percent, short

CLIPPING = {"clipped_linear": "clipped-linear unit", "hard_sigmoid": "hard sigmoid"}
"""Heads of exactly no slope outside an interval, and what people call them."""
INSIDE = {"clipped_linear": "[0, 1]", "hard_sigmoid": "[−3, 3]"}
CLIPPING_ALL = (*CLIPPING, "sparsemax")
COSTS = {"se": "squared error", "mae": "absolute error", "gce": "generalised cross-entropy"}
STUCK = 0.05
"""Of all training samples: fewer can be mislabelled ones that no gradient should move."""
STUCK_OF_WRONG = 0.2
"""Of the wrong samples: where fewer are stuck, it is not that which keeps the others wrong."""
FLAT = 0.5
"""Saturated outputs: 0.85 and more in runs that have stopped learning."""
FOUND = 0.5
"""Recall from which a class counts as learned."""
LOST = 0.1
"""Recall below which it counts as never found: chance, for ten classes."""
DEAD_GRADIENT = 0.01
"""|dL/dz_k| of a dead class: 0.01 is stuck; a live wrong one has 0.1 to 1 (published case 2B)."""
DRAGGED = 0.05
"""Training samples that another threshold would win: beyond that the boundary is out of place."""
PAST_TARGET = 0.03
"""Right samples beyond their target; without them nothing drags the boundary."""


def clipped_dead(facts: Facts) -> Finding | None:
    """Wrong samples with a gradient of exactly 0 behind a unit that clips."""
    stuck, wrong = facts.anatomy("stuck_zero"), facts.anatomy("wrong")
    if facts.head not in CLIPPING_ALL or not _holds_back(stuck, wrong):
        return None
    name = CLIPPING.get(facts.head)
    why = (
        f"the {name} is outside {INSIDE[facts.head]} for them"
        if name
        else "sparsemax gives each class exactly 0 or 1 for them"
    )
    # softmax needs an output for each class, and sigmoids refuse ce: either suits its own head
    other = "head=softmax loss=ce" if name is None else "head=sigmoid loss=bce"
    return Finding(
        f"{percent(stuck)} of the training samples are predicted wrongly and receive no gradient: "
        f"{why}.",
        f"stuck/zero {short(stuck)}, before the first update "
        f"{short(facts.anatomy('start', 'stuck_zero'))}; accuracy/train {short(1 - wrong)}",
        f"{other}, or loss=matching",
    )


def saturated(facts: Facts) -> Finding | None:
    """Wrong samples whose gradient a saturated head has all but put out."""
    stuck, wrong = facts.anatomy("stuck"), facts.anatomy("wrong")
    if facts.head in CLIPPING_ALL or not facts.anatomy("saturated") >= FLAT:
        return None
    if not _holds_back(stuck, wrong):
        return None
    if facts.held_out - (1 - wrong) >= TRAILS:  # wrong labels had better be left alone
        return None
    return Finding(
        f"{percent(stuck)} of the training samples are predicted wrongly and receive next to no "
        f"gradient: the {facts.head} is saturated, and {_cost(facts)} does not make up for its "
        "slope.",
        f"stuck/fraction {short(stuck)}; accuracy/train {short(1 - wrong)}; saturation/fraction "
        f"{short(facts.anatomy('saturated'))}; logit_grad/wrong "
        f"{short(facts.metric('logit_grad/wrong'))}",
        _with_full_gradient(facts),
    )


def dead_class(facts: Facts) -> Finding | None:
    """Some of several classes are never found, and their own output gets no gradient."""
    recall, gradient = facts.per_class("recall"), facts.per_class("grad")
    if len(recall) < 3 or len(gradient) != len(recall):
        return None
    dead = np.flatnonzero((recall < LOST) & (gradient < DEAD_GRADIENT))
    live = np.flatnonzero(recall >= FOUND)
    if not len(dead) or len(dead) > len(live):
        return None
    worst = int(dead[np.argmin(gradient[dead])])
    named = _classes(dead.tolist())
    return Finding(
        f"{named} never found and can no more be learned: the output of the {facts.head} is near "
        f"0 even where it should be 1, and {_cost(facts)} gives no gradient there.",
        f"recall of class {worst} {short(recall[worst])}, mean |dL/dz_{worst}| over its samples "
        f"{short(gradient[worst])}; of the classes found: {short(float(gradient[live].mean()))}",
        _with_full_gradient(facts),
    )


def confident_right(facts: Facts) -> Finding | None:
    """Squared error on a linear unit: who is too right draws the boundary into the others."""
    if facts.head != "linear" or facts.loss not in ("se", "matching"):
        return None
    wrong, best = facts.anatomy("wrong"), facts.anatomy("boundary", "wrong")
    past = past_target(facts)
    if not (wrong - best >= DRAGGED and best <= wrong / 2 and past >= PAST_TARGET):
        return None
    return Finding(
        f"Squared error punishes samples that are more than right: {percent(past)} of those of the "
        f"training lie past their target and hold the boundary where {percent(wrong)} are wrong; "
        f"another threshold on the same output would leave {percent(best)}.",
        f"wrong {short(wrong)} at the threshold 0.5, {short(best)} at "
        f"{short(facts.anatomy('boundary', 'at'))}; y > 1 for target 1 or y < 0 for target 0: "
        f"{short(past)}",
        "head=sigmoid loss=bce",
    )


def past_target(facts: Facts) -> float:
    """Share of outputs beyond their target, 1 or 0, by the bins of logits."""
    logits = (facts.run.anatomy or {}).get("logits")
    if not logits:
        return float("nan")
    edges, (zeros, ones) = np.array(logits["edges"]), np.array(logits["count"])
    # bin i + 1 starts at edge i
    above, below = np.searchsorted(edges, 1.0) + 1, np.searchsorted(edges, 0.0) + 1
    total = zeros.sum() + ones.sum()
    return float((ones[above:].sum() + zeros[:below].sum()) / total) if total else float("nan")


def _cost(facts: Facts) -> str:
    return COSTS.get(facts.loss, facts.loss)


def _holds_back(stuck: float, wrong: float) -> bool:
    return stuck >= STUCK and stuck >= STUCK_OF_WRONG * wrong


def _with_full_gradient(facts: Facts) -> str:
    """The loss that undoes the head's slope."""
    if facts.head in CLIPPING:
        return "head=sigmoid loss=bce, or loss=matching"
    if facts.head == "softmax":
        return "loss=ce"
    return "head=softmax loss=ce" if facts.head == "sparsemax" else "loss=bce"


def _classes(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return f"Class {numbers[0]} is"
    return f"Classes {', '.join(map(str, numbers[:-1]))} and {numbers[-1]} are"
