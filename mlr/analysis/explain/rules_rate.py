"""Rules about the learning rate: too high, too low, or held back by its schedule."""

from __future__ import annotations

from math import isfinite, nan

import numpy as np

from mlr.analysis.explain import curve_shape
from mlr.analysis.explain.facts import Facts
from mlr.analysis.explain.rules_network import initial_loss
from mlr.core.text import approx_percent
from mlr.diagnosis.findings import Finding

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
MOVED = 1.0
"""Path of the weights as a share of them: a program of a user's own that had every chance."""
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
    ends = float(np.fmax(facts.metric("loss/train"), facts.metric("loss/val")))
    # a settled run needs no look at its curves; and a high start may fall far
    if ends < UNSETTLED * sane or initial_loss(facts) is not None:
        return None
    peak = curve_shape.peak(facts)
    if peak >= PEAK:
        why = "the loss rose to {peak:.3g} times its size at the start and did not settle"
        validated = isfinite(facts.metric("loss/val"))
        last = f"; the larger of loss/train and loss/val {ends:.3g}" if validated else ""
        return _too_high(facts, why, f"loss/train {_course(facts)}{last}", peak=peak)
    return _leaping(facts, sane) or _ruined(facts, sane)


def _leaping(facts: Facts, sane: float) -> Finding | None:
    leaps, validated = curve_shape.leaps(facts), facts.values("loss/val")
    if leaps != leaps:
        return None
    late = validated[len(validated) // 2 :]
    least = min(float(np.median(late)), facts.metric("loss/train"))
    if not any(leaps >= factor and least >= share * sane for factor, share in LEAPS):
        return None
    why = "from epoch to epoch the loss still leaps, typically by a factor of {times:.1f}"
    between = f"loss/val in the second half from {late.min():.3g} to {late.max():.3g}"
    return _too_high(facts, why, between, times=float(np.exp(leaps)))


def _ruined(facts: Facts, sane: float) -> Finding | None:
    share = facts.layer_share
    if len(share) and share[0] >= ALIVE and share[-1] < KILLED * share[0]:
        norms = facts.values(f"grad_norm/{facts.layers[0]}")
        if norms[-1] < KILLED * norms[0] and facts.metric("loss/train") >= IN_VAIN * sane:
            why = "the first updates have killed the hidden units, which no longer learn"
            fell = f"grad_norm/{facts.layers[0]} from {norms[0]:.3g} to {norms[-1]:.3g}"
            return _too_high(facts, why, f"{fell}; loss/train {_course(facts)}")
    if not facts.unlearned:
        return None
    before, after = facts.anatomy("start", "saturated"), facts.anatomy("saturated")
    if before <= SOFT and after >= HARD and facts.anatomy("stuck") >= 0.5 * facts.anatomy("wrong"):
        why = "the first updates have saturated the outputs, which no longer learn"
        outputs = f"saturated outputs {before:.3g} at the start, {after:.3g} at the end"
        return _too_high(facts, why, f"{outputs}; loss/train {_course(facts)}")
    return None


def lr_too_low(facts: Facts) -> Finding | None:
    """Find a loss that still falls steadily at the end, and is still high."""
    end, unknown = facts.metric("loss/train"), facts.constant != facts.constant
    if facts.program.path > MOVED:
        return None
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
        fell += f", in the second half {fall.late:.3g} times as much as in the first"
    rate = facts.rate
    return Finding(
        f"The learning rate{_named(rate)} is too low, or the training too short: the loss still "
        "falls steadily, and most of it is still there.",
        f"{fell}; loss/train {_course(facts)}",
        f"optimizer.lr={10 * rate:g}" if isfinite(rate) else "",
        {"rate": rate},
        spare=_rates(100 * rate, 1000 * rate),
    )


def _held_back(facts: Facts) -> Finding | None:
    """Find a warm-up longer than the training; optimizer.lr itself may be right."""
    rate, reached = facts.setting("optimizer", "lr"), facts.reached_rate
    warm, updates = facts.setting("schedule", "warmup_steps"), facts.updates
    if not (warm > updates and reached < REACHED * rate):
        return None
    return Finding(
        "The warm-up is longer than the training: after {updates:,.0f} of schedule.warmup_steps="
        f"{warm:,.0f} updates the learning rate has come to {{reached:.3g}}, not to optimizer.lr="
        f"{rate:g}, and most of the loss is still there.",
        f"learning_rate at most {reached:.3g}; loss/train {_course(facts)}",
        f"schedule.warmup_steps={max(1, int(updates) // 10)}",
        {"updates": updates, "reached": reached},
    )


def _too_high(facts: Facts, why: str, evidence: str, **numbers: float) -> Finding:
    """Build a finding on the configured rate, or on the rate that a schedule had reached."""
    rate, reached = facts.rate, facts.reached_rate
    named = _named(rate)
    if reached < REACHED * rate:
        named, rate = f" {{rate:.3g}}, on its way to optimizer.lr={rate:g},", reached
    return Finding(
        f"The learning rate{named} is too high: {why}.",
        evidence,
        "".join(_rates(rate / 10)),
        {"rate": rate, **numbers},
        spare=_rates(1e-2 * rate, 1e-3 * rate),
    )


def _sane(facts: Facts) -> float:
    """Return the loss of a constant prediction; the loss at the start if it is unknown."""
    known = facts.constant == facts.constant
    return facts.constant if known else facts.anatomy("start", "loss")


def _named(rate: float) -> str:
    return " optimizer.lr={rate:g}" if isfinite(rate) else ""


def _rates(*rates: float) -> list[str]:
    return [f"optimizer.lr={rate:.3g}" for rate in rates if isfinite(rate)]


def _course(facts: Facts) -> str:
    losses, start = facts.values("loss/train"), facts.anatomy("start", "loss")
    first, last = (losses[0], losses[-1]) if len(losses) else (nan, nan)
    last = facts.run.metrics.get("loss/train", last)
    top = f", at most {losses.max():.3g}" if len(losses) else ""
    return f"{start if start == start else first:.3g} at the start{top}, {last:.3g} at the end"
