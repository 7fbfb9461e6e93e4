"""Rules about the data: scale, labels and number of examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import hypot

import numpy as np

from mlr.analysis.explain import curve_shape
from mlr.analysis.explain.facts import OF_ONE_OUTPUT, TRAILS, Facts
from mlr.analysis.explain.findings import Finding, Number
from mlr.analysis.formatting import approx, approx_percent

LARGE, SMALL = 4.0, 0.02
"""Root mean square of the features: standardised ones have 1, images in 0..1 have 0.1 to 0.5."""
FEW_WRONG = 0.02
"""Share of wrong examples below which stuck ones do not matter."""
LEAD = 0.1
"""Lead of held-out over training accuracy at any time: sound runs reach 0.09."""
ENOUGH = 200
"""Training examples below which a lead can be chance."""
ALIKE = 0.1
"""Distance of the confidence of wrong from that of right examples: 0.05 to 0.09 where labels were
replaced at random; 0.3 and more where classes overlap, as errors are then made in doubt."""
SURE = 0.85
"""Share of right examples with a confidence of 0.6 or more: with less, errors are no surprise."""
TOO_SURE = 0.5
"""Share of errors with a confidence of 0.9 or more: a model sure of everything tells nothing."""
WRONG = 0.05
"""Share of wrong training examples below which labels are as clean as most."""
GAP = 0.15
"""Lead of training over held-out accuracy: sound runs on 1,000 images reach 0.13."""
RISE = 2.0
"""Held-out loss as a multiple of the training loss, and of its own lowest value."""
SMALLER_GAP, BY_HEART = 0.08, 10.0
"""A smaller gap suffices if the validation loss has risen by `RISE`, or is so many times the
training loss."""

Rule = Callable[[Facts], Finding | None]


def unscaled(facts: Facts, symptoms: Sequence[Rule]) -> Finding | None:
    """Find features far from 1 in a run with a symptom.

    Args:
        facts: of the run.
        symptoms: rules of which one must apply.
    """
    mean, std = facts.anatomy("data", "mean"), facts.anatomy("data", "std")
    size = hypot(mean, std)
    if not (size > LARGE or size < SMALL):
        return None
    stuck, wrong = facts.anatomy("stuck"), facts.anatomy("wrong")
    held_back = wrong >= FEW_WRONG and stuck >= 0.5 * wrong
    fails_to_start = size < SMALL and facts.unlearned
    if not (held_back or fails_to_start or any(rule(facts) for rule in symptoms)):
        return None
    what = "large" if size > LARGE else "small"
    return Finding(
        f"The features are far too {what} for these weights and this learning rate: their typical "
        "size is {size}, where about 1 is expected.",
        f"features: mean {approx(mean)}, std {approx(std)}, largest "
        f"{approx(facts.anatomy('data', 'largest'))}; loss before the first update "
        f"{approx(facts.anatomy('start', 'loss'))}, at the end "
        f"{approx(facts.metric('loss/train'))}",
        "data.scale=standardize" if facts.takes("data", "scale") else "",
        {"size": (size, approx)},
    )


def label_noise(facts: Facts) -> Finding | None:
    """Find training labels contradicted by held-out data, or errors made with confidence."""
    if not facts.anatomy("examples") >= ENOUGH or facts.unlearned:
        return None
    return _contradicted(facts) or _errors_in_confidence(facts)


def _contradicted(facts: Facts) -> Finding | None:
    """Find wrong training labels: held-out examples are predicted better."""
    trained, found = facts.metric("accuracy/train"), facts.held_out
    lead = curve_shape.held_out_lead(facts)
    if not (found - trained >= TRAILS or lead >= LEAD):
        return None
    noise = float(np.fmax(found - trained, lead))
    return _noise(
        facts,
        "About {noise} of the training labels are wrong, it seems: validation and test examples "
        "are predicted better than those of the training.",
        f"accuracy/train {approx(trained)}, mean of accuracy/val and accuracy/test "
        f"{approx(found)}; largest lead of accuracy/val over the batches {approx(lead)}",
        noise=(noise, approx_percent),
    )


def _errors_in_confidence(facts: Facts) -> Finding | None:
    """Find wrong labels in all splits: errors are made with confidence."""
    several = len(facts.per_class("count")) > 2
    if facts.head in OF_ONE_OUTPUT and facts.loss not in ("se", "bce", "matching") and several:
        return None  # outputs that do not sum to 1 may all be near 1, right or wrong
    wrong = facts.anatomy("wrong")
    distance, opinion = confidence_distance(facts)
    too_sure = facts.anatomy("surprise") > TOO_SURE * wrong
    if too_sure or not (wrong >= WRONG and opinion >= SURE and distance <= ALIKE):
        return None
    return _noise(
        facts,
        "Many labels are wrong, it seems: errors are made with as much confidence as right "
        "answers, while between classes that overlap they are made in doubt.",
        f"accuracy/train {approx(1 - wrong)}; total variation between the confidence of wrong and "
        f"right examples {approx(distance)}",
    )


def overfitting(facts: Facts) -> Finding | None:
    """Find a lead of training over held-out accuracy with a rise of the loss."""
    trained, found = facts.metric("accuracy/train"), facts.held_out
    loss, rest = facts.metric("loss/train"), facts.metric("loss/val")
    if not (trained - found >= SMALLER_GAP and rest >= RISE * loss):
        return None
    validated = facts.values("loss/val")
    lowest = float(validated.min()) if len(validated) else rest
    clear = rest >= RISE * lowest or rest >= BY_HEART * loss
    if not (clear or trained - found >= GAP):
        return None
    return Finding(
        "The model overfits: its training accuracy is {trained}, the mean of its validation and "
        "test accuracy {found}.",
        f"accuracy/train {approx(trained)}, mean of accuracy/val and accuracy/test "
        f"{approx(found)}; "
        f"loss/train {approx(loss)}, loss/val {approx(rest)} (lowest {approx(lowest)})",
        "patience=5 optimizer.weight_decay=0.001",
        {"trained": (trained, approx_percent), "found": (found, approx_percent)},
    )


def confidence_distance(facts: Facts) -> tuple[float, float]:
    """Compare the confidence of wrong and right examples, and count the confident right ones.

    Returns:
        Total variation ½ Σ |p_i − q_i| between the shares of the three bins of confidence, and
        the share of right examples with a confidence of 0.6 or more; NaN where there are few.
    """
    wrong, right = facts.confidence("count_wrong"), facts.confidence("count_right")
    if len(wrong) != 3 or len(right) != 3 or wrong.sum() < 20 or right.sum() < 20:
        return float("nan"), float("nan")
    p, q = wrong / wrong.sum(), right / right.sum()
    return float(0.5 * np.abs(p - q).sum()), float(q[1:].sum())


def _noise(facts: Facts, template: str, evidence: str, **numbers: Number) -> Finding:
    """Build a finding: remove configured noise, else use a loss that tolerates wrong labels."""
    data = facts.config.get("data")
    if isinstance(data, dict) and data.get("label_noise"):
        return Finding(template, evidence, "data.label_noise=0", numbers)
    shared = len(facts.per_class("count")) > 2 or facts.head not in OF_ONE_OUTPUT
    return Finding(template, evidence, f"{'head=softmax ' if shared else ''}loss=gce", numbers)
