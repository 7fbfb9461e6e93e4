"""Rules about the updates: too long, too short, or from a start that costs too much."""

from __future__ import annotations

import numpy as np

from mlr.app.explain import course
from mlr.app.explain.diagnosis import Finding
from mlr.app.explain.facts import Facts, short

PEAK = 5.0
"""Times the loss of a sane start: sound training, batch by batch, stays below 2."""
LEAPS = ((0.5, 0.2), (0.3, 0.5))
"""Typical log factor between validations, and the loss it takes place at, as a share of a
constant prediction's. Sound runs have up to 0.35 at losses near 0, and 0.26 with noisy labels."""
UNSETTLED = 0.2
"""Of a constant prediction's loss: below that a run that leapt has come to rest."""
ALIVE, KILLED = 0.01, 1e-3
"""First layer's gradient beside the output layer's: what it has at least in sound networks, and
what is left, as a share of that at the start, where its units have died."""
IN_VAIN = 0.5
"""Of a constant prediction's loss, at the end: what is left where hidden units died too early."""
SOFT, HARD = 0.1, 0.9
"""Saturated outputs at the start and at the end: weights that begin too large have 0.3 and more."""
LATE, LATE_IF_USELESS = 0.65, 0.1
"""Of the first half's progress made in the second: 0.7 to 1 on a straight line. Less is enough
where nothing was learned yet but to answer always alike."""
STEADY = 0.9
"""Share of validations that are better than the one before."""
FAR = 0.6
"""Of a constant prediction's loss, at the end: below that a run has learned what matters."""
HIGH_START = {"ce": 4.0, "se": 100.0}
"""Times ln K, or what it is for the pair: a linear model of unscaled digits, which trains well
for all that, has 3. Squared error of a linear unit grows with the square of the logits: He's
weights behind two features start at up to 50 times it, and train well."""
HIGHER_BY = 5.0
"""And more than it, in nats: He's weights behind two features start at up to 3 for ln 2."""


def lr_too_high(facts: Facts) -> Finding | None:
    """The loss grew without bound, leaps about, or the first updates have killed the model."""
    if facts.diverged:
        why = "the loss grew without bound"
        return _too_high(facts, why, f"status {facts.run.status}; loss/train {_course(facts)}")
    known = facts.constant == facts.constant
    sane = facts.constant if known else facts.anatomy("start", "loss")
    ends = max(facts.metric("loss/train"), facts.metric("loss/val"), key=_or_nothing)
    # what has come to rest needs no look at its curves; and a high start has much to come down from
    if ends < UNSETTLED * sane or initial_loss(facts) is not None:
        return None
    peak = course.peak(facts)
    if peak >= PEAK:
        why = f"the loss rose to {short(peak)} times its size at the start and did not settle"
        last = f"the larger of loss/train and loss/val {short(ends)}"
        return _too_high(facts, why, f"loss/train {_course(facts)}; {last}")
    return _leaping(facts, sane) or _ruined(facts, sane)


def _leaping(facts: Facts, sane: float) -> Finding | None:
    """The loss goes up and down from one validation to the next."""
    leaps, validated = course.leaps(facts), facts.values("loss/val")
    late = validated[len(validated) // 2 :]
    least = min(float(np.median(late)), facts.metric("loss/train")) if len(late) else 0.0
    if not any(leaps >= factor and least >= share * sane for factor, share in LEAPS):
        return None
    times = float(np.exp(leaps))
    why = f"from epoch to epoch the loss still leaps, by a factor of {times:.1f} typically"
    between = f"loss/val in the second half from {short(late.min())} to {short(late.max())}"
    return _too_high(facts, why, between)


def _ruined(facts: Facts, sane: float) -> Finding | None:
    """The first updates were such that the later ones can do nothing."""
    share = course.layer_share(facts)
    if len(share) and share[0] >= ALIVE and share[-1] < KILLED * share[0]:
        norms = facts.values(f"grad_norm/{facts.layers[0]}")
        if norms[-1] < KILLED * norms[0] and facts.metric("loss/train") >= IN_VAIN * sane:
            why = "the first updates have killed the hidden units, which learn nothing any more"
            fell = f"grad_norm/{facts.layers[0]} from {short(norms[0])} to {short(norms[-1])}"
            return _too_high(facts, why, f"{fell}; loss/train {_course(facts)}")
    if not facts.unlearned:
        return None
    before, after = facts.anatomy("start", "saturated"), facts.anatomy("saturated")
    if before <= SOFT and after >= HARD and facts.anatomy("stuck") >= 0.5 * facts.anatomy("wrong"):
        why = "the first updates have saturated the outputs, and nothing is learned any more"
        outputs = f"saturated outputs {short(before)} at the start, {short(after)} at the end"
        return _too_high(facts, why, f"{outputs}; loss/train {_course(facts)}")
    return None


def lr_too_low(facts: Facts) -> Finding | None:
    """The loss falls as steadily at the end as at the start, and is still high."""
    end, known = facts.metric("loss/train"), facts.constant == facts.constant
    if end < FAR * facts.constant:
        return None
    fall = course.fall(facts)
    sane = facts.constant if known else float(facts.values("loss/train")[:1].sum())
    useless = facts.unlearned or end >= facts.constant
    late = LATE_IF_USELESS if useless else LATE
    if not (fall.steady >= STEADY and fall.late >= late and end >= FAR * sane):
        return None
    rate = rate_of(facts)
    remedy = f"optimizer.lr={10 * rate:g}" if rate == rate else ""
    return Finding(
        f"The learning rate{_shown(rate)} is too low, or the training too short: the loss still "
        "falls steadily, and has far to go.",
        f"loss/val fell by {100 * fall.whole:.2g} % in all, in the second half "
        f"{short(fall.late)} times as much as in the first; loss/train {_course(facts)}",
        remedy,
    )


def initial_loss(facts: Facts) -> Finding | None:
    """The start is sure and wrong: its loss is far above that of not knowing."""
    start, sane = facts.anatomy("start", "loss"), facts.expected_start
    quadratic = facts.head in ("linear", "clipped_linear")
    high = start >= HIGH_START["se" if quadratic else "ce"] * sane
    if not high or not (quadratic or start - sane >= HIGHER_BY):
        return None
    ln = f"ln K = {short(sane)}" if facts.loss == "ce" and facts.head == "softmax" else short(sane)
    return Finding(
        f"The start is sure and wrong: its loss is {short(start)}, where a model that knows "
        f"nothing yet has {ln}. The initial weights are too large.",
        f"loss before the first update {short(start)}, expected at most {short(sane)}; "
        f"wrong {short(facts.anatomy('start', 'wrong'))}",
        _smaller_weights(facts),
    )


def _smaller_weights(facts: Facts) -> str:
    model = facts.config.get("model")
    if isinstance(model, dict) and (model.get("weight"), model.get("bias")) != (None, None):
        return "model.weight=null model.bias=null"
    return "model.init=torch model.init_scale=1" if facts.takes("model", "init") else ""


def rate_of(facts: Facts) -> float:
    """The learning rate as recorded, or else as configured; NaN where neither is known."""
    if facts.rate == facts.rate:
        return facts.rate
    optimizer = facts.config.get("optimizer")
    rate = optimizer.get("lr") if isinstance(optimizer, dict) else None
    return float(rate) if isinstance(rate, (int, float)) else float("nan")


def _too_high(facts: Facts, why: str, evidence: str) -> Finding:
    rate = rate_of(facts)
    remedy = f"optimizer.lr={rate / 10:g}" if rate == rate else ""
    return Finding(f"The learning rate{_shown(rate)} is too high: {why}.", evidence, remedy)


def _shown(rate: float) -> str:
    return f" {rate:g}" if rate == rate else ""


def _course(facts: Facts) -> str:
    """The training loss from start to end."""
    losses = facts.values("loss/train")
    start = facts.anatomy("start", "loss")
    first = start if start == start else float(losses[0]) if len(losses) else float("nan")
    end = facts.run.metrics.get("loss/train")
    last = end if end is not None else float(losses[-1]) if len(losses) else float("nan")
    top = f", at most {short(float(losses.max()))}" if len(losses) else ""
    return f"{short(first)} at the start{top}, {short(last)} at the end"


def _or_nothing(value: float) -> float:
    """For `max`: NaN counts as nothing."""
    return value if value == value else float("-inf")
