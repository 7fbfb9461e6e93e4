"""Rules about which examples a program of a user's own gets, of which classes, and how arranged."""

from __future__ import annotations

from mlr.diagnosis.findings import Finding
from mlr.diagnosis.program import OF_CLASSES, OF_PROBABILITIES, WatchedProgram

ONE_CLASS, ALIKE = 0.5, 0.9
"""Shares of batches of one class, and of successive equal targets, that are no chance."""
RARE = 0.01
"""Share of the most frequent class below which another is rare."""
FEW = 0.05
"""Share of the most frequent class below which another is rare in a program that learns nothing."""
HOLES = 0.2
"""Share of classes without examples from which it is a vocabulary."""
LONG, NO_WORSE = 200, 1.2
"""Updates after which a sound model is better than a constant, and the largest multiple of the
constant's loss of one that is held up by nothing else."""
FEWEST = 100
"""Targets from which a class without any is no chance."""
EVEN = 0.5
"""Least share of the rarest of the most frequent class in data that were made even."""
DONE = 0.02
"""Share of a constant's loss below which each class is learned."""
LEARNED = 0.5
"""Share of a constant's loss below which inputs are arranged well enough."""


def sorted_data(program: WatchedProgram) -> Finding | None:
    """Find batches of one class each."""
    seen, p = program.evidence, program.shares
    several = (p > 0).sum() > 1
    if not several or seen.batches < 2 or seen.same_successive != seen.same_successive:
        return None
    chance = float((p**2).sum())
    one = seen.one_class_batches / seen.batches
    if not (one >= ONE_CLASS and seen.same_successive >= ALIKE and chance < 0.75):
        return None
    return Finding(
        "{one:%} of the batches hold a single class: the data are sorted, and each update forgets "
        "the other classes.",
        f"{seen.one_class_batches:,} of {seen.batches:,} batches of one class; "
        f"{seen.same_successive:.3g} of the targets equal the one before, by chance {chance:.3g}",
        "DataLoader(dataset, batch_size=…, shuffle=True)",
        {"one": one},
    )


def class_missing(program: WatchedProgram) -> Finding | None:
    """Find classes without examples, below the largest one seen, or the last ones of even data."""
    counts = program.evidence.class_counts
    holes = [k for k, count in enumerate(counts) if count == 0]
    last = _last_missing(program)
    one = len(counts) - len(holes) == 1 and sum(counts) >= FEWEST
    if one and program.is_loss(*OF_CLASSES) and not program.evidence.preflight:
        return Finding(
            f"All {sum(counts):,} targets are of class {len(counts) - 1}: there is nothing to "
            "learn.",
            f"targets by class {', '.join(map(str, counts[:12]))}; {program.outputs} outputs",
            "check how the labels are read",
            certain=program.evidence.optimizers == 1,
        )
    if not (program.first.target_integer and program.is_loss(*OF_CLASSES)):
        return None
    if holes == [0] and len(program.first.target_shape) > 1:
        return None  # the word that begins or pads a sequence
    holes = holes or last
    if min((count for count in counts if count), default=0) < FEW * max(counts, default=0):
        return None  # others are so rare that none may be chance
    few = sum(counts) < FEWEST * len(counts)
    if few or not 0 < len(holes) <= max(1, HOLES * (len(counts) + len(last))):
        return None
    named = ", ".join(map(str, holes[:8]))
    return Finding(
        f"Class{'es' if len(holes) > 1 else ''} {named} "
        f"{'have' if len(holes) > 1 else 'has'} no examples among {sum(counts):,} targets.",
        f"targets by class {', '.join(map(str, counts[:12]))}",
        "check the labels; class numbers begin at 0 and have no holes",
        certain=False,
    )


def class_ignored(program: WatchedProgram) -> Finding | None:
    """Find a class that the loss leaves out though many examples have it."""
    ignored, shares = program.first.ignored, program.shares
    if not 0 <= ignored < len(shares) or not shares[ignored] >= FEW:
        return None
    if len(program.first.target_shape) > 1:
        return None  # the background of a segmentation
    return Finding(
        "The loss leaves out class {ignored:d}, which {share:%} of the targets have: nothing is "
        "learned of it.",
        f"ignore_index={ignored} in the loss; targets by class "
        f"{', '.join(map(str, program.evidence.class_counts[:12]))}",
        "nn.CrossEntropyLoss()   # without ignore_index, which is for targets that are no class",
        {"ignored": ignored, "share": float(shares[ignored])},
        certain=False,
    )


def _last_missing(program: WatchedProgram) -> list[int]:
    """Return the last classes, if they alone have no examples in data that were made even.

    A single one may be meant for what is not known, and a vocabulary be rounded up.
    """
    counts = program.evidence.class_counts
    missing = list(range(len(counts), program.outputs)) if program.by_class else []
    even = len(counts) > 1 and min(counts) >= EVEN * max(counts)
    return missing if even and len(missing) > 1 and len(program.first.target_shape) == 1 else []


def imbalance(program: WatchedProgram) -> Finding | None:
    """Find a class so rare that the others alone count in an unweighted loss."""
    counts: list[float] = [count for count in program.evidence.class_counts if count]
    cross = program.is_loss(*OF_CLASSES, *OF_PROBABILITIES)
    rare = FEW if program.unlearned else RARE
    pixels = _share_of_pixels(program)
    if not cross or program.last.weighted or program.late_loss < DONE * program.constant:
        return None
    if pixels:
        counts = [1 - pixels, pixels]
    elif program.evidence.target_columns > 1:
        return None
    if len(counts) < 2 or not min(counts) < rare * max(counts):
        return None
    share = min(counts) / sum(counts)
    seen = (
        f"{pixels:.3g} of the pixels are 1"
        if pixels
        else f"targets by class {', '.join(map(str, program.evidence.class_counts[:12]))}"
    )
    return Finding(
        f"A class has only {{share:%}} of the {'pixels' if pixels else 'examples'}: to predict the "
        "others costs next to nothing.",
        f"{seen}; {program.compared}",
        "nn.CrossEntropyLoss(weight=1 / counts)   # or pos_weight= of BCEWithLogitsLoss, or "
        "WeightedRandomSampler",
        {"share": share},
        certain=False,
    )


def _share_of_pixels(program: WatchedProgram) -> float:
    """Return the mean of masks of 0 and 1 (B, …, H, W); 0 for other targets, and if learned."""
    masks = len(program.first.target_shape) > 2 and program.unlearned
    ends = program.lowest("target_low"), program.highest("target_high")
    whole = program.always(lambda look: look.target_whole)
    known = program.evidence.target_columns > 1 and program.is_loss(*OF_PROBABILITIES)
    return program.evidence.target_mean if masks and whole and known and ends == (0, 1) else 0.0


def targets_shuffled(program: WatchedProgram) -> Finding | None:
    """Find targets that seem not to belong to the inputs, if there is no other cause."""
    if not program.unlearned or program.evidence.updates < LONG or program.evidence.optimizers > 1:
        return None
    if program.late_loss > NO_WORSE * program.constant:
        return None
    return Finding(
        "The model learns no more than a constant, and no other cause is seen: the targets may not "
        "belong to the inputs.",
        f"{program.compared}; {program.evidence.updates:,} updates",
        "print some inputs next to their targets, as the loop gets them",
        certain=False,
    )


def inputs_scrambled(program: WatchedProgram) -> Finding | None:
    """Find a recurrent layer or attention that takes the examples of the batch for its steps."""
    if program.evidence.mixed:
        steps, batch = program.evidence.mixed
        return Finding(
            "The inputs of a recurrent layer or attention were given the shape (steps, examples, "
            "…) by view or reshape, which mixes the examples: their axes must be exchanged.",
            f"a view ({steps}, {batch}, …) of numbers ({batch}, {steps}, …)",
            "inputs.transpose(0, 1)   # or batch_first=True",
        )
    outputs = program.first.output_shape
    examples = outputs[0] if 0 < len(outputs) < 3 else 0
    # outputs (T, B, K) are as they should be, and N = n · B of windows or heads may be
    shapes = [tuple(map(int, one.split("/"))) for one in program.evidence.sequences]
    mixed = [
        (steps, batch)
        for steps, batch in shapes
        if steps == examples and batch > 1 and batch % steps
    ]
    if not mixed or program.late_loss < LEARNED * program.constant:
        return None
    steps, batch = mixed[0]
    return Finding(
        "A recurrent layer or attention takes the {steps:d} examples of the batch for the steps of "
        "a sequence, and their steps for examples: it is without batch_first=True.",
        f"inputs ({steps}, {batch}, …) where (steps, examples, …) are expected; outputs of "
        f"{examples} examples",
        "batch_first=True   # or inputs.transpose(0, 1)",
        {"steps": steps},
        certain=False,
    )
