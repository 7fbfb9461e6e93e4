"""Rules about inputs, targets and the network of a program of a user's own."""

from __future__ import annotations

from math import isfinite

import numpy as np

from mlr.diagnosis.findings import Finding
from mlr.diagnosis.program import (
    ENOUGH,
    HARDLY_BETTER,
    OF_CLASSES,
    OF_NUMBERS,
    OF_PROBABILITIES,
    WatchedProgram,
)

AT_ONCE, GREW = 4, 1.5
"""Updates between two measured losses, and largest multiple of the first one, of a loss that is
lost by a single batch."""
FLOAT32 = 1e5
"""|mean| / std of a column from which float32 loses its differences."""
LARGE, SMALL = 10.0, 0.01
"""Root mean square of the inputs: about 1 is expected, and images in [0, 1] have 0.1 to 0.5."""
APART = 1e3
"""Largest over smallest column."""
TARGETS = 100.0
"""Root mean square of the targets of a squared error from which it is hard to learn."""
DEAD = 0.999
"""Share of units of a layer that are 0 for all examples."""
VANISHED, BEFORE = 1e-3, 10
"""First layer's gradient as a share of the last one's, and allowed multiple at the start."""
SATURATED = 0.9
"""Share of saturated outputs of a layer."""
HIGH_START, HIGHER_BY = 4.0, 5.0
"""Multiple of the constant's loss, and excess over it, of a start that is confident and wrong."""
THROWN, LEFT = 10.0, 0.25
"""Largest loss as a multiple of such a start, and share of a constant's that is left, of a training
that large inputs threw back."""
MUCH = 0.5
"""Share of a constant's loss above which little is learned."""
FLAT = 1e-6
"""Spread of the outputs as a share of their size below which they are the same."""


def not_finite_values(program: WatchedProgram) -> Finding | None:
    """Find inputs, targets or outputs that are not finite at the start."""
    for name, mend in (
        ("input", "inputs = torch.nan_to_num(inputs)   # better: repair or drop those examples"),
        ("target", "drop the examples whose targets are not finite"),
        ("output", "torch.autograd.set_detect_anomaly(True) names the operation"),
    ):
        share = getattr(program.first, f"{name}_lost")
        if share > 0:
            return Finding(
                f"{{share:%}} of the {name}s are not finite before the first update.",
                f"share of NaN and infinite {name}s {share:.3g}",
                mend,
                {"share": share},
            )
        later = [look for look in program.looks if getattr(look, f"{name}_lost") > 0]
        if later and name != "output":  # outputs may be lost by an update
            share = getattr(later[0], f"{name}_lost")
            return Finding(
                f"{{share:%}} of the {name}s of a batch are not finite: one such batch makes all "
                "parameters NaN.",
                f"share of NaN and infinite {name}s {share:.3g} in batch {later[0].call:,}",
                mend,
                {"share": share},
            )
    if program.evidence.lost_targets:
        return Finding(
            "Some targets are not finite: one such batch makes all parameters NaN.",
            f"NaN or infinite targets in {program.evidence.lost_targets:,} batches",
            "drop the examples whose targets are not finite",
        )
    return None


def lost_at_once(program: WatchedProgram) -> Finding | None:
    """Find a loss that is lost from one batch to the next, and had not grown before."""
    losses, updates = program.losses, list(program.course.updates)
    if len(losses) != len(updates):
        updates = [look.updates for look in program.looks]
    lost = next((at for at, loss in enumerate(losses) if not isfinite(loss)), None)
    if not lost or len(losses) != len(updates) or updates[lost] - updates[lost - 1] > AT_ONCE:
        return None
    before = losses[:lost]
    if not 0 < max(before) <= GREW * before[0]:
        return None
    return Finding(
        "The loss is not finite from one batch to the next, and had not grown before, as it does "
        "by a high learning rate: look for a missing value among inputs and targets, a log or "
        "sqrt of 0, and a division by 0.",
        f"loss {before[0]:.3g} at the start, at most {max(before):.3g}, {before[-1]:.3g} before "
        f"update {updates[lost - 1]:,.0f}, and not finite before update {updates[lost]:,.0f}",
        "assert inputs.isfinite().all() and targets.isfinite().all()   # and "
        "torch.autograd.set_detect_anomaly(True)",
        certain=False,
    )


def zero_weights(program: WatchedProgram) -> Finding | None:
    """Find hidden layers whose weights are all 0."""
    last, early = program.last, program.evidence.preflight
    if not (last.zero and (last.updates or early)):
        return None
    return Finding(
        f"The weights of hidden layers are all 0 ({', '.join(last.symmetric)}): their units are "
        "the same, get the same gradient or none, and stay the same.",
        f"all rows of these weights are 0 after {last.updates:,} updates",
        "torch.nn.init.kaiming_normal_(layer.weight)",
        certain=not early,
    )


def symmetric_weights(program: WatchedProgram) -> Finding | None:
    """Find hidden layers whose units are all the same."""
    last, early = program.last, program.evidence.preflight
    if not last.symmetric or not (last.updates or early):
        return None
    return Finding(
        f"All units of a hidden layer are the same ({', '.join(last.symmetric)}): they began "
        "equal, get the same gradient, and count as one.",
        f"all rows of the weights are equal to the bit after {last.updates:,} updates",
        "torch.nn.init.kaiming_normal_(layer.weight)",
        certain=not early,
    )


def inputs_lose_precision(program: WatchedProgram) -> Finding | None:
    """Find inputs whose mean is so large that float32 loses their differences."""
    offset = program.highest("input_offset")
    if not offset > FLOAT32 or program.late_loss < MUCH * program.constant:
        return None
    return Finding(
        "A column of the inputs has a mean {offset:.2g} times its standard deviation: float32, "
        "with its seven digits, loses the differences between examples.",
        f"largest |mean| / std of a column {offset:.3g}; largest column "
        f"{program.highest('input_largest'):.3g}",
        "inputs = (inputs.double() - mean) / std, and .float() after it",
        {"offset": offset},
    )


def dead_relus(program: WatchedProgram) -> Finding | None:
    """Find a layer whose ReLUs are 0 for all examples."""
    shares = program.last.dead
    seen = program.evidence
    learned = seen.updates > 0 and program.late_loss < MUCH * program.first.loss
    if not shares or not max(shares) >= DEAD or learned or not (seen.updates or seen.preflight):
        return None
    return Finding(
        "All ReLUs of a layer are 0 for all examples: no gradient passes, and they stay so.",
        f"share of dead units by layer {', '.join(f'{share:.2g}' for share in shares)}, at the "
        f"start {', '.join(f'{share:.2g}' for share in program.first.dead)}",
        "a smaller learning rate, standardised inputs, or nn.LeakyReLU",
    )


def start_too_large(program: WatchedProgram) -> Finding | None:
    """Find a start far above the best constant that was not made up for."""
    start, sane = program.first.loss, program.constant
    if not program.is_loss(*OF_CLASSES, *OF_PROBABILITIES) or program.late_loss < sane / 2:
        return None
    if not (start >= HIGH_START * sane and start - sane >= HIGHER_BY) or not _sane_inputs(program):
        return None
    return Finding(
        "The initial predictions are confident and wrong: the weights are too large at the start.",
        f"loss before the first update {start:.3g}, of the best constant {sane:.3g}; outputs from "
        f"{program.first.output_low:.3g} to {program.first.output_high:.3g}",
        "torch.nn.init.kaiming_normal_(layer.weight)   # or torch's own initialisation",
        certain=False,
    )


def inputs_unscaled(program: WatchedProgram) -> Finding | None:
    """Find inputs of a wild scale in a program that learns nothing."""
    size, largest = program.first.input_size, program.first.input_largest
    if not (_held_up(program) or _thrown_back(program)) or _sane_inputs(program):
        return None
    return Finding(
        "The inputs have a size of {size:.3g}, where about 1 is expected.",
        f"root mean square {size:.3g}, of the columns {program.first.input_smallest:.3g} to "
        f"{largest:.3g}; {program.compared}",
        "inputs = (inputs - mean) / std   # of the training examples, by column",
        {"size": size},
        certain=False,
    )


def _sane_inputs(program: WatchedProgram) -> bool:
    first = program.first
    apart = first.input_largest / first.input_smallest if first.input_smallest > 0 else 1.0
    return not (first.input_size > LARGE or first.input_size < SMALL or apart > APART)


def _held_up(program: WatchedProgram) -> bool:
    """Tell if most of a constant's loss is left, or the loss is lost."""
    return program.unlearned or program.course.diverged


def _thrown_back(program: WatchedProgram) -> bool:
    """Tell if the first updates made a high loss far higher, and much of a constant's is left."""
    start, sane = program.first.loss, program.constant
    peak = max((loss for loss in program.losses if isfinite(loss)), default=0.0)
    left = program.evidence.updates >= ENOUGH and program.late_loss > LEFT * sane
    return left and start >= HIGH_START * sane and peak >= THROWN * start


def targets_unscaled(program: WatchedProgram) -> Finding | None:
    """Find targets of a large scale in a regression that learns nothing."""
    size, spread = program.evidence.target_size, program.evidence.target_variance**0.5
    absolute = program.is_loss("l1", "smooth_l1") and not program.is_loss("mse")
    enough = program.evidence.updates >= ENOUGH
    # the mean distance of numbers from their median is at most their standard deviation
    least = min(spread, HARDLY_BETTER * program.first.loss)
    held_up = _held_up(program) or (absolute and enough and program.late_loss > least > 0)
    if not program.is_loss(*OF_NUMBERS) or not size > TARGETS or not held_up:
        return None
    if absolute:
        compared = (
            f"loss {program.first.loss:.3g} at the start, {program.late_loss:.3g} at the end; "
            f"standard deviation {spread:.3g}"
        )
    else:
        compared = program.compared
    return Finding(
        "The targets have a size of {size:.3g}: the last layer takes long to reach it, or its "
        "gradients are too large.",
        f"root mean square of the targets {size:.3g}; {compared}",
        "targets = (targets - mean) / std   # and predictions = outputs * std + mean",
        {"size": size},
        certain=False,
    )


def vanishing_gradient(program: WatchedProgram) -> Finding | None:
    """Find a first layer almost without gradient in a program that learns nothing."""
    known = [share for share in program.course.shares if share == share]
    if not program.unlearned or not known or not np.median(known) < VANISHED:
        return None
    if not known[0] < BEFORE * VANISHED or max(program.first.dead, default=0) >= DEAD:
        return None  # the updates have ruined it, or no unit lives
    return Finding(
        "The gradient vanishes on its way: that of the first layer is {share:.2g} times that of "
        "the last.",
        f"median of grad_norm of the first layer over that of the last {np.median(known):.3g}; "
        f"{program.compared}",
        "nn.ReLU in place of nn.Sigmoid or nn.Tanh, nn.init.kaiming_normal_(layer.weight), fewer "
        "layers, or nn.BatchNorm1d",
        {"share": float(np.median(known))},
        certain=False,
    )


def saturated_units(program: WatchedProgram) -> Finding | None:
    """Find hidden tanh or sigmoid units at their ends in a program that learns little."""
    shares, before = program.last.saturated, program.first.saturated
    little = program.unlearned or program.late_loss >= MUCH * program.constant
    if not little or not shares or not min(max(shares), max(before, default=0)) >= SATURATED:
        return None
    return Finding(
        "{share:%} of the hidden tanh or sigmoid outputs of a layer are at their ends, where no "
        "gradient passes.",
        f"saturated outputs by layer {', '.join(f'{share:.2g}' for share in shares)}, at the start "
        f"{', '.join(f'{share:.2g}' for share in before)}; {program.compared}",
        "standardise the inputs, and torch's own initialisation",
        {"share": max(shares)},
        certain=False,
    )


def no_activation(program: WatchedProgram) -> Finding | None:
    """Find layers without an activation between them in a model that learns little."""
    little = program.late_loss >= MUCH * program.constant
    if not (program.always(lambda look: look.linear and look.layers > 1) and little):
        return None
    return Finding(
        f"No activation stands between the {program.last.layers} layers: together they are one "
        "linear layer.",
        f"nothing but layers in the graph below the outputs; {program.compared}",
        "nn.ReLU() between the layers",
        certain=False,
    )


def inputs_constant(program: WatchedProgram) -> Finding | None:
    """Find inputs that are the same for all examples of every batch."""
    known = [look for look in program.looks if isfinite(look.input_constant)]
    alike = all(look.input_constant == 1 and look.input_size < FLOAT32 for look in known)
    if not (program.unlearned and known and alike):
        return None
    return Finding(
        "All examples of a batch have the same inputs: there is nothing to tell them apart by.",
        f"no column of the inputs varies; root mean square {program.first.input_size:.3g}; "
        f"{program.compared}",
        "print(inputs.std(0))   # and check how they are read and scaled",
        certain=False,
    )


def constant_outputs(program: WatchedProgram) -> Finding | None:
    """Find outputs that are the same for all examples of a batch."""
    spread, size = program.last.output_std, max(abs(program.last.output_low), 1e-3)
    if not program.unlearned or not spread <= FLAT * size or not isfinite(size):
        return None
    return Finding(
        "The outputs are the same for all examples: nothing of the inputs comes through.",
        f"largest standard deviation of an output over the batch {spread:.3g}; {program.compared}",
        "look at the activations, layer by layer, of two different examples",
        certain=False,
    )
