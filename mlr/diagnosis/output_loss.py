"""Rules about outputs that do not fit the loss, in a program of a user's own.

The loss's graph says which operations follow each other, the values say what they did, and the loss
computed again says which loss it is. A finding is certain if the graph says so and the values
agree.
"""

from __future__ import annotations

from math import exp, inf, log, log1p

import numpy as np

from mlr.diagnosis.findings import Finding
from mlr.diagnosis.program import OF_NUMBERS, ROUNDING, WatchedProgram, as_shape

NO_LOG = 0.05
"""|log Σ exp| of a row above which its numbers are no log-probabilities."""
CUT = 0.5
"""Share of outputs at a bound of a clamp from which it is in the way."""
WIDE, HELD = 0.5, 0.6
"""Least size of logits of a bound of 1 that are in use, and largest share of what is between their
least loss and that of chance at which they are held up by it."""
DIFFERENCES = ("mse", "smooth_l1", "huber", "sub")
RANGES = {
    **{"sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "hardsigmoid": (0.0, 1.0)},
    **{"tanh": (-1.0, 1.0), "lstm": (-1.0, 1.0)},
}
"""Range of the outputs of an operation."""
HALF = {"softplus": (0.0, inf), "exp": (0.0, inf), "log_softmax": (-inf, 0.0)}
"""Range of one that has a bound on one side."""
NEUTRAL = {"add", "sub", "rsub", "gather", "index"}
LAYERS = ("layer", "add", "mean", "mul")
"""Operations that end with any number."""
BOUNDS = frozenset(
    ["softmax", "log_softmax", "sigmoid", "relu", "softplus", "exp", "clamp", "tanh", "pow", "abs"]
)
"""Operations after which outputs are no longer those of the last layer."""


def softmax_over_one_unit(program: WatchedProgram) -> Finding | None:
    """Find a softmax over an axis of one unit, which is constant."""
    one = [axis for axis in _axes(program) if axis[2] == 1 and not (axis[0] == 0 and axis[1] > 1)]
    if not one:
        return None
    ce = program.has("log_softmax", "nll") or program.is_loss("ce")
    inner = "cross_entropy takes the softmax over" if ce else "the softmax runs over"
    constant = (
        "the loss is 0" if ce and not program.has("softmax", *DIFFERENCES, "bce") else "it is 1"
    )
    return Finding(
        f"The model has one output, and {inner} that one unit: {constant} whatever the weights "
        "are, so that no gradient comes.",
        f"softmax over an axis of size 1; outputs of shape {as_shape(program.first.output_shape)}, "
        f"from {program.lowest('output_low'):.3g} to {program.highest('output_high'):.3g}",
        "without the softmax: loss = F.binary_cross_entropy_with_logits(outputs, "
        "targets.float().view_as(outputs))",
    )


def softmax_over_batch(program: WatchedProgram) -> Finding | None:
    """Find a softmax that runs over the examples of the batch."""
    batch = program.first.output_shape[:1]
    if program.first.target_shape == program.first.output_shape[1:2] != batch:
        return None  # outputs (K, B) of targets (B,)
    over = [
        axis
        for axis in _axes(program)
        if axis[0] == 0 and [axis[2]] == batch and (axis[1] > 1 or _one_a_target(program))
    ]
    if batch == [1]:
        return None
    if not over:
        return _hidden_over_batch(program)
    sums = f"; rows of the outputs sum to {_span(program, 'row_low', 'row_high')}"
    known = program.first.row_low == program.first.row_low
    return Finding(
        "The softmax runs over the examples of the batch and not over the classes: the output of "
        "an example depends on its neighbours, and its own classes do not sum to 1.",
        f"softmax over axis 0 of size {over[0][2]}, the batch{sums if known else ''}",
        "torch.softmax(outputs, dim=1)   # or log_softmax(…, dim=1); none before cross_entropy",
    )


def _hidden_over_batch(program: WatchedProgram) -> Finding | None:
    """Find the softmax of an attention that runs over the examples."""
    batch = program.first.output_shape[:1]
    alike = batch == program.first.target_shape[:1]
    if not (batch and alike and batch[0] in program.first.along_first):
        return None
    return Finding(
        "A softmax within the model, as an attention's, runs over the examples of the batch: the "
        "output of an example depends on its neighbours.",
        f"softmax over axis 0 of size {batch[0]}, the batch",
        "scores.softmax(dim=-1)   # over what an example attends to",
        certain=False,
    )


def softmax_before_cross_entropy(program: WatchedProgram) -> Finding | None:
    """Find a softmax whose result goes through another in the loss."""
    if not program.has("softmax", "log_softmax"):
        if not ("ce" in program.forms and _sums_to_one(program)):
            return None
        sure = program.has("exp", "log_softmax") or _ends_in(program, "Softmax")
        return _twice(program, "its outputs sum to 1", certain=sure)
    return _twice(program, "softmax is followed by log_softmax", certain=True)


def _twice(program: WatchedProgram, seen: str, certain: bool) -> Finding:
    # e / (e + K − 1): one output 1 and all others 0
    classes = max(2, program.outputs)
    most = 2.718281828 / (2.718281828 + classes - 1)
    return Finding(
        "cross_entropy applies a softmax, and its outputs are one already: no class can get more "
        "than {most:%}, and gradients are small.",
        f"{seen}; rows of the outputs sum to {_span(program, 'row_low', 'row_high')}; loss "
        f"{program.seen_loss:.3g}",
        "give cross_entropy the output of the last layer: remove the softmax from the model",
        {"most": most},
        certain=certain,
    )


def softmax_twice(program: WatchedProgram) -> Finding | None:
    """Find a softmax of a softmax."""
    if not program.has("softmax", "softmax"):
        return None
    return Finding(
        "The output is a softmax of a softmax, so that all classes have nearly the same "
        "probability.",
        f"softmax is followed by softmax; outputs {_span(program, 'output_low', 'output_high')}",
        "remove one of the two softmaxes",
    )


def sigmoid_before_bce_with_logits(program: WatchedProgram) -> Finding | None:
    """Find a sigmoid before a loss on logits, which applies another."""
    if program.has("sigmoid", "bce_logits"):
        return _sigmoids(program, "sigmoid is followed by the loss's own", True)
    if program.has("sigmoid", "sigmoid"):
        return None
    hidden = _opaque(program) and "bce_logits" in program.forms and _ends_in(program, "Sigmoid")
    inside = program.lowest("output_low") >= 0 and program.highest("output_high") <= 1
    return _sigmoids(program, "the model ends with Sigmoid", True) if hidden and inside else None


def sigmoid_twice(program: WatchedProgram) -> Finding | None:
    """Find a sigmoid of a sigmoid."""
    if not program.has("sigmoid", "sigmoid"):
        return None
    return Finding(
        "The output is a sigmoid of a sigmoid: between 0.5 and 0.731, whatever the weights are.",
        f"sigmoid is followed by sigmoid; outputs {_span(program, 'output_low', 'output_high')}",
        "remove one of the two sigmoids",
    )


def _sigmoids(program: WatchedProgram, seen: str, certain: bool) -> Finding:
    return Finding(
        "The loss applies a sigmoid, and its outputs are one already: the probability it sees lies "
        "between 0.5 and 0.731, so that no example is ever of class 0.",
        f"{seen}; outputs {_span(program, 'output_low', 'output_high')}",
        "loss = F.binary_cross_entropy(outputs, targets)   # or remove the sigmoid from the model",
        certain=certain,
    )


def relu_output(program: WatchedProgram) -> Finding | None:
    """Find a ReLU as the last operation before the loss."""
    low, most = program.lowest("target_low"), program.highest("output_high")
    if program.has("relu", "log_softmax", "softmax", "nll"):
        why = (
            "logits below 0 are lost, and a class whose unit is 0 for all examples gets no gradient"
        )
    elif program.has("relu", "bce_logits", "sigmoid"):
        why = "its probability can never fall below 0.5"
    elif program.has("relu", "bce", "log"):
        why = "it is no probability, and its gradient is lost where it is 0"
    elif program.has("relu", *DIFFERENCES) and low < 0:
        why = f"targets go down to {low:.3g}"
    elif program.has("relu", *DIFFERENCES) and program.last.output_high == 0 and most >= 0:
        why = "it is 0 for all examples now, and has no gradient left"
    else:
        return None
    return Finding(
        f"The output is a ReLU, which cannot be negative: {why}.",
        f"relu is followed by {', '.join(sorted(_after(program, 'relu')))}; outputs "
        f"{_span(program, 'output_low', 'output_high')}",
        "remove the ReLU after the last layer",
    )


def bounded_logits(program: WatchedProgram) -> Finding | None:
    """Find logits that an activation bounds, or that are cosines."""
    largest = max(-program.lowest("output_low"), program.highest("output_high"))
    cosines = program.always(lambda look: look.cosines) and largest <= 1 + ROUNDING
    if cosines and program.by_class and program.is_loss("ce"):
        least = log1p((program.outputs - 1) * exp(-2))  # one cosine 1 and all others −1
        return Finding(
            "The loss expects logits, and these are cosines, which lie within −1 and 1: the loss "
            "cannot fall below {least:.2g}.",
            "the last layer multiplies normalised vectors; outputs "
            f"{_span(program, 'output_low', 'output_high')}; loss {program.seen_loss:.3g}",
            "outputs = 16 * cosines   # or divide them by a temperature, as 0.07",
            {"least": least},
        )
    if within := _within_one(program):
        return within
    for name in ("tanh", "sigmoid", "hardsigmoid", "lstm", "softmax"):
        taken = ("log_softmax", "bce_logits") if name != "softmax" else ("bce_logits",)
        if program.has(name, *taken, *(("softmax", "sigmoid") if name != "softmax" else ())):
            low, high = RANGES.get(name, (0.0, 1.0))
            return Finding(
                f"The loss expects logits, and the {name} before it bounds them to [{low:g}, "
                f"{high:g}]: no class can become likely.",
                f"{name} is followed by {', '.join(sorted(_after(program, name)))}; outputs "
                f"{_span(program, 'output_low', 'output_high')}",
                f"remove the {name} after the last layer",
            )
    if program.has("log_softmax", "bce_logits"):
        return Finding(
            "The loss expects logits, and the log_softmax before it bounds them to at most 0: no "
            "class can get a probability above 0.5.",
            "log_softmax is followed by bce_logits; outputs "
            f"{_span(program, 'output_low', 'output_high')}",
            "remove the log_softmax after the last layer",
        )
    return None


def _within_one(program: WatchedProgram) -> Finding | None:
    """Find logits that stay within −1 and 1 while a loss falls as far as these bounds let it."""
    low, high = program.lowest("output_low"), program.highest("output_high")
    bounded = -1 - ROUNDING <= low <= -WIDE and WIDE <= high <= 1 + ROUNDING
    if not (bounded and program.by_class and program.is_loss("ce")):
        return None
    least, chance = log1p((program.outputs - 1) * exp(-2)), log(program.outputs)
    if not program.seen_loss < least + HELD * (chance - least):
        return None
    return Finding(
        "The loss expects logits, and these lie within −1 and 1, as cosines do: the loss cannot "
        "fall below {least:.2g}.",
        f"outputs {_span(program, 'output_low', 'output_high')} in {len(program.looks)} batches; "
        f"loss {program.seen_loss:.3g}",
        "outputs = 16 * outputs   # of cosines; or divide them by a temperature, as 0.07",
        {"least": least},
        certain=False,
    )


def output_out_of_range(program: WatchedProgram) -> Finding | None:
    """Find targets that the output's last operation cannot reach."""
    low, high = program.lowest("target_low"), program.highest("target_high")
    for name, (least, most) in {**RANGES, **HALF}.items():
        if not (low < least - ROUNDING or high > most + ROUNDING):
            continue
        seen = program.has(name, *DIFFERENCES)
        hidden = _opaque(program) and _ends_in(program, name.title())
        if not (seen or hidden) or program.last.weighted or not _is_difference(program):
            continue
        return Finding(
            f"The targets lie outside the range of the output: a {name} gives "
            f"{_ends(least, most)}, and targets go from {low:.3g} to {high:.3g}.",
            f"{name} is followed by {', '.join(sorted(_after(program, name))) or 'the loss'}; "
            f"outputs {_span(program, 'output_low', 'output_high')}",
            f"remove the {name} after the last layer, or scale the targets into its range",
        )
    return None


def _ends(least: float, most: float) -> str:
    """Write a range that may have one bound."""
    if least == -inf:
        return f"at most {most:g}"
    return f"at least {least:g}" if most == inf else f"{least:g} to {most:g}"


def exponential_twice(program: WatchedProgram) -> Finding | None:
    """Find outputs that are rates already where a Poisson loss expects their logarithms."""
    positive = [one for one in ("softplus", "relu") if program.has(one, "exp")]
    twice = program.has("exp", "exp") and program.has("exp", "sub")
    if not twice and not (positive and program.is_loss("poisson")):
        return None
    before = "exp" if twice else positive[0]
    return Finding(
        f"The loss takes the exponential of the outputs, and {before} has made them positive "
        "already: the rate it sees cannot fall below 1.",
        f"{before} is followed by exp; outputs {_span(program, 'output_low', 'output_high')}",
        f"nn.PoissonNLLLoss(log_input=False)   # or remove the {before} after the last layer",
    )


def softmax_for_several_labels(program: WatchedProgram) -> Finding | None:
    """Find a softmax for examples that have several labels."""
    most = program.highest("target_row_high")
    labels = program.always(lambda look: look.target_whole and look.target_low >= 0)
    alike = program.first.target_shape == program.first.output_shape
    if not (alike and labels and program.highest("target_high") == 1 and most > 1 + ROUNDING):
        return None
    soft = program.has("log_softmax", "mul", "nll") or program.has("softmax", "bce", "log", "mse")
    if not (soft or program.is_loss("ce") or {"softmax+bce"} & program.forms.keys()):
        return None
    return Finding(
        "A softmax shares a probability of 1 among the classes, and examples have up to {most:.0f} "
        "labels at once.",
        f"targets 0 and 1 whose rows sum to {_span(program, 'target_row_low', 'target_row_high')}",
        "loss = F.binary_cross_entropy_with_logits(outputs, targets)   # outputs without a softmax",
        {"most": most},
        certain=False,
    )


def nll_without_log_softmax(program: WatchedProgram) -> Finding | None:
    """Find nll_loss of what are no log-probabilities."""
    known = (*RANGES, *LAYERS, "relu", "clamp", "index", "gather", "index_select")
    given = [one for one in program.feeds("nll") if one in known]
    size = program.lowest("fed_log_sum")
    if not given or not size > NO_LOG or "mul" in given or program.has("log_softmax", "nll"):
        return None
    what = "probabilities" if "softmax" in given else "raw outputs"
    return Finding(
        f"nll_loss expects log-probabilities and is given {what}: it falls without end, or hardly "
        "moves, and is no likelihood.",
        f"{given[0]} is followed by nll; |log Σ exp| of its rows is at least {size:.3g}, of "
        "log-probabilities 0",
        "loss = F.cross_entropy(outputs, targets)   # with the output of the last layer"
        if "softmax" not in given
        else "torch.log_softmax(outputs, dim=1) in place of softmax in the model",
    )


def ctc_without_log_softmax(program: WatchedProgram) -> Finding | None:
    """Find ctc_loss of what are no log-probabilities."""
    size = program.lowest("fed_log_sum")
    if program.first.fed != "ctc" or not size > NO_LOG:
        return None
    return Finding(
        "ctc_loss expects log-probabilities and is given something else: it can fall below 0 "
        "without end, and is no likelihood.",
        f"|log Σ exp| of the rows that it was given is at least {size:.3g}, of log-probabilities 0",
        "F.ctc_loss(outputs.log_softmax(-1), targets, input_lengths, target_lengths)",
    )


def softmax_over_wrong_axis(program: WatchedProgram) -> Finding | None:
    """Find log-probabilities for nll_loss that were made over another axis than the classes'."""
    size = program.lowest("fed_log_sum")
    if not program.has("log_softmax", "nll") or program.first.fed != "nll" or not size > NO_LOG:
        return None
    axes = [axis for axis in _axes(program) if axis[1] > 2 or axis[0] == 0]
    if not axes:
        return None
    return Finding(
        f"The log_softmax runs over axis {axes[0][0]} of {axes[0][1]}, which is not that of the "
        "classes: those of an example do not sum to 1.",
        f"log_softmax over an axis of size {axes[0][2]}; outputs of shape "
        f"{as_shape(program.first.output_shape)}; |log Σ exp| over the classes at least "
        f"{size:.3g}, of log-probabilities 0",
        "torch.log_softmax(outputs, dim=-1)   # dim=1 for outputs (B, K, …)",
    )


def kl_without_log(program: WatchedProgram) -> Finding | None:
    """Find kl_div of probabilities in place of their logarithms."""
    forms = {form.lstrip("-") for form in program.forms}
    if program.first.target_integer:
        return None  # the kl_div of class numbers is their nll_loss
    if "log_softmax+kl" in forms or not {"kl", "softmax+kl"} & forms:
        return None
    if "kl" in forms and not program.lowest("output_log_sum") > NO_LOG:
        return None
    return Finding(
        "kl_div expects log-probabilities as its first argument, and is given something else.",
        f"the loss is kl_div of {'the outputs' if 'kl' in forms else 'their softmax'}; |log Σ exp| "
        f"of the outputs' rows at least {program.lowest('output_log_sum'):.3g}",
        'loss = F.kl_div(torch.log_softmax(outputs, dim=1), targets, reduction="batchmean")',
    )


def probabilities_expected(program: WatchedProgram) -> Finding | None:
    """Find a loss on probabilities that is given unbounded outputs."""
    given = [one for one in program.feeds("bce") if one in ("layer", "tanh", "leaky_relu", "elu")]
    logs = [one for one in program.feeds("log") if one in ("layer", "tanh", "leaky_relu", "elu")]
    bounded = any(before in BOUNDS for before, _ in program.pairs)
    if not bounded and program.lowest("output_low") < 0 and _leads(program, "layer", "log"):
        logs += ["layer"]
    if not (given or logs):
        return _quotient_of_outputs(program)
    loss = "binary_cross_entropy" if given else "The logarithm"
    return Finding(
        f"{loss} expects probabilities, and is given the outputs of {(given or logs)[0]} as they "
        "are.",
        f"{(given or logs)[0]} is followed by {'bce' if given else 'log'}; outputs "
        f"{_span(program, 'output_low', 'output_high')}",
        "loss = F.binary_cross_entropy_with_logits(outputs, targets)"
        if given or program.outputs == 1
        else "loss = F.cross_entropy(outputs, targets)",
    )


def _quotient_of_outputs(program: WatchedProgram) -> Finding | None:
    """Find a Dice or Jaccard loss, 1 − 2 Σ_i y_i t_i / Σ_i (y_i + t_i), of unbounded outputs."""
    sums = program.has("layer", "sum") and program.has("layer", "mul") and program.has("mul", "sum")
    quotient = program.has("add", "div") or program.has("sum", "div")
    ends = program.lowest("target_low"), program.highest("target_high")
    masks = program.always(lambda look: look.target_whole) and ends == (0, 1)
    if not (sums and quotient and masks and program.lowest("output_low") < 0):
        return None
    return Finding(
        "A Dice or Jaccard loss expects probabilities, and is given the outputs of layer as they "
        "are: it can fall without end, and its denominator pass 0.",
        f"sums of outputs, and of their products with targets 0 and 1, are divided; outputs "
        f"{_span(program, 'output_low', 'output_high')}",
        "outputs = torch.sigmoid(outputs)   # before the loss",
    )


def clamped_output(program: WatchedProgram) -> Finding | None:
    """Find outputs that are clamped, many of them at a bound."""
    share = np.fmax(program.last.output_edge, program.last.fed_edge)
    if not any(program.has(one, "clamp") for one in (*LAYERS, "div")) or not share >= CUT:
        return None
    if not program.has("clamp", "bce", "log", "rsub", *DIFFERENCES):
        return None
    return Finding(
        "The outputs are clamped, and {share:%} of them are at a bound, where no gradient passes.",
        f"clamp follows the last layer; outputs {_span(program, 'output_low', 'output_high')}, "
        f"{share:.3g} of what the loss is given at the ends",
        "torch.sigmoid(outputs) in place of clamp",
        {"share": float(share)},
        certain=False,
    )


def wrong_head(program: WatchedProgram) -> Finding | None:
    """Find a head that the probe was given for outputs that are its predictions already."""
    head = program.course.head
    if head == "sigmoid":
        twice = "bce" in program.forms and program.has("sigmoid", "bce")
    else:
        twice = head == "softmax" and _sums_to_one(program)
    if not twice:
        return None
    return Finding(
        f'The probe was given head="{head}" and outputs that are its probabilities already: its '
        "accuracy and gradients are those of a head that is applied twice.",
        f"outputs {_span(program, 'output_low', 'output_high')}; the loss takes them as they are",
        "GradientProbe(model, optimizer, folder)   # without head=",
    )


def log_of_softmax(program: WatchedProgram) -> Finding | None:
    """Find the logarithm of a softmax that has underflowed."""
    lost = program.course.diverged or any(look.loss in (float("inf"),) for look in program.looks)
    if not (program.has("softmax", "log") and lost):
        return None
    return Finding(
        "The logarithm of a softmax is infinite where the softmax underflows to 0.",
        f"softmax is followed by log; loss {program.seen_loss:.3g}",
        "torch.log_softmax(outputs, dim=1) in place of torch.log(torch.softmax(…))",
    )


def _axes(program: WatchedProgram) -> list[tuple[int, int, int]]:
    """Return axis, number of axes and size of every softmax."""
    found = []
    for text in dict.fromkeys(text for look in program.looks[:1] for text in look.axes):
        parts = text.split("/")
        if len(parts) == 3 and all(part.isdigit() for part in parts):
            found.append((int(parts[0]), int(parts[1]), int(parts[2])))
    return found


def _one_a_target(program: WatchedProgram) -> bool:
    """Tell if outputs and targets are one number an example."""
    sizes = program.first.output_shape, program.first.target_shape
    flat = all(len(size) == 1 or size[1:] == [1] for size in sizes)
    return flat and program.has("softmax", "bce", *DIFFERENCES)


def _leads(program: WatchedProgram, before: str, after: str) -> bool:
    """Tell if an operation leads to another through such as keep numbers below 0."""
    found = [before]
    for one in found:
        found += [name for name in _after(program, one) & NEUTRAL if name not in found]
    return any(program.has(one, after) for one in found)


def _after(program: WatchedProgram, name: str) -> set[str]:
    return {after for before, after in program.pairs if before == name}


def _opaque(program: WatchedProgram) -> bool:
    """Tell if the operations of the model are hidden, as in a compiled one."""
    return any("compiled" in before for before, _ in program.pairs)


def _ends_in(program: WatchedProgram, layer: str) -> bool:
    return program.evidence.last_layers[-1:] == [layer]


def _sums_to_one(program: WatchedProgram) -> bool:
    low, high = program.lowest("row_low"), program.highest("row_high")
    return (
        abs(low - 1) < ROUNDING and abs(high - 1) < ROUNDING and program.lowest("output_low") >= 0
    )


def _is_difference(program: WatchedProgram) -> bool:
    fed = any(look.fed in DIFFERENCES for look in program.looks)
    return fed or program.is_loss(*OF_NUMBERS)


def _span(program: WatchedProgram, low: str, high: str) -> str:
    ends = f"{program.lowest(low):.3g}", f"{program.highest(high):.3g}"
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)
