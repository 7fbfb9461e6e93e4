"""Rules about targets that the loss does not take as they are, in a program of a user's own."""

from __future__ import annotations

from mlr.diagnosis.findings import Finding
from mlr.diagnosis.program import (
    ENOUGH,
    OF_NUMBERS,
    OF_PROBABILITIES,
    ROUNDING,
    WatchedProgram,
    as_shape,
)

FEWEST_CLASSES, MOST_CLASSES = 3, 20
EVEN = 0.2
"""Least share of the rarest of the most frequent class number: counts have long tails."""
MARGINS = {"hinge", "squared_hinge", "soft_margin"}
"""Losses on the product of output and label."""


def classes_as_numbers(program: WatchedProgram) -> Finding | None:
    """Find class numbers that are regressed on."""
    counts = program.evidence.class_counts
    several = FEWEST_CLASSES <= len(counts) <= MOST_CLASSES
    if not several or not program.is_loss(*OF_NUMBERS) or program.outputs != 1:
        return None
    one = len(program.first.target_shape) == 1 or program.first.target_shape[-1] == 1
    whole = program.always(lambda look: look.target_whole and look.target_low >= 0)
    if not (one and whole and min(counts) >= EVEN * max(counts)):
        return None
    return Finding(
        "The targets look like the numbers of {classes:d} classes, and the loss treats them as "
        "quantities: class 2 would be twice class 1.",
        f"targets are the whole numbers 0 to {len(counts) - 1}, "
        f"{min(counts):,} to {max(counts):,} of each; the loss is a difference",
        f"nn.Linear(…, {len(counts)}) as the last layer, and loss = F.cross_entropy(outputs, "
        "targets.long().flatten())",
        {"classes": len(counts)},
        certain=False,
    )


def labels_out_of_range(program: WatchedProgram) -> Finding | None:
    """Find labels of a cross-entropy outside [0, 1], as −1 and 1, or 0 and 1 in a margin loss."""
    if (margin := _margin(program)) is not None:
        return Finding(
            f"The labels are 0 and 1, and {margin} expects −1 and 1: examples of label 0 have a "
            "constant loss and no gradient.",
            f"targets from 0 to 1; the loss is {margin}, of the product of output and label",
            "targets = 2 * targets - 1",
        )
    found = _beyond(program)
    if found is None:
        return _all_zero(program)
    low, high = found
    if not (program.always(lambda look: look.target_whole) and high <= 2):
        return None
    mend = "(targets + 1) / 2" if (low, high) == (-1, 1) else f"targets - {low:g}"
    return Finding(
        f"The labels are {low:g} and {high:g}, and binary cross-entropy expects 0 and 1: its loss "
        "can become negative without end.",
        f"targets from {low:g} to {high:g}; loss {program.seen_loss:.3g}",
        f"targets = {mend}",
    )


def _all_zero(program: WatchedProgram) -> Finding | None:
    """Find labels that are all 0, and take the gradient with them."""
    zero = program.lowest("target_low") == program.highest("target_high") == 0
    still = program.always(lambda look: look.reaches and look.trains and look.after == 0)
    if not (zero and still and program.looks and program.evidence.updates >= ENOUGH):
        return None
    return Finding(
        "All labels are 0, and the loss multiplies outputs by them: it is a constant, and no "
        "gradient comes.",
        f"targets 0 and gradients of norm 0 in {len(program.looks)} batches; loss "
        f"{program.course_of_loss}",
        "labels of −1 and 1, as MarginRankingLoss, CosineEmbeddingLoss and hinge losses expect",
    )


def targets_out_of_range(program: WatchedProgram) -> Finding | None:
    """Find targets of a cross-entropy outside [0, 1]."""
    found = _beyond(program)
    if found is None:
        return None
    low, high = found
    return Finding(
        f"Binary cross-entropy expects targets in [0, 1], and they go from {low:.3g} to "
        f"{high:.3g}.",
        f"targets from {low:.3g} to {high:.3g}",
        f"targets = targets / {high:g}" if low >= 0 else "scale the targets into [0, 1]",
    )


def future_seen(program: WatchedProgram) -> Finding | None:
    """Find a language model that reads the words that it is to tell."""
    if not (program.always(lambda look: look.foreseen) and program.is_loss("ce")):
        return None
    return Finding(
        "The targets are the next words, and the model reads them: it learns to copy what it does "
        "not have when it is used.",
        f"targets equal to the inputs one place later in {len(program.looks)} of "
        f"{len(program.looks)} batches, and an attention or recurrent layer that sees later words; "
        f"loss {program.seen_loss:.3g}",
        "mask = nn.Transformer.generate_square_subsequent_mask(length)   # or is_causal=True, or "
        "bidirectional=False",
    )


def targets_not_shifted(program: WatchedProgram) -> Finding | None:
    """Find a language model whose targets are the words that it reads at the same places."""
    if not (program.always(lambda look: look.copied) and program.is_loss("ce")):
        return None
    return Finding(
        "The targets are the words that the model reads at the same places, so that it learns to "
        "copy them and not to tell the next word.",
        f"targets equal to the inputs in {len(program.looks)} of {len(program.looks)} batches, and "
        f"a model that sees no later word; loss {program.seen_loss:.3g}",
        "loss = F.cross_entropy(outputs[:, :-1].flatten(0, 1), words[:, 1:].flatten())",
    )


def _margin(program: WatchedProgram) -> str | None:
    """Return the margin loss of labels 0 and 1, if it is one."""
    forms = {form for form in program.forms if not form.startswith("-")}
    ends = program.lowest("target_low"), program.highest("target_high")
    if ends != (0, 1) or not program.always(lambda look: look.target_whole):
        return None
    if program.first.fed == "soft_margin":
        return "SoftMarginLoss"
    labels = program.lowest("wanted_low"), program.highest("wanted_high")
    if program.first.fed == "hinge" and labels == (0, 1):
        return "a hinge loss"  # also one with a penalty
    margin = next(iter(sorted(forms & MARGINS)), None)
    return f"a {margin.replace('_', ' ')} loss" if margin and forms <= MARGINS else None


def _beyond(program: WatchedProgram) -> tuple[float, float] | None:
    """Return the range of the targets of a binary cross-entropy, if it is beyond [0, 1]."""
    fed = any(look.fed in OF_PROBABILITIES for look in program.looks)
    recognised = any(form in program.forms for form in ("bce", "bce_logits", "sigmoid+bce"))
    if not (fed or (recognised and not program.by_class)):
        return None
    which = "wanted" if fed else "target"
    low, high = program.lowest(f"{which}_low"), program.highest(f"{which}_high")
    return (low, high) if low < -ROUNDING or high > 1 + ROUNDING else None


def shapes_broadcast(program: WatchedProgram) -> Finding | None:
    """Find outputs and targets whose difference is a matrix of all with all."""
    first = program.first
    batch = first.output_shape[0] if first.output_shape else 0
    count = 1
    for size in first.output_shape:
        count *= size
    fed = first.fed in ("mse", "smooth_l1", "huber") and first.fed_count == batch * count
    recognised = any(form.startswith("broadcast") for form in program.forms)
    other = first.output_shape != first.target_shape  # else those of what the loss was given are
    columns = {1} & {*first.output_shape[1:], *first.target_shape[1:]}
    matrix = other and columns and count == batch and first.spread == [batch, batch]
    if batch < 2 or not (fed or matrix or (recognised and other)):
        return None
    return Finding(
        f"Outputs of shape {as_shape(first.output_shape)} and targets of shape "
        f"{as_shape(first.target_shape)} are broadcast: each output is compared with the targets "
        "of all examples, and learns their mean.",
        f"the loss is of {batch} × {count} differences",
        "loss = loss_function(outputs, targets.view_as(outputs))",
    )
