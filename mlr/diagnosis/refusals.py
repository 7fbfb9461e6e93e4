"""Rules about calls that torch refuses, before a training.

A change that torch accepts was tried by `mlr.loop.preflight.refusals`; its name is the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import prod

from mlr.diagnosis import loss_targets, output_loss
from mlr.diagnosis.findings import Finding
from mlr.diagnosis.program import WatchedProgram, as_shape

Rule = Callable[[WatchedProgram], Finding | None]
_LINEAR = re.compile(r"cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)")
_CHANNELS = re.compile(r"to have (\d+) channels, but got (\d+) channels")
_BOUNDS = re.compile(r"Target (-?\d+) is out of bounds")

LONG = "targets = targets.long()   # class numbers"
MENDS: Mapping[str, tuple[str, str]] = {
    "inputs_float": (
        "the inputs are {input_type} and the weights are not",
        "inputs = inputs.float()",
    ),
    "inputs_long": (
        "an embedding takes whole numbers, and the inputs are {input_type}",
        "inputs = inputs.long()",
    ),
    "inputs_flat": (
        "the first layer takes rows, and the inputs have the shape {input_shape}",
        "inputs = inputs.flatten(1)   # or nn.Flatten() as the first layer",
    ),
    "channels_first": (
        "a convolution takes channels as the second axis, and the inputs have the shape "
        "{input_shape}",
        "inputs = inputs.permute(0, 3, 1, 2)",
    ),
    "channel_added": (
        "a convolution takes an axis of channels, and the inputs have the shape {input_shape}",
        "inputs = inputs.unsqueeze(1)",
    ),
    "targets_long": ("class numbers must be whole, and the targets are {target_type}", LONG),
    "targets_float": (
        "the loss compares numbers, and the targets are {target_type}",
        "targets = targets.float()",
    ),
    "targets_column": (
        "class numbers have no second axis, and the targets have the shape {target_shape}",
        "targets = targets.squeeze(-1)",
    ),
    "targets_column_long": (
        "class numbers are whole and have no second axis, and the targets are {target_type} of "
        "shape {target_shape}",
        "targets = targets.squeeze(-1).long()",
    ),
    "targets_flat": (
        "the outputs have the shape {output_shape}, and the targets {target_shape}",
        "targets = targets.flatten()",
    ),
    "targets_view": (
        "the outputs have the shape {output_shape}, and the targets {target_shape}",
        "loss = loss_function(outputs, targets.view_as(outputs))",
    ),
    "targets_view_float": (
        "the outputs have the shape {output_shape}, and the targets are {target_type} of shape "
        "{target_shape}",
        "loss = loss_function(outputs, targets.float().view_as(outputs))",
    ),
    "targets_one_hot": (
        "the loss compares each output with a target, and the targets are class numbers",
        "loss = F.cross_entropy(outputs, targets.long())   # or F.one_hot(targets, {classes})"
        ".float() for this loss",
    ),
    "class_axis": (
        "the classes are the last axis of the outputs {output_shape}, and torch's losses take them "
        "as the second",
        "loss = loss_function(outputs.movedim(-1, 1), targets)",
    ),
    "first_output": (
        "the model returns a {output_kind}, and the loss takes one tensor",
        "outputs = model(inputs)[0]   # or let forward return one tensor",
    ),
}
"""What was wrong, and the line that mends it, by the change that torch accepts."""


def _mended(program: WatchedProgram, *names: str) -> Finding | None:
    """Write the finding of a refusal that one of some changes mends."""
    seen = program.evidence.rehearsal
    if not seen.mended_by or seen.mended_by not in names:
        return None
    words = {
        **{"input_type": seen.input_type, "target_type": seen.target_type},
        "input_shape": as_shape(seen.input_shape),
        "output_shape": as_shape(seen.output_shape),
        "target_shape": as_shape(seen.target_shape),
        **{"output_kind": seen.output_kind, "classes": (seen.output_shape or [1])[-1]},
    }
    what, mend = MENDS[seen.mended_by]
    if seen.input_type == "uint8" and seen.mended_by == "inputs_float":
        mend = f"{mend} / 255"
    return Finding(
        f"torch refuses the call of the {seen.refused_by}: {what.format(**words)}.",
        f"{seen.error}; not with this line",
        mend.format(**words),
    )


def devices_differ(program: WatchedProgram) -> Finding | None:
    """Find parameters and examples on different devices."""
    seen = program.evidence.rehearsal
    if not seen.refused_by or len(seen.devices) < 2:
        return None
    return Finding(
        f"The parameters and the batch are on different devices: {', '.join(seen.devices)}.",
        seen.error,
        "device = next(model.parameters()).device; inputs, targets = inputs.to(device), "
        "targets.to(device)",
    )


def inputs_of_wrong_type(program: WatchedProgram) -> Finding | None:
    """Find inputs of a type that the first layer refuses."""
    return _mended(program, "inputs_float", "inputs_long")


def inputs_of_wrong_shape(program: WatchedProgram) -> Finding | None:
    """Find inputs of a shape that a layer refuses."""
    found = _mended(program, "inputs_flat", "channels_first", "channel_added")
    if found is not None:
        return found
    seen = program.evidence.rehearsal
    if seen.refused_by != "model" or seen.mended_by:
        return None
    if size := _LINEAR.search(seen.error):
        given, taken = size.groups()
        mend = f"nn.Linear({given}, …)   # in place of {taken}"
        if len(seen.input_shape) > 2 and int(given) == seen.input_shape[-1]:
            flat = prod(seen.input_shape[1:])
            mend = f"nn.Flatten(), nn.Linear({flat}, …)   # in place of {taken}"
        return Finding(
            f"A linear layer takes {taken} features, and is given {given}.",
            f"{seen.error}; inputs of shape {as_shape(seen.input_shape)}",
            mend,
        )
    if size := _CHANNELS.search(seen.error):
        taken, given = size.groups()
        return Finding(
            f"A convolution takes {taken} channels, and is given {given}.",
            f"{seen.error}; inputs of shape {as_shape(seen.input_shape)}",
            f"nn.Conv2d({given}, …)   # in place of {taken}",
        )
    return None


def index_out_of_bounds(program: WatchedProgram) -> Finding | None:
    """Find indices of an embedding that it has no row for."""
    seen = program.evidence.rehearsal
    if seen.refused_by != "model" or "index out of range" not in seen.error:
        return None
    return Finding(
        f"An embedding has no row for an index of the inputs, which go up to {seen.input_high:g}.",
        f"{seen.error}; inputs {seen.input_type} of shape {as_shape(seen.input_shape)}",
        f"nn.Embedding({seen.input_high + 1:g}, …)   # one row more than the largest index",
    )


def one_example(program: WatchedProgram) -> Finding | None:
    """Find a batch of one example for a batch normalisation."""
    seen = program.evidence.rehearsal
    if seen.refused_by != "model" or "Expected more than 1 value per channel" not in seen.error:
        return None
    return Finding(
        "Batch normalisation needs two examples, and the batch has one.",
        seen.error,
        "DataLoader(dataset, batch_size=…, shuffle=True, drop_last=True)",
    )


def several_outputs(program: WatchedProgram) -> Finding | None:
    """Find a model that returns more than the loss takes."""
    return _mended(program, "first_output")


def targets_of_wrong_type(program: WatchedProgram) -> Finding | None:
    """Find targets of a type that the loss refuses."""
    return _mended(program, "targets_long", "targets_float")


def targets_of_wrong_shape(program: WatchedProgram) -> Finding | None:
    """Find targets of a shape that the loss refuses."""
    return _mended(
        program,
        *("targets_column", "targets_column_long", "targets_flat", "targets_view"),
        *("targets_view_float", "targets_one_hot"),
    )


def class_axis(program: WatchedProgram) -> Finding | None:
    """Find classes that are not on the second axis."""
    return _mended(program, "class_axis")


def class_out_of_bounds(program: WatchedProgram) -> Finding | None:
    """Find class numbers that the model has no output for."""
    seen = program.evidence.rehearsal
    if seen.refused_by != "loss" or not (found := _BOUNDS.search(seen.error)):
        return None
    low, high = seen.target_low, seen.target_high
    classes = seen.output_shape[1] if len(seen.output_shape) > 1 else 0
    if seen.mended_by == "classes_from_zero":
        mend = f"targets = targets - {low:g}   # class numbers begin at 0"
    elif low < 0:
        mend = f"nn.CrossEntropyLoss(ignore_index={low:g})   # if {low:g} means no class"
    else:
        mend = f"nn.Linear(…, {high + 1:g}) as the last layer"
    return Finding(
        f"A target is class {found[1]}, and the {classes} outputs are the classes 0 to "
        f"{classes - 1}.",
        f"{seen.error} targets from {low:g} to {high:g}, outputs of shape "
        f"{as_shape(seen.output_shape)}",
        mend,
    )


def batches_differ(program: WatchedProgram) -> Finding | None:
    """Find outputs of another number of examples than there are targets."""
    seen = program.evidence.rehearsal
    outputs, targets = seen.output_shape[:1], seen.target_shape[:1]
    if seen.refused_by != "loss" or seen.mended_by or not outputs or not targets:
        return None
    if outputs == targets:
        return None
    return Finding(
        f"The model gives {outputs[0]} rows of outputs, and the batch has {targets[0]} targets.",
        f"{seen.error}; inputs of shape {as_shape(seen.input_shape)}, outputs "
        f"{as_shape(seen.output_shape)}, targets {as_shape(seen.target_shape)}",
        "x.flatten(1) in forward, in place of a view(-1, …) that mixes examples"
        if outputs[0] != seen.input_shape[0]
        else "give each example of the inputs its target",
    )


def call_refused(program: WatchedProgram) -> Finding | None:
    """Find a call that torch refuses for a reason that no other rule knows."""
    seen = program.evidence.rehearsal
    if not seen.refused_by or seen.mended_by:
        return None
    for rule in (devices_differ, *UNMENDED):
        if rule(program) is not None:
            return None
    shapes = [
        f"{name} {kind} {as_shape(size)}".rstrip()
        for name, kind, size in (
            ("inputs", seen.input_type, seen.input_shape),
            ("outputs", seen.output_type, seen.output_shape),
            ("targets", seen.target_type, seen.target_shape),
        )
        if kind
    ]
    return Finding(
        f"The call of the {seen.refused_by} fails: {seen.error.rstrip('.')}.",
        "; ".join(shapes),
        "raise found.error   # of found = mlr.check(…): it shows the line",
    )


UNMENDED: tuple[Rule, ...] = (
    *(inputs_of_wrong_shape, index_out_of_bounds, one_example, class_out_of_bounds),
    batches_differ,
)
"""Rules about refusals that no change mends."""


def loss_not_scalar(program: WatchedProgram) -> Finding | None:
    """Find a loss of several numbers, which has no backward pass."""
    shape = program.evidence.rehearsal.loss_shape
    if not shape:
        return None
    return Finding(
        f"The loss has the shape {as_shape(shape)}, and a backward pass needs a single number.",
        f"loss of shape {as_shape(shape)}",
        "loss = loss.mean()   # or a loss without reduction='none'",
    )


def probabilities_expected(program: WatchedProgram) -> Finding | None:
    """Find a refused loss on probabilities, too."""
    seen = program.evidence.rehearsal
    if seen.mended_by != "sigmoid":
        return output_loss.probabilities_expected(program)
    return Finding(
        "binary_cross_entropy expects probabilities, and is given outputs outside of [0, 1].",
        f"{seen.error}; not with a sigmoid; outputs from {program.first.output_low:.3g} to "
        f"{program.first.output_high:.3g}",
        "loss = F.binary_cross_entropy_with_logits(outputs, targets)",
    )


def labels_out_of_range(program: WatchedProgram) -> Finding | None:
    """Find refused labels, too."""
    return _beyond(program, whole=True) or loss_targets.labels_out_of_range(program)


def targets_out_of_range(program: WatchedProgram) -> Finding | None:
    """Find other refused targets, too."""
    return _beyond(program, whole=False) or loss_targets.targets_out_of_range(program)


def _beyond(program: WatchedProgram, whole: bool) -> Finding | None:
    seen = program.evidence.rehearsal
    if seen.mended_by != "targets_within":
        return None
    low, high = seen.target_low, seen.target_high
    labels = seen.target_whole and high - low <= 2
    if labels != whole:
        return None
    mend = (
        "(targets + 1) / 2" if (low, high) == (-1, 1) else f"(targets - {low:g}) / {high - low:g}"
    )
    return Finding(
        f"Binary cross-entropy expects targets in [0, 1], and they go from {low:.3g} to "
        f"{high:.3g}.",
        f"{seen.error}; not with targets in [0, 1]",
        f"targets = {mend}",
    )
