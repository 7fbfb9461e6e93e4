"""Rules for curves of a training that learns, and ends too early, too late or at another place."""

from __future__ import annotations

import numpy as np

from mlr.core.text import approx_percent
from mlr.diagnosis.curves.course import (
    FEWEST,
    PARTS,
    CurveCourse,
    Row,
    ends,
    finite,
    fractions,
    last,
    median_of_3,
    noise,
    parts,
    place,
)
from mlr.diagnosis.findings import OR, Finding
from mlr.records.tensorboard.logs import LoggedCurve

LATE, LATE_IF_WRONG, MUCH = 0.6, 0.45, 1e-4
"""Fall in the last fifth as a share of a typical fifth's, or if most examples are predicted wrongly
to the end, and as a share of the loss."""
SEEN = 0.4
"""Share of the whole fall of the loss that the means of fifths must show."""
LOW = 0.15
"""Share of the loss at the start below which most is learned."""
RISE, EARLY = 1.25, 0.75
"""Validation loss at the end as a multiple of its lowest, and the place of that in the training."""
FALLEN = 0.8
"""Training loss at the end as a share of that at the validation's lowest."""
GAP, BY_HEART = 0.15, 10.0
"""Lead of training over validation accuracy, and validation loss as a multiple of the training's,
where the validation loss does not rise."""
BETTER, LEAD = 0.8, 0.05
"""Validation loss as a share of the training's, and lead of its accuracy, that are no chance."""
MOSTLY = 0.8
"""Share of the late validations that are better."""
STEP = 2.0
"""Factor between successive rates that is a step."""
JUMP, DROP = 1.5, 0.7
"""Mean loss after a step of the rate as a multiple of that before."""
NEAR = 8
"""Values on each side of a step of the rate."""


def cut_short(course: CurveCourse) -> Finding | None:
    """Find losses that still fall at the end as they did before."""
    known = [curve for curve in course.losses if len(finite(curve)) >= FEWEST]
    if (
        course.loss not in known
        or course.knew_before
        or not all(_falling(course, one, sure=False) for one in known)
    ):
        return None
    sure = [curve for curve in known if _falling(course, curve, sure=True)]
    if not sure or not _most_is_seen(course, sure[-1]):
        return None
    means = ", ".join(f"{one:.3g}" for one in parts(finite(sure[-1])))
    return Finding(
        "The loss still falls at the end as fast as before: there are too few steps, or the "
        "learning rate is too low.",
        f"{sure[-1].tag}: means of fifths {means}",
        f"twice the epochs, and a schedule of that length{OR}a higher lr",
        certain=False,
    )


def _falling(course: CurveCourse, curve: LoggedCurve, sure: bool) -> bool:
    """Test the falls from fifth to fifth: as far as noise lets see, or surely."""
    values = finite(curve)
    means = parts(values)
    if not means[-1] > LOW * max(course.start, values[0]):
        return False
    centres = parts(np.arange(len(values), dtype=float))
    falls = -np.diff(means) / np.diff(centres)
    typical = float((means[0] - means[-1]) / (centres[-1] - centres[0]))
    spread = 3 * noise(values) * np.sqrt(2 * PARTS / len(values)) / (centres[-1] - centres[-2])
    least = (LATE_IF_WRONG if course.best_accuracy < 0.5 else LATE) * typical
    seen = falls if sure else falls + spread
    tail = values[-max(2, len(values) // PARTS) :]
    half = len(tail) / 2
    ending = -float(np.diff(parts(tail, 2))[0]) / half
    ending += 3 * noise(values) * np.sqrt(2 / half) / half
    enough = MUCH * means[-1] / (centres[-1] - centres[-2])
    return bool(
        (seen > 0).sum() >= PARTS - 2
        and (falls > -spread).all()
        and ending >= least / 2  # no step of the rate before the end
        and typical > (0.0 if sure else -spread)
        and seen[-1] >= max(least, enough, spread if sure else 0.0)
    )


def _most_is_seen(course: CurveCourse, curve: LoggedCurve) -> bool:
    """Return False if the loss fell most before the first value of a curve, as of a validation."""
    means, values = parts(finite(curve)), finite(course.loss)
    doubt = 3 * noise(values) / np.sqrt(max(1, len(values) // 50))
    return bool(means[0] - means[-1] + doubt >= SEEN * (course.start - means[-1]))


def overfits(course: CurveCourse) -> Finding | None:
    """Find a validation loss that rises while the training loss falls."""
    if course.val is None or len(finite(course.val)) < FEWEST:
        return _gap(course)
    val, values = course.val, finite(course.val)
    smooth = median_of_3(values)
    at = int(smooth.argmin()) + (len(values) - len(smooth)) // 2
    lowest, end = float(smooth.min()), last(values)
    if not (lowest > 0 and end >= RISE * lowest and at < EARLY * len(values)):
        return _gap(course)
    if end - lowest < 3 * noise(values):
        return None
    evidence = f"{val.tag} {lowest:.3g} at {place(val, at)}, {end:.3g} at {place(val, -1)}"
    if course.train is not None:
        then, now = _around(course.train, val, at), last(finite(course.train))
        if not now <= FALLEN * then:
            return None
        evidence += f"; meanwhile {course.train.tag} from {then:.3g} to {now:.3g}"
    still = ""
    right = course.val_accuracy
    if right is not None and len(finite(right)) == len(values):
        before, after = (
            float(np.median(finite(right)[max(0, at - 1) : at + 2])),
            last(finite(right)),
        )
        evidence += f"; {right.tag} from {before:.3g} to {after:.3g}"
        still = " (in confidence, not in accuracy)" if after >= before else ""
    return Finding(
        f"The model overfits{still}: the validation loss is lowest at {place(val, at)} and rises "
        "from there, while the training loss falls.",
        evidence,
        f"keep the parameters of {place(val, at)}: if val_loss < best: best = val_loss; "
        f'torch.save(model.state_dict(), "best.pt"){OR}weight_decay, dropout or more data',
        certain=course.train is not None,
    )


def _around(curve: LoggedCurve, other: LoggedCurve, at: int) -> float:
    """Return the median of a curve around the place of a value of another."""
    own, others = fractions(curve, other)
    index = int(np.searchsorted(own, others[at]))
    half = max(1, len(own) // 40)
    return float(np.nanmedian(curve.values[max(0, index - half) : index + half]))


def _gap(course: CurveCourse) -> Finding | None:
    """Find a lead of the training accuracy where the validation loss does not rise, or is unknown.

    If it is known, it must be much larger than the training loss.
    """
    if course.accuracy is None or course.val_accuracy is None:
        return None
    ours, theirs = finite(course.accuracy), finite(course.val_accuracy)
    if min(len(ours), len(theirs)) < FEWEST or not last(ours) - last(theirs) >= GAP:
        return None
    evidence = f"{ends(course.accuracy)}; {ends(course.val_accuracy)}"
    if course.train and course.val and len(finite(course.val)):
        trained, found = last(finite(course.train)), last(finite(course.val))
        if not found >= BY_HEART * trained:
            return None
        evidence += f"; {course.train.tag} {trained:.3g}, {course.val.tag} {found:.3g} at the end"
    return Finding(
        f"The model overfits: {approx_percent(last(ours))} of the training examples are right at "
        f"the end, and {approx_percent(last(theirs))} of the validation examples.",
        evidence,
        "weight_decay, dropout, augmentation or more data",
        certain=False,
    )


def rate_jump(course: CurveCourse) -> Finding | None:
    """Find a rise of the loss where the learning rate rises by a step, that is not made good."""
    for at, before, after in _steps(course, up=True):
        end = last(finite(course.loss))
        if before > 0 and after >= JUMP * before and end >= before:
            assert course.rate is not None
            old, new = course.rate.values[at - 1 : at + 1]
            return Finding(
                f"The loss jumps as the learning rate rises at {place(course.rate, at)}, and does "
                "not come back: this rate is too high.",
                f"{course.rate.tag} from {old:.3g} to {new:.3g}; {course.loss.tag} from "
                f"{before:.3g} to {after:.3g}, at the end {end:.3g}",
                f"at most lr={old:.3g} from there on{OR}a warm-up",
                certain=False,
            )
    return None


def late_drop(course: CurveCourse) -> Finding | None:
    """Find a loss that stood still until the learning rate was lowered."""
    for at, before, after in _steps(course, up=False):
        assert course.rate is not None
        own, rates = fractions(course.loss, course.rate)
        index = int(np.searchsorted(own, rates[at]))
        waited = course.loss.values[max(0, index - 3 * NEAR) : index - NEAR]
        if len(waited) < NEAR or not 0 < after <= DROP * before:
            continue
        if before > LOW * course.start and abs(float(waited.mean()) - before) <= 0.1 * before:
            old, new = course.rate.values[at - 1 : at + 1]
            return Finding(
                f"The loss stood still until the learning rate was lowered at "
                f"{place(course.rate, at)}, and fell at once: an earlier step saves time.",
                f"{course.rate.tag} from {old:.3g} to {new:.3g}; {course.loss.tag} from "
                f"{before:.3g} to {after:.3g}",
                "scheduler = ReduceLROnPlateau(optimizer)",
                certain=False,
            )
    return None


def _steps(course: CurveCourse, up: bool) -> list[tuple[int, float, float]]:
    """Find steps of the rate, each with the mean loss before and after."""
    if course.rate is None or len(finite(course.rate)) != len(course.rate.values):
        return []
    rates, found = course.rate.values, []
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = rates[1:] / rates[:-1]
    steps = np.flatnonzero(factors >= STEP if up else factors <= 1 / STEP) + 1
    own, others = fractions(course.loss, course.rate)
    for at in steps.tolist():
        index = int(np.searchsorted(own, others[at]))
        before = course.loss.values[max(0, index - NEAR) : index]
        after = course.loss.values[index + 1 : index + 1 + NEAR]
        if len(before) >= 3 and len(after) >= 3:
            found.append((at, float(before.mean()), float(after.mean())))
    return found


def val_better(course: CurveCourse) -> Finding | None:
    """Find a validation that is better than the training through the second half."""
    for ours, theirs, of_loss in (
        (course.train, course.val, True),
        (course.accuracy, course.val_accuracy, False),
    ):
        if ours is None or theirs is None:
            continue
        if min(len(finite(ours)), len(finite(theirs))) < FEWEST:
            continue
        late = finite(theirs)[len(finite(theirs)) // 2 :]
        trained = _halves(ours)
        level, other = float(np.median(trained)), float(np.median(late))
        if of_loss:
            better, clear = late < level, 0 < other <= BETTER * level
        else:
            better, clear = late > level, other >= level + LEAD
        if clear and better.mean() >= MOSTLY:
            return Finding(
                "The validation is better than the training: through dropout, augmentation, noisy "
                "labels or a penalty in the training alone, easier examples, or a leak of training "
                "examples; curves cannot tell these apart.",
                f"second half: median of {ours.tag} {level:.3g}, of {theirs.tag} {other:.3g}",
                "model.eval() and the training examples: a loss like that of the validation rules "
                "out easier or leaked examples",
                certain=False,
            )
    return None


def _halves(curve: LoggedCurve) -> Row:
    values = finite(curve)
    return values[len(values) // 2 :]


def negative(course: CurveCourse) -> Finding | None:
    """Find a negative loss of what may be a density."""
    for curve in course.losses:
        below = np.flatnonzero(curve.values < 0)
        if len(below) and not course.accuracies:
            return Finding(
                "The loss is below 0: right for the likelihood of a density, a reward or a "
                "similarity, and wrong for a cross-entropy or a squared error.",
                f"{curve.tag} {curve.values[below[0]]:.3g} at {place(curve, below[0])}, lowest "
                f"{finite(curve).min():.3g}",
                "",
                certain=False,
            )
    return None
