"""Rules about the data: scale, rare classes, labels and number of examples."""

from __future__ import annotations

from math import hypot, isfinite

import numpy as np

from mlr.analysis.explain import curve_shape
from mlr.analysis.explain.facts import OF_ONE_OUTPUT, TRAILS, Facts, Row
from mlr.analysis.explain.rules_network import initial_loss, starved
from mlr.analysis.explain.rules_output import clipped_dead, dead_class, saturated
from mlr.analysis.explain.rules_rate import lr_too_high, lr_too_low
from mlr.diagnosis.findings import Finding

LARGE, SMALL = 4.0, 0.02
"""Root mean square of the features: standardised ones have 1, images in 0..1 have 0.1 to 0.5."""
SYMPTOMS = (lr_too_high, clipped_dead, dead_class, saturated, starved, initial_loss, lr_too_low)
"""Rules whose faults features of a wrong scale can cause."""
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
FEWEST = 20
"""Wrong, and right, examples whose confidence can be compared."""
WRONG = 0.05
"""Share of wrong training examples below which labels are as clean as most."""
GAP = 0.15
"""Lead of training over held-out accuracy: sound runs on 1,000 images reach 0.13."""
RISE = 2.0
"""Held-out loss as a multiple of the training loss, and of its own lowest value."""
RARE = 5.0
"""Size of the most frequent class as a multiple of a rare one's."""
MISSED, BEHIND = 0.6, 0.25
"""Recall below which a class is mostly missed, and by how much it must be below the accuracy."""
FEWEST_RARE = 10
"""Training examples of a class from which its recall says something."""
BALANCED = "loss.weight=balanced"
SMALLER_GAP, BY_HEART = 0.08, 10.0
"""A smaller gap suffices if the validation loss has risen by `RISE`, or is so many times the
training loss."""


def unscaled(facts: Facts) -> Finding | None:
    """Find features far from 1 in a run with a symptom."""
    mean, std = facts.anatomy("data", "mean"), facts.anatomy("data", "std")
    size = hypot(mean, std)
    if not (size > LARGE or size < SMALL):
        return None
    stuck, wrong = facts.anatomy("stuck"), facts.anatomy("wrong")
    held_back = wrong >= FEW_WRONG and stuck >= 0.5 * wrong
    fails_to_start = size < SMALL and facts.unlearned
    if not (held_back or fails_to_start or any(rule(facts) for rule in SYMPTOMS)):
        return None
    what = "large" if size > LARGE else "small"
    return Finding(
        f"The features are far too {what} for these weights and this learning rate: their typical "
        "size is {size:.3g}, where about 1 is expected.",
        f"features: mean {mean:.3g}, std {std:.3g}, largest "
        f"{facts.anatomy('data', 'largest'):.3g}; loss before the first update "
        f"{facts.anatomy('start', 'loss'):.3g}, at the end {facts.metric('loss/train'):.3g}",
        "data.scale=standardize" if facts.takes("data", "scale") else "",
        {"size": size},
    )


def rare_class(facts: Facts) -> Finding | None:
    """Find a rare class that is mostly missed, which the accuracy does not show."""
    counts, recall = facts.row("classes", "count"), facts.row("classes", "recall")
    wrong = facts.anatomy("wrong")
    if len(counts) < 2 or len(recall) != len(counts):
        return None
    rare = (counts >= FEWEST_RARE) & (RARE * counts <= counts.max())
    missed = np.flatnonzero(rare & (recall < MISSED) & (recall <= 1 - wrong - BEHIND))
    if not len(missed):
        return None
    worst = int(missed[np.argmin(recall[missed])])
    share, found = float(counts[worst] / counts.sum()), float(recall[worst])
    return Finding(
        f"Class {facts.class_name(worst)} has only {{share:%}} of the training examples, of which "
        "{found:%} are found: the accuracy of {right:%} does not show it.",
        f"training examples by class {_few(counts)}; recall {_few(recall)}; accuracy/train "
        f"{1 - wrong:.3g}",
        BALANCED if facts.takes("loss", "weight") else "",
        {"share": share, "found": found, "right": 1 - wrong},
        certain=False,
    )


def _few(values: Row) -> str:
    """List the first numbers of a row."""
    shown = ", ".join(f"{value:.3g}" for value in values[:12])
    return f"{shown}, …" if len(values) > 12 else shown


def label_noise(facts: Facts) -> Finding | None:
    """Find training labels contradicted by held-out data, or errors made with confidence."""
    if not facts.anatomy("examples") >= ENOUGH or facts.unlearned:
        return None
    return _contradicted(facts) or _errors_in_confidence(facts)


def _contradicted(facts: Facts) -> Finding | None:
    trained, found = facts.metric("accuracy/train"), facts.held_out
    lead = curve_shape.held_out_lead(facts)
    if not (found - trained >= TRAILS or lead >= LEAD):
        return None
    return Finding(
        "About {noise:%} of the training labels are wrong, it seems: validation and test examples "
        "are predicted better than those of the training.",
        f"accuracy/train {trained:.3g}, mean of accuracy/val and accuracy/test {found:.3g}; "
        f"largest lead of accuracy/val over the batches {lead:.3g}",
        _without_noise(facts),
        {"noise": float(np.fmax(found - trained, lead))},
    )


def _errors_in_confidence(facts: Facts) -> Finding | None:
    """Find wrong labels in all splits: errors are made with confidence."""
    several = len(facts.row("classes", "count")) > 2
    if facts.head in OF_ONE_OUTPUT and facts.loss not in ("se", "bce", "matching") and several:
        return None  # outputs that do not sum to 1 may all be near 1, right or wrong
    wrong, opinions = facts.anatomy("wrong"), facts.row("confidence", "count_wrong")
    others = facts.row("confidence", "count_right")
    if not wrong >= WRONG or opinions.sum() < FEWEST or others.sum() < FEWEST:
        return None
    p, q = opinions / opinions.sum(), others / others.sum()
    distance = float(0.5 * np.abs(p - q).sum())
    if facts.anatomy("surprise") > TOO_SURE * wrong or not (
        q[1:].sum() >= SURE and distance <= ALIKE
    ):
        return None
    return Finding(
        "Many labels are wrong, it seems: errors are made with as much confidence as right "
        "answers, while between classes that overlap they are made in doubt.",
        f"accuracy/train {1 - wrong:.3g}; total variation between the confidence of wrong and "
        f"right examples {distance:.3g}",
        _without_noise(facts),
    )


def _without_noise(facts: Facts) -> str:
    if facts.part("data").get("label_noise"):
        return "data.label_noise=0"
    shared = len(facts.row("classes", "count")) > 2 or facts.head not in OF_ONE_OUTPUT
    return f"{'head=softmax ' if shared else ''}loss=gce"


def overfitting(facts: Facts) -> Finding | None:
    """Find a lead of training over held-out accuracy with a rise of the loss."""
    trained, found = facts.metric("accuracy/train"), facts.held_out
    loss, rest = facts.metric("loss/train"), facts.metric("loss/val")
    if not (trained - found >= SMALLER_GAP and rest >= RISE * loss):
        return None
    lowest = min(facts.values("loss/val"), default=rest)
    clear = rest >= RISE * lowest or rest >= BY_HEART * loss
    if not (clear or trained - found >= GAP):
        return None
    splits = [split for split in ("val", "test") if isfinite(facts.metric(f"accuracy/{split}"))]
    names = " and ".join({"val": "validation", "test": "test"}[split] for split in splits)
    mean = "mean of " * (len(splits) > 1)
    return Finding(
        f"The model overfits: its training accuracy is {{trained:%}}, {'the ' * bool(mean)}{mean}"
        f"its {names} accuracy {{found:%}}.",
        f"accuracy/train {trained:.3g}, "
        f"{mean}{' and '.join(f'accuracy/{split}' for split in splits)} {found:.3g}; "
        f"loss/train {loss:.3g}, loss/val {rest:.3g} (lowest {lowest:.3g})",
        "patience=5 optimizer.weight_decay=0.001",
        {"trained": trained, "found": found},
    )
