"""Rules about the learning rate: too high, too low, or held back by its schedule."""

from __future__ import annotations

from math import isfinite

import numpy as np

from mlr.analysis.explain import curve_shape
from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.findings import Finding, Number
from mlr.analysis.explain.rules_network import initial_loss
from mlr.analysis.formatting import approx, approx_percent, whole

PEAK = 5.0
"""Multiple of the loss of a sane start: sound training stays below 2 in every batch."""
LEAPS = ((0.5, 0.2), (0.3, 0.5))
"""Typical log factor between validations, and least loss as a share of a constant prediction's.
Sound runs have up to 0.35 at losses near 0, and 0.26 with noisy labels."""
UNSETTLED = 0.2
"""Share of a constant prediction's loss below which a run has settled."""
ALIVE, KILLED = 0.01, 1e-3
"""Least gradient of the first layer as a share of the output layer's in sound networks, and the
share of its value at the start that is left if its units have died."""
IN_VAIN = 0.5
"""Share of a constant prediction's loss that is left if hidden units died too early."""
SOFT, HARD = 0.1, 0.9
"""Shares of saturated outputs at the start and end; too large weights start at 0.3 or more."""
LATE, LATE_IF_USELESS = 0.65, 0.1
"""Progress of the second half as a share of the first half's: 0.7 to 1 on a straight line. Less
suffices for a constant prediction."""
STEADY = 0.9
"""Share of validations better than the one before."""
FAR = 0.6
"""Share of a constant prediction's loss below which a run has learned most."""
MOSTLY = 0.5
"""Share of wrong training examples."""
REACHED = 0.5
"""Share of optimizer.lr that a schedule must reach, or it is what kept the rate low."""


def lr_too_high(facts: Facts) -> Finding | None:
    """Find a loss that diverges or leaps, or units killed by the first updates."""
    if facts.diverged:
        why = "the loss grew without bound"
        return _too_high(facts, why, f"status {facts.run.status}; loss/train {_course(facts)}")
    sane = _sane(facts)
    ends = max(facts.metric("loss/train"), facts.metric("loss/val"), key=_or_nothing)
    # a settled run needs no look at its curves; and a high start may fall far
    if ends < UNSETTLED * sane or initial_loss(facts) is not None:
        return None
    peak = curve_shape.peak(facts)
    if peak >= PEAK:
        why = "the loss rose to {peak} times its size at the start and did not settle"
        last = f"the larger of loss/train and loss/val {approx(ends)}"
        evidence = f"loss/train {_course(facts)}; {last}"
        return _too_high(facts, why, evidence, peak=(peak, approx))
    return _leaping(facts, sane) or _ruined(facts, sane)


def _leaping(facts: Facts, sane: float) -> Finding | None:
    """Find a loss that goes up and down between validations."""
    leaps, validated = curve_shape.leaps(facts), facts.values("loss/val")
    if leaps != leaps:
        return None
    late = validated[len(validated) // 2 :]
    least = min(float(np.median(late)), facts.metric("loss/train"))
    if not any(leaps >= factor and least >= share * sane for factor, share in LEAPS):
        return None
    why = "from epoch to epoch the loss still leaps, typically by a factor of {times}"
    between = f"loss/val in the second half from {approx(late.min())} to {approx(late.max())}"
    return _too_high(facts, why, between, times=(float(np.exp(leaps)), "{:.1f}".format))


def _ruined(facts: Facts, sane: float) -> Finding | None:
    """Find hidden units or outputs that the first updates have put beyond repair."""
    share = curve_shape.layer_share(facts)
    if len(share) and share[0] >= ALIVE and share[-1] < KILLED * share[0]:
        norms = facts.values(f"grad_norm/{facts.layers[0]}")
        if norms[-1] < KILLED * norms[0] and facts.metric("loss/train") >= IN_VAIN * sane:
            why = "the first updates have killed the hidden units, which no longer learn"
            fell = f"grad_norm/{facts.layers[0]} from {approx(norms[0])} to {approx(norms[-1])}"
            return _too_high(facts, why, f"{fell}; loss/train {_course(facts)}")
    if not facts.unlearned:
        return None
    before, after = facts.anatomy("start", "saturated"), facts.anatomy("saturated")
    if before <= SOFT and after >= HARD and facts.anatomy("stuck") >= 0.5 * facts.anatomy("wrong"):
        why = "the first updates have saturated the outputs, which no longer learn"
        outputs = f"saturated outputs {approx(before)} at the start, {approx(after)} at the end"
        return _too_high(facts, why, f"{outputs}; loss/train {_course(facts)}")
    return None


def lr_too_low(facts: Facts) -> Finding | None:
    """Find a loss that still falls steadily at the end, and is still high."""
    end, unknown = facts.metric("loss/train"), facts.constant != facts.constant
    # without a constant to compare with, most examples must be wrong
    if not (end >= FAR * _sane(facts) or (unknown and facts.anatomy("wrong") >= MOSTLY)):
        return None
    held_back = _held_back(facts)
    if held_back is not None:
        return held_back
    fall = curve_shape.fall(facts)
    late = LATE_IF_USELESS if facts.unlearned or end >= facts.constant else LATE
    if not (fall.steady >= STEADY and fall.late >= late):
        return None
    fell = f"{fall.tag} fell by {approx_percent(fall.whole)} in all"
    if isfinite(fall.late):  # else it did not fall in the first half
        fell += f", in the second half {approx(fall.late)} times as much as in the first"
    return _too_low(facts, f"{fell}; loss/train {_course(facts)}")


def _held_back(facts: Facts) -> Finding | None:
    """Find a warm-up longer than the training; optimizer.lr itself may be right."""
    rate, reached = facts.setting("optimizer", "lr"), facts.reached_rate
    warm, updates = facts.setting("schedule", "warmup_steps"), facts.updates
    if not (warm > updates and reached < REACHED * rate):
        return None
    return Finding(
        "The warm-up is longer than the training: after {updates} of schedule.warmup_steps="
        f"{whole(warm)} updates the learning rate has come to {{reached}}, not to optimizer.lr="
        f"{rate:g}, and most of the loss is still there.",
        f"learning_rate at most {approx(reached)}; loss/train {_course(facts)}",
        f"schedule.warmup_steps={max(1, int(updates) // 10)}",
        {"updates": (updates, whole), "reached": (reached, approx)},
    )


def _too_low(facts: Facts, evidence: str) -> Finding:
    rate = facts.setting("optimizer", "lr")
    rate = rate if isfinite(rate) else facts.reached_rate
    known = isfinite(rate)
    return Finding(
        f"The learning rate{_named(known)} is too low, or the training too short: the loss still "
        "falls steadily, and most of it is still there.",
        evidence,
        f"optimizer.lr={10 * rate:g}" if known else "",
        _rate(rate),
        spare=_rates(rate, 100, 1000) if known else (),
    )


def _too_high(facts: Facts, why: str, evidence: str, **numbers: Number) -> Finding:
    """Build a finding on the configured rate, or on the rate that a schedule had reached."""
    rate, reached = facts.setting("optimizer", "lr"), facts.reached_rate
    if reached < REACHED * rate:
        template = (
            f"The learning rate {{reached}}, on its way to optimizer.lr={rate:g}, is too high"
        )
        numbers["reached"], rate = (reached, approx), reached
    else:
        rate = rate if isfinite(rate) else reached
        template = f"The learning rate{_named(isfinite(rate))} is too high"
    known = isfinite(rate)
    return Finding(
        f"{template}: {why}.",
        evidence,
        f"optimizer.lr={_tenth(rate)}" if known else "",
        _rate(rate) | numbers,
        spare=_rates(rate, 1e-2, 1e-3) if known else (),
    )


def _sane(facts: Facts) -> float:
    """Return the loss of a constant prediction; the loss at the start if it is unknown."""
    known = facts.constant == facts.constant
    return facts.constant if known else facts.anatomy("start", "loss")


def _named(known: bool) -> str:
    return " optimizer.lr={rate}" if known else ""


def _rate(rate: float) -> dict[str, Number]:
    return {"rate": (rate, "{:g}".format)}


def _tenth(rate: float) -> str:
    return f"{rate / 10:.3g}"


def _rates(rate: float, *factors: float) -> list[str]:
    return [f"optimizer.lr={factor * rate:.3g}" for factor in factors]


def _course(facts: Facts) -> str:
    """Describe the training loss from start to end."""
    losses = facts.values("loss/train")
    start = facts.anatomy("start", "loss")
    first = start if start == start else float(losses[0]) if len(losses) else float("nan")
    end = facts.run.metrics.get("loss/train")
    last = end if end is not None else float(losses[-1]) if len(losses) else float("nan")
    top = f", at most {approx(float(losses.max()))}" if len(losses) else ""
    return f"{approx(first)} at the start{top}, {approx(last)} at the end"


def _or_nothing(value: float) -> float:
    """Replace NaN by −∞, for `max`."""
    return value if value == value else float("-inf")
