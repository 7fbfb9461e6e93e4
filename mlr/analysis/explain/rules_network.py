"""Rules about the network: its start and its hidden layers."""

from __future__ import annotations

import numpy as np

from mlr.analysis.explain import curve_shape
from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.rules_output import dead_classes
from mlr.core.text import approx_percent
from mlr.diagnosis.findings import Finding

HIGH_START = {"ce": 4.0, "se": 100.0}
"""Multiple of the expected loss: a linear model of unscaled digits trains well from 3, a linear
unit with squared error and He's weights from up to 50."""
HIGHER_BY = 5.0
"""Least excess over it in nats: He's weights after two features start at up to 3 for ln 2."""
LEARNED, RIGHT, BEHIND = 0.1, 0.98, 0.04
"""Conditions of a good end: at most this share of the expected initial loss, at least this training
accuracy, and a held-out accuracy at most so much lower: 0.031 in Nielsen's network of 100 units."""
SOON = 0.1
"""Share of the updates within which a high start must be made up for."""
OVERFLOW = 1e15
"""Size of features whose squares overflow when summed in float32."""
UPDATED = "the updated"
"""Prefix of a tensor that only the update made infinite."""
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


def not_finite(facts: Facts) -> Finding | None:
    """Find a logit, loss or gradient that is not finite before the first update."""
    where = _first_lost(facts)
    if where is None or facts.anatomy("data", "largest") >= OVERFLOW:
        return None
    part = "model" if where == "a logit" or where.startswith("the gradient of") else "loss"
    name = facts.part(part).get("_target_")
    named = f"the {part} ({name})" if name else f"the {part}"
    loss = facts.anatomy("start", "loss")
    seen = f"loss {loss:.3g}" if loss == loss else "loss not finite"
    for tag in ("nonfinite/logits", "nonfinite/logit_grad"):
        count = _at_start(facts, tag)
        seen += f", {tag} {count:.3g}" if count == count else ""
    return Finding(
        f"{where[0].upper()}{where[1:]} is not finite before the first update, so that no "
        f"learning rate can help: look at what {named} computes from the first examples.",
        f"status {facts.run.status}; before the first update {seen}",
        "",
        spare=["model.weight=null model.bias=null"] if _sets_weights(facts) else (),
    )


def _first_lost(facts: Facts) -> str | None:
    refused = facts.run.entries.get("refused") or {}
    if refused.get("update") == 1:
        tensor = str(refused.get("tensor"))
        return None if tensor.startswith(UPDATED) else tensor
    lost = (facts.run.anatomy or {}).get("start", {}).get("loss", 0) is None
    if not (lost or facts.diverged or facts.unlearned):
        return None  # a run that learned need not be read
    if _at_start(facts, "nonfinite/logits") > 0:
        return "a logit"
    if lost:
        return "the loss"
    return "the gradient at a logit" if _at_start(facts, "nonfinite/logit_grad") > 0 else None


def _at_start(facts: Facts, tag: str) -> float:
    steps, values = facts.points(tag)
    return float(values[0]) if len(steps) and steps[0] == 0 else float("nan")


def initial_loss(facts: Facts) -> Finding | None:
    """Find initial predictions that are confident and wrong."""
    start, sane = facts.anatomy("start", "loss"), facts.expected_start
    quadratic = facts.head in ("linear", "clipped_linear")
    high = start >= HIGH_START["se" if quadratic else "ce"] * sane
    if not high or not (quadratic or start - sane >= HIGHER_BY) or _cost_nothing(facts, sane):
        return None
    known = "ln K = " if facts.run.pair == "softmax+ce" else ""
    return Finding(
        "The initial predictions are confident and wrong: the loss before the first update is "
        f"{{start:.3g}}, where a constant prediction has {known}{sane:.3g}. The initial weights "
        "are too large.",
        f"loss before the first update {start:.3g}, expected at most {sane:.3g}; "
        f"wrong {approx_percent(facts.anatomy('start', 'wrong'))}",
        _smaller_weights(facts),
        {"start": start},
    )


def _cost_nothing(facts: Facts, sane: float) -> bool:
    """Return True if a run ended well and made up for its start soon."""
    loss, right = facts.metric("loss/train"), facts.metric("accuracy/train")
    well = loss <= LEARNED * sane and right >= RIGHT and not right - facts.held_out > BEHIND
    return well and curve_shape.time_above(facts, sane) <= SOON


def _sets_weights(facts: Facts) -> bool:
    model = facts.part("model")
    return (model.get("weight"), model.get("bias")) != (None, None)


def _smaller_weights(facts: Facts) -> str:
    if _sets_weights(facts):
        return "model.weight=null model.bias=null"
    return "model.init=torch model.init_scale=1" if facts.takes("model", "init") else ""


def starved(facts: Facts) -> Finding | None:
    """Find a first layer almost without gradient in a run that learned nothing."""
    share = facts.layer_share
    known = share[~np.isnan(share)]
    if not facts.unlearned or not len(known):
        return None
    typical = float(np.median(known))
    if not typical < STARVED:
        return None
    first, last = facts.layers[0], facts.layers[-1]
    norms = [float(np.median(facts.values(f"grad_norm/{name}"))) for name in (first, last)]
    return Finding(
        f"The gradient does not reach the hidden layers: that of {first} is {{share:.3g}} times "
        f"that of {last}, so that only the last layers learn.",
        f"median grad_norm/{first} {norms[0]:.3g}, grad_norm/{last} {norms[1]:.3g}; loss/train "
        f"{facts.metric('loss/train'):.3g}, of a constant prediction {facts.constant:.3g}",
        _sound_init(facts),
        {"share": typical},
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
        "The model underfits: its training loss has settled at {loss:.3g}, no better than the "
        f"{constant:.3g} of a constant prediction, though the features tell the classes apart: "
        "for {nearest:%} of the training examples the nearest other one has the same class.",
        f"loss/train {loss:.3g}, accuracy/train {right:.3g}; loss/val of the last quarter within "
        f"{approx_percent(curve_shape.settled(facts))} of the quarter before, while learning_rate "
        f"times {'' if adam else 'squared '}grad_norm/total adds up to {moved:.3g}",
        _more_capacity(facts),
        {"loss": loss, "nearest": nearest},
    )


def _first_order_gain(facts: Facts, adam: bool) -> float:
    """Compute Σ η‖g‖² over the updates, the first-order decrease of the loss; for Adam Σ η‖g‖."""
    norms, rates = facts.values("grad_norm/total"), facts.values("learning_rate")
    if len(norms) != len(rates) or not len(norms):
        return float("nan")
    return float((rates * (norms if adam else norms**2)).mean() * facts.updates)


def _more_capacity(facts: Facts) -> str:
    model = facts.part("model")
    if str(model.get("_target_", "mlr.models.Linear")).endswith(".Linear"):
        return "model=mlp"
    widths = model.get("widths")
    if not isinstance(widths, list) or not all(isinstance(width, int) for width in widths):
        return ""
    return f"model.widths=[{','.join(str(4 * width) for width in widths)}]"


def _sound_init(facts: Facts) -> str:
    settings = {"init": "he", "init_scale": "1", "activation": "relu"}
    return " ".join(
        f"model.{key}={value}" for key, value in settings.items() if facts.takes("model", key)
    )
