"""Rules about the start: numbers that are not finite, and too large initial weights."""

from __future__ import annotations

from mlr.analysis.explain import curve_shape
from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.findings import Finding
from mlr.analysis.formatting import approx, approx_percent

HIGH_START = {"ce": 4.0, "se": 100.0}
"""Multiple of the expected loss, ln K or its equivalent for the pair: a linear model of unscaled
digits trains well from 3. Squared error of a linear unit grows with the square of the logits: He's
weights after two features train well from up to 50."""
HIGHER_BY = 5.0
"""Least excess over it in nats: He's weights after two features start at up to 3 for ln 2."""
LEARNED, RIGHT, BEHIND = 0.1, 0.98, 0.04
"""Conditions of a good end: at most this share of the expected initial loss, at least this training
accuracy, and a held-out accuracy at most so much lower: 0.031 in Nielsen's network of 100 units, as
good as published; 0.045 and more for a model that overfits by large weights."""
SOON = 0.1
"""Share of the updates within which a high start must be made up for."""
OVERFLOW = 1e15
"""Size of features whose squares overflow when summed in float32."""
UPDATED = "the updated"
"""Prefix of a tensor that only the update made infinite."""


def not_finite(facts: Facts) -> Finding | None:
    """Find a logit, loss or gradient that is not finite before the first update."""
    where = _first_lost(facts)
    if where is None or facts.anatomy("data", "largest") >= OVERFLOW:
        return None
    of_model = where == "a logit" or where.startswith("the gradient of")
    part = "model" if of_model else "loss"
    name = facts.part(part).get("_target_")
    named = f"the {part}" + (f" ({name})" if isinstance(name, str) else "")
    return Finding(
        f"{where[0].upper()}{where[1:]} is not finite before the first update, so that no "
        f"learning rate can help: look at what {named} computes from the first examples.",
        f"status {facts.run.status}; before the first update {_seen(facts)}",
        "",
    )


def _first_lost(facts: Facts) -> str | None:
    """Name the recorded tensor that was not finite before the first update."""
    refused = facts.run.entries.get("refused")
    if isinstance(refused, dict) and refused.get("update") == 1:
        tensor = str(refused.get("tensor"))
        return None if tensor.startswith(UPDATED) else tensor
    start = (facts.run.anatomy or {}).get("start") or {}
    lost = start.get("loss", 0) is None
    if not (lost or facts.diverged or facts.unlearned):
        return None  # a run that learned need not be read
    if _at_start(facts, "nonfinite/logits") > 0:
        return "a logit"
    if lost:
        return "the loss"
    return "the gradient at a logit" if _at_start(facts, "nonfinite/logit_grad") > 0 else None


def _at_start(facts: Facts, tag: str) -> float:
    """Return a number recorded at update 0; NaN for none."""
    steps, values = facts.points(tag)
    return float(values[0]) if len(steps) and steps[0] == 0 else float("nan")


def _seen(facts: Facts) -> str:
    tags = ("nonfinite/logits", "nonfinite/logit_grad")
    counts = [(tag, _at_start(facts, tag)) for tag in tags]
    loss = facts.anatomy("start", "loss")
    seen = [f"loss {approx(loss) if loss == loss else 'not finite'}"]
    return ", ".join(seen + [f"{tag} {approx(count)}" for tag, count in counts if count == count])


def initial_loss(facts: Facts) -> Finding | None:
    """Find initial predictions that are confident and wrong."""
    start, sane = facts.anatomy("start", "loss"), facts.expected_start
    quadratic = facts.head in ("linear", "clipped_linear")
    high = start >= HIGH_START["se" if quadratic else "ce"] * sane
    if not high or not (quadratic or start - sane >= HIGHER_BY) or _cost_nothing(facts, sane):
        return None
    known = f"{approx(sane)}"
    if facts.loss == "ce" and facts.head == "softmax":
        known = f"ln K = {known}"
    return Finding(
        "The initial predictions are confident and wrong: the loss before the first update is "
        f"{{start}}, where a constant prediction has {known}. The initial weights are too large.",
        f"loss before the first update {approx(start)}, expected at most {approx(sane)}; "
        f"wrong {approx_percent(facts.anatomy('start', 'wrong'))}",
        _smaller_weights(facts),
        {"start": (start, approx)},
    )


def _cost_nothing(facts: Facts, sane: float) -> bool:
    """Return True if a run ended well and made up for its start soon."""
    loss, right = facts.metric("loss/train"), facts.metric("accuracy/train")
    well = loss <= LEARNED * sane and right >= RIGHT and not right - facts.held_out > BEHIND
    return well and curve_shape.time_above(facts, sane) <= SOON


def _smaller_weights(facts: Facts) -> str:
    model = facts.part("model")
    if (model.get("weight"), model.get("bias")) != (None, None):
        return "model.weight=null model.bias=null"
    return "model.init=torch model.init_scale=1" if facts.takes("model", "init") else ""
