"""Rules about the hidden layers."""

from __future__ import annotations

import numpy as np

from mlr.analysis.explain import curve_shape
from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.findings import Finding
from mlr.analysis.explain.rules_output import dead_classes
from mlr.analysis.formatting import approx, approx_percent

STARVED = 0.01
"""First layer's gradient norm as a share of the output layer's: sound networks have 0.1 to 3."""
AT_CONSTANT = 0.95
"""Share of a constant prediction's loss above which only the shares of classes are learned."""
LEVEL = 0.02
"""Largest distance of the last quarter's validation loss from the quarter before."""
ENOUGH = 1.0
"""First-order decrease of the loss by all updates, in units of a constant prediction's loss."""
TOLD_APART = 0.15
"""Lead of the nearest neighbour's over the model's training accuracy; 0 for features that are
independent of the class."""


def starved(facts: Facts) -> Finding | None:
    """Find a first layer almost without gradient in a run that learned nothing."""
    share = curve_shape.layer_share(facts)
    known = share[~np.isnan(share)]
    if not facts.unlearned or not len(known):
        return None
    typical = float(np.median(known))
    if not typical < STARVED:
        return None
    first, last = facts.layers[0], facts.layers[-1]
    norms = [float(np.median(facts.values(f"grad_norm/{name}"))) for name in (first, last)]
    return Finding(
        f"The gradient does not reach the hidden layers: that of {first} is {{share}} times that "
        f"of {last}, so that only the last layers learn.",
        f"median grad_norm/{first} {approx(norms[0])}, grad_norm/{last} {approx(norms[1])}; "
        f"loss/train {approx(facts.metric('loss/train'))}, of a constant prediction "
        f"{approx(facts.constant)}",
        _sound_init(facts),
        {"share": (typical, approx)},
    )


def underfitting(facts: Facts) -> Finding | None:
    """Find a loss settled at a constant prediction's though features separate the classes."""
    loss, constant = facts.metric("loss/train"), facts.constant
    right, nearest = facts.metric("accuracy/train"), facts.anatomy("data", "neighbours")
    if not (loss >= AT_CONSTANT * constant and curve_shape.settled(facts) <= LEVEL):
        return None
    if len(dead_classes(facts)):  # a larger model would not give their outputs a gradient
        return None
    adam = "adam" in str(facts.part("optimizer").get("_target_")).lower()
    moved = _first_order_gain(facts, adam)
    if not (moved >= ENOUGH * constant and nearest - right >= TOLD_APART):
        return None
    return Finding(
        "The model underfits: its training loss has settled at {loss}, no better than the "
        f"{approx(constant)} of a constant prediction, though the features tell the classes apart: "
        "for {nearest} of the training examples the nearest other one has the same class.",
        f"loss/train {approx(loss)}, accuracy/train {approx(right)}; loss/val of the last quarter "
        f"within {approx_percent(curve_shape.settled(facts))} of the quarter before, while "
        "learning_rate times "
        f"{'' if adam else 'squared '}grad_norm/total adds up to {approx(moved)}",
        _more_capacity(facts),
        {"loss": (loss, approx), "nearest": (nearest, approx_percent)},
    )


def _first_order_gain(facts: Facts, adam: bool) -> float:
    """Compute Σ η‖g‖² over the updates, the decrease of the loss to first order.

    Adam divides by the size of the gradient, so that it is at least Σ η‖g‖.
    """
    norms, rates = facts.values("grad_norm/total"), facts.values("learning_rate")
    if len(norms) != len(rates) or not len(norms):
        return float("nan")
    return float((rates * (norms if adam else norms**2)).mean() * facts.updates)


def _more_capacity(facts: Facts) -> str:
    """Suggest a hidden layer for a model without one, or layers four times as wide."""
    model = facts.part("model")
    if str(model.get("_target_", "mlr.models.Linear")).endswith(".Linear"):
        return "model=mlp"
    widths = model.get("widths")
    if not isinstance(widths, list) or not all(isinstance(width, int) for width in widths):
        return ""
    return f"model.widths=[{','.join(str(4 * width) for width in widths)}]"


def _sound_init(facts: Facts) -> str:
    """Suggest He's weights and ReLUs, if the model has such settings."""
    settings = {"init": "he", "init_scale": "1", "activation": "relu"}
    return " ".join(
        f"model.{key}={value}" for key, value in settings.items() if facts.takes("model", key)
    )
