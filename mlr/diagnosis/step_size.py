"""Rules about how far the updates of a program of a user's own move its weights."""

from __future__ import annotations

from math import isfinite

import numpy as np

from mlr.diagnosis.findings import Finding
from mlr.diagnosis.program import HARDLY_BETTER, WatchedProgram

IN_VAIN = 1e-3
"""Share of a gradient that clipping leaves, below which nothing is left to learn by."""
GONE = 1e-2
"""Share of its largest size below which a rate is gone."""
STRONGER = 1.0
"""Size of the decay's pull as a multiple of the gradient."""
EARLY, SHRUNK = 4, 1e-2
"""First updates in which a decay pulls hardest, and the share of the outputs' spread that is left
once it has pulled the weights to 0."""
RUINED, LEAPT = 10.0, 10.0
"""Step of an update as a multiple of the weights, and largest loss as one of the first, that a
network does not recover from."""
STILL, LITTLE, MANY = 0.02, 0.15, 200
"""Length of the path of the weights over all updates, as a share of them: they stay as they are, or
move little in many updates."""
FACTORS = ("mean", "sum", "mul", "div")
"""Operations between a loss and the sum with another."""
NEARLY = 1.25
"""Largest multiple of a constant's loss that is left by a term which outweighs that of the task."""
DIVIDED = 0.1
"""Factor of a loss, as a share of one over the accumulated batches, that is too small."""
LEARNED = 0.6
"""Share of a constant's loss below which most is learned."""
ADAPTIVE = ("Adam", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta", "Rprop", "Lion")
"""Optimizers whose steps do not depend on the scale of the loss."""
WILD = 0.3
"""Step of the weights as a share of them that no training bears for long."""
FEWEST, FEW = 8, 100
"""Updates of a program that is more than a trial, and that are few for any model."""


def momentum_too_high(program: WatchedProgram) -> Finding | None:
    """Find a momentum of 1 or more."""
    momentum = program.evidence.momentum
    if not momentum >= 1:
        return None
    return Finding(
        "A momentum of {momentum:g} lets the steps grow without end: 1 or more never forgets.",
        f"momentum={momentum:g}; loss {program.course_of_loss}",
        "momentum=0.9",
        {"momentum": momentum},
    )


def decay_too_strong(program: WatchedProgram) -> Finding | None:
    """Find a weight decay that outweighs the gradient in a program that learns nothing."""
    shares = [look.decay for look in program.looks[1:] if look.decay == look.decay]
    if program.unlearned and _shrunk(program):  # small weights are pulled less
        shares = [look.decay for look in program.looks if look.updates < EARLY]
    if not program.unlearned or not shares or not np.median(shares) > STRONGER:
        return None
    return Finding(
        "Weight decay pulls {share:.3g} times as strongly as the gradient, and nothing is learned.",
        f"weight_decay · ‖w‖ / ‖g‖ {np.median(shares):.3g} (median of {len(shares)} updates); "
        f"{program.compared}",
        "weight_decay=1e-4",
        {"share": float(np.median(shares))},
        certain=False,
    )


def _shrunk(program: WatchedProgram) -> bool:
    """Tell if the outputs have become the same for all examples under a decay of the gradient."""
    known = all(look.decay == look.decay for look in program.looks if look.updates < EARLY)
    coupled = not program.evidence.optimizer.endswith("W") and known
    return coupled and program.last.output_std < SHRUNK * program.first.output_std


def term_outweighs(program: WatchedProgram) -> Finding | None:
    """Find outputs that became the same for all examples under a loss of several terms."""
    fed, seen = program.first.fed, program.evidence
    after = {fed}
    for _ in FACTORS:
        after |= {name for name in FACTORS for one in after if program.has(one, name)}
    several = bool(fed) and any(program.has(one, "add", "sub") for one in after)
    if not several or program.forms or seen.updates < FEW or not seen.target_variance > 0:
        return None
    start, end = program.first.output_std, program.last.output_std
    if not program.last.updates >= FEW:
        return None
    least = seen.target_entropy if fed == "bce_logits" else seen.target_variance
    cost, left = program.last.fed_cost, program.late_loss / least
    # the further term is minimised, and the other one is left as it is
    if cost >= HARDLY_BETTER * least and HARDLY_BETTER <= left <= NEARLY:
        return Finding(
            f"The outputs are no better than a constant by {fed}, and the loss has a further term "
            "next to it, which outweighs it.",
            f"{fed} {cost:.3g} after {program.last.updates:,} updates, of the best constant "
            f"{least:.3g}; loss {program.course_of_loss}",
            "loss = task + 1e-4 * term   # and take both as sums or as means of an example",
            certain=False,
        )
    if not end < SHRUNK * start:
        return None
    return Finding(
        f"The outputs have become the same for all examples, and the loss has a further term next "
        f"to {fed}, which outweighs it.",
        f"largest standard deviation of an output over the batch {start:.3g} at the start, "
        f"{end:.3g} after {program.last.updates:,} updates; loss {program.course_of_loss}",
        "loss = task + 1e-4 * term   # and log both: the term must not be the larger one",
        certain=False,
    )


def gradients_clipped_away(program: WatchedProgram) -> Finding | None:
    """Find clipping that leaves next to nothing of the gradients."""
    known = [look for look in program.looks if look.after > 0 and look.at_step > 0]
    shares = [look.at_step / look.after for look in known]
    if not program.unlearned or not shares or not max(shares) < IN_VAIN:
        return None
    return Finding(
        "Clipping leaves {share:.2g} of the gradients, and the steps are too small to learn by.",
        f"norm {known[0].after:.3g} after the backward pass, {known[0].at_step:.3g} at the step; "
        f"{program.compared}",
        "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
        {"share": max(shares)},
        certain=False,
    )


def loss_too_small(program: WatchedProgram) -> Finding | None:
    """Find a loss that is divided more often than batches are accumulated."""
    seen, known = program.evidence, [look.factor for look in program.looks if look.factor > 0]
    if not program.unlearned or not known or not seen.calls:
        return None
    usual = seen.updates / seen.calls  # of a mean over accumulated batches
    factor = max(known) * program.multiple
    scaled = seen.optimizer.removesuffix("W") in ADAPTIVE and not program.path < STILL
    if not factor < DIVIDED * usual or scaled:
        return None
    return Finding(
        "The loss is multiplied by {factor:.2g} before its backward pass, and the steps are too "
        "small to learn by.",
        f"factor {factor:.3g} of a mean over examples, for {1 / usual:.3g} batches an update; "
        f"{program.compared}",
        "loss.backward()   # of the mean, divided by the number of accumulated batches at most",
        {"factor": factor},
        certain=False,
    )


def rate_decays_too_soon(program: WatchedProgram) -> Finding | None:
    """Find a rate that is gone before half of the updates."""
    steps, rates = np.array(program.course.updates), np.array(program.course.rates)
    if not len(rates):
        looks = [look for look in program.looks if look.rates]
        steps = np.array([look.updates for look in looks])
        rates = np.array([max(look.rates) for look in looks])
    if len(rates) < 2 or not rates.max() > 0:
        return None
    gone = steps[rates < GONE * rates.max()]
    late = gone[gone > steps[rates.argmax()]]
    learned = program.late_loss < LEARNED * program.constant or not isfinite(program.constant)
    if not len(late) or not late[0] < program.evidence.updates / 2 or learned:
        return None
    return Finding(
        "The learning rate is gone before the model has learned: after {updates:,.0f} of "
        f"{program.evidence.updates:,} updates it is below a hundredth of its largest.",
        f"learning_rate {rates.max():.3g} at most, {rates[-1]:.3g} at the end; {program.compared}",
        "scheduler.step() once an epoch, or a larger gamma",
        {"updates": float(late[0])},
        certain=False,
    )


def rate_too_low(program: WatchedProgram) -> Finding | None:
    """Find updates that together hardly move the weights in a program that learns nothing."""
    seen, rates = program.evidence, sorted({rate for one in program.looks for rate in one.rates})
    if seen.updates and rates and rates[-1] == 0:
        why, certain = "is 0", True
    elif program.unlearned and 0 < program.path < (LITTLE if seen.updates >= MANY else STILL):
        why, certain = "is too low, or the gradients are", False
    else:
        return None
    return Finding(
        f"The updates do not move the weights: the learning rate {why}.",
        f"all {seen.updates:,} updates move the weights by {program.path:.2g} of "
        f"themselves at most; lr={', '.join(f'{rate:g}' for rate in rates)}; loss "
        f"{program.course_of_loss}",
        "lr=1e-3" if seen.optimizer.removesuffix("W") in ADAPTIVE else "lr=0.1",
        certain=certain,
    )


def rate_too_high(program: WatchedProgram) -> Finding | None:
    """Find updates that change the weights by much of themselves while nothing is learned."""
    moves = [look.moved for look in program.looks if look.moved == look.moved]
    rates = sorted({rate for look in program.looks for rate in look.rates})
    if not program.unlearned or not moves or not rates:
        return None
    leap = max((loss for loss in program.losses if isfinite(loss)), default=0.0)
    if max(moves) > RUINED and leap > LEAPT * program.first.loss > 0:
        return Finding(
            "An update changed the weights by {times:.3g} times themselves, and nothing was "
            "learned after it: the learning rate is too high, or gradients must be clipped between "
            "backward() and step().",
            f"‖Δw‖ / ‖w‖ {min(moves):.3g} to {max(moves):.3g}; loss {program.first.loss:.3g} at "
            f"the start, at most {leap:.3g}; lr={rates[-1]:g}; {program.compared}",
            f"lr={rates[-1] / 10:.3g}",
            {"times": max(moves)},
            certain=False,
        )
    if not min(moves) > WILD:
        return None
    return Finding(
        "Each update changes the weights by {share:%} of themselves: the learning rate is too "
        "high.",
        f"‖Δw‖ / ‖w‖ {min(moves):.3g} to {max(moves):.3g}; lr={rates[-1]:g}; {program.compared}",
        f"lr={rates[-1] / 10:.3g}",
        {"share": float(np.median(moves))},
        certain=False,
    )


def too_few_updates(program: WatchedProgram) -> Finding | None:
    """Find a program that learned nothing in a few updates."""
    early = program.late_loss >= HARDLY_BETTER * program.constant
    if not early or not FEWEST <= program.evidence.updates < FEW:
        return None
    return Finding(
        "The training is short: {updates:,.0f} updates are few for any model.",
        f"{program.evidence.updates:,} updates; {program.compared}",
        "more epochs, or smaller batches",
        {"updates": program.evidence.updates},
        certain=False,
    )
