"""Rules about the start: numbers that are not finite, and initial weights that cost too much."""

from __future__ import annotations

from mlr.analysis.explain import curve_shape
from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.findings import Finding
from mlr.analysis.formatting import approx, approx_percent

HIGH_START = {"ce": 4.0, "se": 100.0}
"""Times ln K, or what it is for the pair: a linear model of unscaled digits, which trains well
for all that, has 3. Squared error of a linear unit grows with the square of the logits: He's
weights behind two features start at up to 50 times it, and train well."""
HIGHER_BY = 5.0
"""And more than it, in nats: He's weights behind two features start at up to 3 for ln 2."""
LEARNED, RIGHT, BEHIND = 0.1, 0.98, 0.04
"""A run ended well with at most this share of the loss of knowing nothing, at least this training
accuracy, and a test accuracy that is at most so much lower: 0.031 in Nielsen's network of 100
units, as good as published; 0.045 and more where large weights let a model overfit."""
SOON = 0.1
"""Share of the updates after which a start that cost nothing is forgotten."""
OVERFLOW = 1e15
"""Features beyond that are no longer finite once squared and summed in float32."""
UPDATED = "the updated"
"""Begins the name of a tensor that only the update made infinite."""


def not_finite(facts: Facts) -> Finding | None:
    """A logit, a loss or a gradient is NaN or infinite before the first update."""
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
    """Name the tensor that was not finite before the first update, as the records have it."""
    refused = facts.run.entries.get("refused")
    if isinstance(refused, dict) and refused.get("update") == 1:
        tensor = str(refused.get("tensor"))
        return None if tensor.startswith(UPDATED) else tensor
    start = (facts.run.anatomy or {}).get("start") or {}
    lost = start.get("loss", 0) is None
    if not (lost or facts.diverged or facts.unlearned):
        return None  # what learns needs no look at its series
    if _at_start(facts, "nonfinite/logits") > 0:
        return "a logit"
    if lost:
        return "the loss"
    return "the gradient at a logit" if _at_start(facts, "nonfinite/logit_grad") > 0 else None


def _at_start(facts: Facts, tag: str) -> float:
    """A number recorded at update 0; NaN for none."""
    steps, values = facts.points(tag)
    return float(values[0]) if len(steps) and steps[0] == 0 else float("nan")


def _seen(facts: Facts) -> str:
    tags = ("nonfinite/logits", "nonfinite/logit_grad")
    counts = [(tag, _at_start(facts, tag)) for tag in tags]
    loss = facts.anatomy("start", "loss")
    told = [f"loss {approx(loss) if loss == loss else 'not finite'}"]
    return ", ".join(told + [f"{tag} {approx(count)}" for tag, count in counts if count == count])


def initial_loss(facts: Facts) -> Finding | None:
    """The initial predictions are confident and wrong: their loss is far above a constant's."""
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
    """True if a run ended well, and soon was where others begin."""
    loss, right = facts.metric("loss/train"), facts.metric("accuracy/train")
    well = loss <= LEARNED * sane and right >= RIGHT and not right - facts.held_out > BEHIND
    return well and curve_shape.time_above(facts, sane) <= SOON


def _smaller_weights(facts: Facts) -> str:
    model = facts.part("model")
    if (model.get("weight"), model.get("bias")) != (None, None):
        return "model.weight=null model.bias=null"
    return "model.init=torch model.init_scale=1" if facts.takes("model", "init") else ""
