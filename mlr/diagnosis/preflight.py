"""Rules about one batch before a training: steps of a copy, and examples compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite

from mlr.diagnosis import data_weights, output_loss
from mlr.diagnosis.findings import Finding
from mlr.diagnosis.program import ROUNDING, WatchedProgram
from mlr.diagnosis.refusals import (
    Rule,
    labels_out_of_range,
    probabilities_expected,
    targets_out_of_range,
)
from mlr.records.evidence import Rehearsal

ITSELF = 1.0
"""‖Δw‖ / ‖w‖ of a step that moves the weights by more than themselves."""
NOTHING = 1e-6
"""‖Δw‖ / ‖w‖ of a step of which a hundred thousand are needed."""
RISES, RISES_MUCH = 1.0, 10.0
"""Multiple of the loss, or of the best constant's, after a step that is too large."""
EATEN = 1.0
"""Share of the decay in a step from which it outweighs the gradient."""
UNLEARNED = 0.9
"""Share of the first loss, or the best constant's, from which a copy has not learned its batch."""
MOST_COLUMNS = 0.5
"""Share of the columns that are constant, or copies of others."""
OFTEN = 0.01
"""Share of the validation examples that are in one batch."""
FULL = 0.9
"""Share of saturated outputs of a layer."""
LARGE, SMALL, APART = 100.0, 0.01, 1e4
"""Sizes of inputs or targets, and of the largest column over the smallest, that are wild."""
HIGH, HIGH_WITHOUT = 1e3, 4.0
"""Multiple of the best constant's loss of a start that the scale of the inputs has spoiled, with a
step of a copy and without."""
HARDLY = 1e-3
"""Share of the loss that a step takes away, below which it was in vain."""


def _ahead(program: WatchedProgram) -> Rehearsal:
    return program.evidence.rehearsal


def gradients_left(program: WatchedProgram) -> Finding | None:
    """Find gradients that are there before an optimizer made its first step."""
    seen = _ahead(program)
    if not seen.fresh_state or not seen.kept_gradient > 0:
        return None
    return Finding(
        "The parameters have gradients already, and the optimizer made no step yet: the first "
        "backward pass adds to them.",
        f"norm of the gradients before the first call {seen.kept_gradient:.3g}; the optimizer has "
        "no state",
        "optimizer.zero_grad()   # before the first backward pass",
        certain=False,
    )


def step_too_large(program: WatchedProgram) -> Finding | None:
    """Find a step that moves the weights by more than themselves, or makes the loss many times."""
    seen = _ahead(program)
    before, after = seen.loss_before, seen.loss_after
    if not seen.rehearsed or not isfinite(before):
        return None
    lost = (not isfinite(after) and after == after) or after > RISES_MUCH * _sane(program)
    far = seen.moved > ITSELF and after > RISES * before
    if not (lost or far):
        return None
    return Finding(
        f"The first step moves the weights by {seen.moved:.2g} of themselves, and makes the loss "
        "larger: the learning rate is too high.",
        f"median of ‖Δw‖ / ‖w‖ {seen.moved:.3g}; loss {before:.3g}, after a step of a copy "
        f"{after:.3g}; lr={_rates(program)}",
        "lr=1e-3   # with Adam; 0.1 with SGD, if the inputs have a size of about 1",
        certain=lost and far,
    )


def _sane(program: WatchedProgram) -> float:
    """Return a loss that a start may have: that of the batch, or of the best constant."""
    before = abs(_ahead(program).loss_before)
    return max(before, program.constant) if isfinite(program.constant) else before


def rate_too_low(program: WatchedProgram) -> Finding | None:
    """Find a step that moves nothing."""
    seen = _ahead(program)
    if not seen.rehearsed or seen.warming or not seen.gradient > 0:
        return None
    if seen.still:
        said = "The first step changes no number of any parameter"
    elif seen.moved < NOTHING and not seen.loss_before < program.constant / 2:
        said = f"The first step moves the weights by {seen.moved:.1g} of themselves"
    else:
        return None
    rates = _rates(program)
    return Finding(
        f"{said}: the learning rate is {'0' if rates == '0' else 'too low'}.",
        f"median of ‖Δw‖ / ‖w‖ {seen.moved:.3g}; norm of the gradients {seen.gradient:.3g}; "
        f"lr={rates}",
        "lr=1e-3   # with Adam; 0.1 with SGD",
        certain=seen.still,
    )


def _rates(program: WatchedProgram) -> str:
    return ", ".join(f"{rate:g}" for rate in sorted(set(program.first.rates)))


def decay_too_strong(program: WatchedProgram) -> Finding | None:
    """Find a weight decay that outweighs the gradient in the first step."""
    seen = _ahead(program)
    if not seen.decay > EATEN or seen.loss_before < program.constant / 2:
        return None
    return Finding(
        "Weight decay makes {share:.2g} times as much of the first step as the gradient.",
        f"‖Δ − Δ₀‖ / ‖Δ₀‖ {seen.decay:.3g}, where Δ₀ is the same step without weight decay",
        "weight_decay=1e-4   # or torch.optim.AdamW, where the rate multiplies it",
        {"share": seen.decay},
        certain=False,
    )


def inputs_unscaled(program: WatchedProgram) -> Finding | None:
    """Find inputs of a wild scale that spoil the start, or the first step."""
    first, seen = program.first, _ahead(program)
    high = HIGH if seen.rehearsed else HIGH_WITHOUT
    spoiled = _in_vain(seen) or first.loss > high * program.constant
    if seen.same_inputs or not _wild_inputs(program) or not spoiled:
        return None
    return Finding(
        "The inputs have a size of {size:.3g}, where about 1 is expected.",
        f"root mean square {first.input_size:.3g}, of the columns {first.input_smallest:.3g} to "
        f"{first.input_largest:.3g}{_step(seen)}",
        "inputs = (inputs - mean) / std   # of the training examples, by column",
        {"size": first.input_size},
        certain=False,
    )


def targets_unscaled(program: WatchedProgram) -> Finding | None:
    """Find targets of a large scale that the first step hardly comes closer to."""
    size, seen = program.evidence.target_size, _ahead(program)
    if not program.is_loss("mse") or not size > LARGE or not _in_vain(seen):
        return None
    return Finding(
        "The targets have a size of {size:.3g}: the last layer takes long to reach it, or its "
        "gradients are too large.",
        f"root mean square of the targets {size:.3g}{_step(seen)}",
        "targets = (targets - mean) / std   # and predictions = outputs * std + mean",
        {"size": size},
        certain=False,
    )


def wild(program: WatchedProgram) -> bool:
    """Tell if inputs or targets have a scale that may spoil the first step."""
    return _wild_inputs(program) or program.evidence.target_size > LARGE


def _wild_inputs(program: WatchedProgram) -> bool:
    first = program.first
    apart = first.input_largest / first.input_smallest if first.input_smallest > 0 else 1.0
    return first.input_size > LARGE or first.input_size < SMALL or apart > APART


def _in_vain(seen: Rehearsal) -> bool:
    """Tell if a step of a copy left the loss as it was, or made it larger."""
    if not seen.rehearsed:
        return False
    return not isfinite(seen.loss_before) or not seen.loss_after < seen.loss_before - HARDLY * abs(
        seen.loss_before
    )


def _step(seen: Rehearsal) -> str:
    if not seen.rehearsed:
        return ""
    return f"; loss {seen.loss_before:.3g}, after a step of a copy {seen.loss_after:.3g}"


def inputs_lose_precision(program: WatchedProgram) -> Finding | None:
    """Find large inputs that are all the same in float32, too."""
    seen = _ahead(program)
    if not _lost_in_size(seen):
        return data_weights.inputs_lose_precision(program)
    return Finding(
        "The inputs go up to {size:.2g} and are the same for all examples: float32, with its seven "
        "digits, has lost their differences.",
        f"all {seen.input_shape[0]} rows are equal; largest number {seen.input_high:.3g}",
        "inputs = (inputs.double() - mean) / std, and .float() after it",
        {"size": seen.input_high},
        certain=False,
    )


def _lost_in_size(seen: Rehearsal) -> bool:
    return (
        seen.same_inputs and seen.input_type == "float32" and seen.input_high > data_weights.FLOAT32
    )


def same_inputs(program: WatchedProgram) -> Finding | None:
    """Find a batch whose examples all have the same inputs."""
    if not _ahead(program).same_inputs or _lost_in_size(_ahead(program)):
        return None
    return Finding(
        "All examples of the batch have the same inputs: nothing tells them apart.",
        f"all {_ahead(program).input_shape[0]} rows are equal",
        "look at the Dataset's __getitem__: it should depend on the index",
    )


def features_constant(program: WatchedProgram) -> Finding | None:
    """Find columns of the inputs that are the same for all examples."""
    seen = _ahead(program)
    if seen.same_inputs or not seen.columns or seen.constant_columns < MOST_COLUMNS * seen.columns:
        return None
    return Finding(
        "{share:%} of the columns of the inputs are the same for all examples, and tell nothing.",
        f"{seen.constant_columns} of {seen.columns} columns are constant, and not 0 or the least "
        "value",
        "inputs = inputs[:, inputs.std(0) > 0]",
        {"share": seen.constant_columns / seen.columns},
        certain=False,
    )


def features_repeated(program: WatchedProgram) -> Finding | None:
    """Find columns of the inputs that are copies of others."""
    seen = _ahead(program)
    if not seen.columns or not seen.repeated_columns >= MOST_COLUMNS * seen.columns:
        return None
    return Finding(
        "{share:%} of the columns of the inputs are copies of others.",
        f"{seen.repeated_columns} of {seen.columns} columns have the numbers of another",
        "inputs = inputs.unique(dim=1)   # better: look at how the columns are put together",
        {"share": seen.repeated_columns / seen.columns},
        certain=False,
    )


def validation_in_training(program: WatchedProgram) -> Finding | None:
    """Find validation examples that are training examples."""
    seen = _ahead(program)
    own, every = seen.shared_examples, seen.validation_examples
    # examples of few values are there twice by chance
    alike = 1 - seen.distinct_examples / max(1, seen.batch_examples)
    if alike > OFTEN or own < max(2, OFTEN * min(every, seen.batch_examples)):
        return None
    return Finding(
        f"{own:,} of the {every:,} validation examples are in this batch of "
        f"{seen.batch_examples:,} training examples: the validation measures memory.",
        f"equal in all inputs; {seen.distinct_examples:,} of the {seen.batch_examples:,} examples "
        "of the batch are distinct",
        "train, validation = torch.utils.data.random_split(dataset, [0.8, 0.2])",
        certain=len(seen.input_shape) > 1 and seen.input_shape[-1] > 1,
    )


def saturated_at_start(program: WatchedProgram) -> Finding | None:
    """Find hidden tanh or sigmoid units that are at their ends before the first update."""
    shares = program.first.saturated
    if not program.evidence.preflight or not shares or not max(shares) >= FULL:
        return None
    return Finding(
        "{share:%} of the hidden tanh or sigmoid outputs of a layer are at their ends before the "
        "first update, where no gradient passes.",
        f"saturated outputs by layer {', '.join(f'{share:.2g}' for share in shares)}",
        "standardise the inputs, and torch's own initialisation",
        {"share": max(shares)},
        certain=False,
    )


def batch_not_learned(program: WatchedProgram) -> Finding | None:
    """Find a batch that a copy could not learn in many steps."""
    seen = _ahead(program)
    if not seen.steps:
        return None
    first, last = seen.first_loss, seen.last_loss
    sane = min(first, program.constant) if isfinite(program.constant) else first
    if isfinite(last) and last < sane - (1 - UNLEARNED) * abs(sane):
        return None
    constant = (
        f", of the best constant {program.constant:.3g}" if isfinite(program.constant) else ""
    )
    by = "its optimizer" if seen.own_optimizer else "Adam at lr=1e-3"
    return Finding(
        f"One batch cannot be learned: after {seen.steps:,} steps with {by} on it alone, a copy's "
        f"loss is {last:.3g}.",
        f"loss {first:.3g} at the start, {last:.3g} at the end{constant}",
        "look first at the other findings; else at lr, at the loss, and at whether the targets "
        "belong to the inputs",
        certain=False,
    )


def _witnessed(rule: Rule, *functions: str) -> Rule:
    """Return a rule on the loss's graph that is certain if another witness agrees."""

    def judged(program: WatchedProgram) -> Finding | None:
        found = rule(program)
        if found is None or any(_agreed(program, name) for name in functions):
            return found
        return replace(found, certain=False)

    return judged


def _agreed(program: WatchedProgram, function: str) -> bool:
    """Tell if the outputs' values, the loss computed again, or the last layer name a function."""
    if any(form.lstrip("-").startswith(f"{function}+") for form in program.forms):
        return True
    if program.evidence.last_layers[-1:] == [LAYER[function]]:
        return True
    low, high = program.lowest("output_low"), program.highest("output_high")
    if function == "softmax":
        sums = program.lowest("row_low"), program.highest("row_high")
        return low >= 0 and all(abs(one - 1) < ROUNDING for one in sums)
    least, most = RANGE[function]
    return low >= least and high <= most


LAYER = {"softmax": "Softmax", "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "ReLU"}
RANGE = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "relu": (0.0, float("inf"))}
IN_ONE_BATCH: Mapping[str, Rule] = {
    **{
        rule.__name__: rule
        for rule in (
            *(rate_too_low, decay_too_strong, inputs_unscaled, targets_unscaled),
            *(inputs_lose_precision, probabilities_expected, labels_out_of_range),
            targets_out_of_range,
        )
    },
    **{
        rule.__name__: _witnessed(rule, *functions)
        for rule, *functions in (
            (output_loss.softmax_before_cross_entropy, "softmax"),
            (output_loss.softmax_twice, "softmax"),
            (output_loss.sigmoid_before_bce_with_logits, "sigmoid"),
            (output_loss.sigmoid_twice, "sigmoid"),
            (output_loss.relu_output, "relu"),
            (output_loss.bounded_logits, "tanh", "sigmoid", "softmax"),
        )
    },
}
"""Rules that take the place of those of the same name, which need a training."""
