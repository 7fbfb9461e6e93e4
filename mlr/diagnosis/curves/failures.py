"""Rules for curves of a training that learns nothing, or ever less."""

from __future__ import annotations

from collections import Counter
from math import exp, log

import numpy as np

from mlr.core.text import approx_percent
from mlr.diagnosis.curves.course import (
    FEWEST,
    LEARNED,
    PARTS,
    CurveCourse,
    ends,
    finite,
    median_of_3,
    noise,
    parts,
    place,
)
from mlr.diagnosis.findings import OR, Finding
from mlr.records.tensorboard.logs import LoggedCurve

GREW = 10.0
"""Multiple of the lowest loss before NaN that tells of growth."""
MANY = 0.01
"""Share of values that are not finite from which they are more than single accidents."""
PEAK = 5.0
"""Multiple of the loss at the start that sound trainings never reach."""
ABOVE = 6
"""Standard deviations of single losses by which most of them exceed the start, if no peak is far
above the others: the first loss of a batch of one may be small by chance."""
SETTLED = 0.2
"""Share of the loss at the start below which a rise was made good."""
RISEN, BACK = 1.5, 0.5
"""Loss at the end as a multiple of its lowest mean, and of the start, where it has risen again."""
RELATIVE, SURE = 0.05, 0.1
"""Fall of a flat loss as a share of the start, and with what noise may hide."""
ENOUGH = 10
"""Values of a loss that can be called flat."""
NEAR = 3
"""Accuracies that tell the level at the end."""
GAINED = 0.1
"""Gain of accuracy that shows that something is learned."""
AT_CHANCE, NEAR_CLASSES = 0.15, 0.03
"""Largest distance of the loss to −ln accuracy, and to ln K."""
FELL = 0.5
"""Share of the loss at the start below which the outputs cannot be constant."""
SAME, SOME = 0.9, 0.9
"""Share of equal accuracies, and accuracy below which they are no sign of success."""
GONE, UNTIL = 1e-4, 0.75
"""Share of the highest rate that moves nothing, and of the steps before which it is too early."""
LEAPS = ((0.5, 0.2), (0.3, 0.5))
"""Typical log factor between validations, and least loss as a share of the start's."""


def not_finite(course: CurveCourse) -> Finding | None:
    """Find a loss that is NaN or infinite."""
    for curve in course.losses:
        bad = ~np.isfinite(curve.values)
        if not bad.any():
            continue
        first, count, total = int(np.argmax(bad)), int(bad.sum()), len(bad)
        if bad[first:].all():
            return _to_the_end(course, curve, first)
        if bad[: int(bad.sum())].all() and curve is not course.train:
            continue  # a placeholder before the first validation
        often = count > MANY * total
        return Finding(
            f"Single losses are not finite: {count:,} of {total:,}, and later ones are again.",
            f"{curve.tag} is not finite at {place(curve, first)} for the first time",
            "assert torch.isfinite(loss), batch  # at the loss: an empty batch or mask, or log(0)",
            certain=often,
        )
    return None


def _to_the_end(course: CurveCourse, curve: LoggedCurve, first: int) -> Finding:
    before = curve.values[:first]
    evidence = f"{curve.tag} is not finite from {place(curve, first)} on"
    if not first:
        return Finding(
            "The loss is not finite from its first value on.",
            f"{evidence}, {len(curve.values):,} values",
            "torch.autograd.set_detect_anomaly(True)  # and look for NaN in the inputs, and log(0)",
        )
    least, largest = float(before.min()), float(before[-FEWEST:].max())
    evidence += f"; {before[-1]:.3g} before, lowest {least:.3g}"
    if least > 0 and largest > GREW * least and largest > course.start:
        return Finding(
            "The loss grew without bound until it was no number: the learning rate is too high.",
            evidence,
            lower(course),
            certain=False,
        )
    return Finding(
        "The loss becomes NaN or infinite, and stays so; it did not grow before as at a rate that "
        "is slightly too high.",
        evidence,
        f"torch.autograd.set_detect_anomaly(True)  # names the operation: log(0), 0/0, overflow"
        f"{OR}{lower(course)}",
    )


def lower(course: CurveCourse) -> str:
    """Write the code for a lower learning rate."""
    rate = course.highest_rate
    known = f"lr={rate / 10:.3g}  # was {rate:.3g}" if rate > 0 else "a tenth of the lr"
    return f"{known}{OR}torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)"


def higher(course: CurveCourse) -> str:
    """Write the code for a higher learning rate."""
    rate = course.highest_rate
    return f"lr={rate * 10:.3g}  # was {rate:.3g}" if rate > 0 else "ten times the lr"


def no_rate(course: CurveCourse) -> Finding | None:
    """Find a learning rate that is 0 all along."""
    if course.rate is None or course.highest_rate != 0 or len(course.rate.values) < 2:
        return None
    return Finding(
        "The learning rate is 0 all along, so that nothing is learned.",
        ends(course.rate),
        "lr=1e-3 in the optimizer, and a schedule whose factor is not 0",
    )


def rises(course: CurveCourse) -> Finding | None:
    """Find a training loss that rises far above its start, or back to it."""
    curve = course.train
    if curve is None or len(finite(curve)) < FEWEST or not course.start > 0:
        return None
    values = finite(curve)
    calm = median_of_3(parts(values, 50))
    means = parts(values, 8)
    peak, end, lowest = float(calm.max()), float(means[-1]), float(means.min())
    single = noise(values)
    final = np.array_split(values, len(means))[-1]
    spread = max(single * np.sqrt(2), final.std()) * np.sqrt(8 / len(values))  # of two means
    settled, middle = end <= SETTLED * course.start, float(np.median(values))
    no_chance = peak >= PEAK * middle or middle - course.start > ABOVE * single
    if peak >= PEAK * course.start and no_chance and not settled:
        why = f"rises to {peak / course.start:.3g} times its size at the start"
    elif end >= RISEN * lowest and end >= BACK * course.start and end - lowest > 4 * spread:
        why = f"rises again, from {lowest:.3g} to {end:.3g}"
    else:
        return None
    return Finding(
        f"The training loss {why}: the learning rate is too high, or the loss is maximised.",
        f"{curve.tag}: start {course.start:.3g}, largest {peak:.3g}, means of eighths from "
        f"{lowest:.3g} to {end:.3g}",
        lower(course),
        certain=False,
    )


def below_zero(course: CurveCourse) -> Finding | None:
    """Find a negative loss of a classification."""
    for curve in course.losses:
        values = finite(curve)
        negative = np.flatnonzero(curve.values < 0)
        if not len(negative) or not course.accuracies:
            continue
        as_nll = values.min() >= -1 and len(negative) > len(values) / 2
        cause = (
            "nll_loss of probabilities has values between −1 and 0"
            if as_nll
            else "a sign is wrong, or targets are outside of [0, 1]"
        )
        return Finding(
            f"The loss is below 0, which no cross-entropy and no squared error can be: {cause}.",
            f"{curve.tag} {curve.values[negative[0]]:.3g} at {place(curve, negative[0])}, lowest "
            f"{values.min():.3g}",
            "loss = F.cross_entropy(logits, targets)  # logits: outputs without softmax",
            certain=False,
        )
    return None


def one_class(course: CurveCourse) -> Finding | None:
    """Find an accuracy that hardly changes: all examples are put into one class."""
    for curve in reversed(course.accuracies):
        values = finite(curve)[1:]
        if len(values) < FEWEST - 1:
            continue
        share, times = max(Counter(values.tolist()).items(), key=lambda one: one[1])
        if times < SAME * len(values) or not 0 < share < SOME or _fell(course, share):
            continue
        return Finding(
            f"The accuracy does not change: all examples are put into one class, which "
            f"{approx_percent(share)} of them have, by dead or saturated units (often of a "
            "learning rate that is too high), or nothing is updated.",
            f"{curve.tag} {share:.4g} {times:,} times from {place(curve, 1)} to "
            f"{place(curve, -1)}; {ends(course.loss)}",
            "print(model(inputs).argmax(1).bincount(), model(inputs).std(0))  # then another lr, "
            "or nn.init.kaiming_normal_",
            certain=False,
        )
    return None


def _fell(course: CurveCourse, share: float) -> bool:
    """Return True if the loss is lower than outputs allow that are the same for all examples.

    They have a cross-entropy of −s ln s − (1 − s) ln(1 − s) or more, if a share s of the examples
    are in their class.
    """
    values = finite(course.loss)
    level = float(values[len(values) // 2 :].mean())
    least = -share * log(share) - (1 - share) * log(1 - share)
    return level < FELL * course.start or level < 0.97 * least < course.start


def chance(course: CurveCourse) -> Finding | None:
    """Find a loss near ln K with an accuracy near 1/K."""
    curve = course.train or course.loss
    accuracy = next(iter(course.accuracies), None)
    if accuracy is None or len(finite(curve)) < FEWEST or len(finite(accuracy)) < FEWEST:
        return None
    late, right = (finite(one)[len(finite(one)) // 2 :] for one in (curve, accuracy))
    level, share = float(late.mean()), float(right.mean())
    classes = round(exp(min(level, 20.0)))
    if classes < 2 or share <= 0 or abs(level - log(classes)) > NEAR_CLASSES * level:
        return None
    if abs(level + log(share)) > AT_CHANCE or abs(log(classes * share)) > 2 * AT_CHANCE:
        return None
    return Finding(
        f"Nothing was learned: the loss stays at ln {classes} = {log(classes):.3g} and the "
        f"accuracy at 1/{classes}, those of outputs that do not depend on the inputs.",
        f"second half: mean of {curve.tag} {level:.4g}, of {accuracy.tag} {share:.3g}",
        f"{higher(course)}{OR}train on one batch a hundred times: if its loss does not fall, the "
        "loop or the loss is at fault; if it falls, look whether targets belong to their inputs",
        certain=False,
    )


def rate_gone(course: CurveCourse) -> Finding | None:
    """Find a learning rate that vanishes long before the end."""
    curve = course.rate
    if curve is None or len(curve.values) < FEWEST or not course.highest_rate > 0:
        return None
    alive = np.flatnonzero(curve.values > GONE * course.highest_rate)
    at = int(alive[-1]) + 1
    if at >= UNTIL * len(curve.values):
        return None
    left = 1 - at / len(curve.values)
    return Finding(
        f"The learning rate is gone before the end: the last {approx_percent(left)} of the "
        "training teach nothing.",
        f"{curve.tag} {course.highest_rate:.3g} at most, {curve.values[at]:.3g} from "
        f"{place(curve, at)} on; {ends(course.loss)}",
        "scheduler.step() once an epoch if it counts epochs; T_max or total_steps = number of "
        "its steps",
    )


def flat(course: CurveCourse) -> Finding | None:
    """Find a loss that hardly falls from the start."""
    values = finite(course.loss)
    if len(values) < ENOUGH:
        return None
    head = max(1, len(values) // 10)
    first = float(values[:head].mean())
    fell = first - float(parts(values[head:]).min())
    hidden = 2 * noise(values) * np.sqrt(1 / head + PARTS / len(values))
    if fell >= RELATIVE * abs(first) or fell + hidden >= SURE * abs(first):
        return None
    others = finite(course.val) if course.val else values[:0]
    if len(others) and others[0] - others.min() >= SURE * abs(others[0]):
        return None
    known = [row for one in course.accuracies if len(row := finite(one))]
    gains = [float(row[-NEAR:].mean() - row[0]) for row in known]
    if course.best_accuracy >= LEARNED or max(gains, default=0.0) >= GAINED:
        return None
    curve = course.loss
    return Finding(
        "The loss hardly falls from the start: the learning rate is far too low, nothing can be "
        "learned, or all was learned before; curves cannot tell these apart.",
        ends(curve),
        f"{higher(course)}{OR}train on one batch a hundred times: its loss must fall to nearly 0",
        certain=False,
    )


def leaps(course: CurveCourse) -> Finding | None:
    """Find a validation loss, or mean losses, that leap up and down to the end."""
    curve, values = course.smooth
    if not course.start > 0:
        return None
    late = values[len(values) // 2 :]
    if len(late) < FEWEST or not (late > 0).all():
        return None
    typical, level = float(np.diff(np.log(late)).std()), float(np.median(late))
    bounds = LEAPS if len(values) == len(finite(curve)) else LEAPS[:1]  # means of batches are noisy
    if not any(typical >= factor and level >= share * course.start for factor, share in bounds):
        return None
    return Finding(
        f"The loss leaps up and down to the end, typically by a factor of {exp(typical):.1f}: the "
        "learning rate is too high.",
        f"second half of {curve.tag} from {late.min():.3g} to {late.max():.3g}; start "
        f"{course.start:.3g}",
        lower(course),
        certain=False,
    )
