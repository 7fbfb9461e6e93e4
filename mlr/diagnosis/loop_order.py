"""Rules about the loop of a program of a user's own: its order, its graph and its optimizer."""

from __future__ import annotations

from math import isfinite

from mlr.diagnosis.findings import Finding
from mlr.diagnosis.program import ENOUGH, WatchedProgram
from mlr.records.evidence import Evidence, Untrained

NO_STEP = 10
"""Batches without an update after which none will come."""
NEARLY_ALL, MUCH = 0.85, 0.5
"""Probability of a dropout that hardly any model bears, and share of a constant's loss above which
little is learned."""
FEWER = 4
"""Batches an update from which most are lost."""
SEVERAL = 3
"""Batches after which there is no chance."""
STALE = 0.5
"""Share of statistics of the start from which batch normalisation is not that of the data."""
SMALLEST, LARGEST = 8, 256
"""Sizes of batches that a loader gives."""


STRAIGHT = "leave the step function out of the training, or x + (x.round() - x).detach()"


def loss_without_graph(program: WatchedProgram) -> Finding | None:
    """Find a loss, or outputs, that no gradient passes through."""
    if not program.looks or any(look.attached for look in program.looks):
        return None
    outputs = "have a graph" if program.first.output_graph else "have none either"
    where = "" if program.first.output_graph else " (no_grad, detach or .data in the forward pass)"
    return Finding(
        f"The loss has no graph{where}: its backward pass reaches no parameter, and the model "
        "stays as it is.",
        f"loss.grad_fn is None in {len(program.looks)} of {len(program.looks)} batches; the "
        f"outputs {outputs}",
        "loss = loss_function(model(inputs), targets)   # no .item(), .data, detach() or "
        "torch.tensor(loss)",
    )


def graph_cut(program: WatchedProgram) -> Finding | None:
    """Find parameters of the first layers that no gradient reaches."""
    missing = program.evidence.unreached
    if program.looks and not any(look.trains or not look.attached for look in program.looks):
        return Finding(
            "The loss depends on no parameter of the model: the graph is cut between them.",
            f"no parameter of {program.evidence.model} among the leaves of the loss's graph",
            "give the loss the outputs of model(inputs) themselves, without detach(), .data or "
            "numpy()",
        )
    if not (missing.count and missing.before and missing.fresh):
        return None
    return Finding(
        f"No gradient reaches {_named(missing)}: the graph is cut after the first layers, which "
        "keep the weights that they were made with.",
        f"{missing.count} of {program.evidence.parameters} parameters are not in the loss's graph, "
        "and are distributed as torch's layers draw them",
        "remove the detach(), .data, numpy() or no_grad() between the first layers and the last",
        certain=False,
    )


def stale_outputs(program: WatchedProgram) -> Finding | None:
    """Find outputs that were computed before the last update."""
    same = program.evidence.same_outputs
    if not same:
        return None
    return Finding(
        "The outputs are those of earlier parameters: the model is not called again after an "
        "update.",
        f"{same:,} batches with the very outputs of before the update",
        "outputs = model(inputs)   # within the loop",
    )


def wrong_loss(program: WatchedProgram) -> Finding | None:
    """Find a loss that depends on none or few of the outputs, or is not the one differentiated."""
    apart = program.always(lambda look: look.attached and not look.reaches and look.trains)
    updated = [
        look for look in program.looks if look.attached and look.reaches and look.at_step > 0
    ]
    if len(updated) >= SEVERAL and not any(look.returned or look.freed for look in program.looks):
        return Finding(
            "The backward pass does not come through the outputs: another loss is differentiated "
            "than the one that they are compared by.",
            f"no gradient came to the outputs in {len(updated)} batches, and the optimizer made "
            f"steps by gradients of norm {updated[-1].at_step:.3g}",
            "loss.backward()   # of the loss of outputs and targets, and no part of it",
        )
    places = (program.first.output_shape or [0])[1:2]
    alone = program.always(lambda look: [look.place + 1] == places and look.target_low >= 0)
    each = program.first.target_shape == program.first.output_shape[:2]
    if alone and each and places[0] >= SEVERAL:
        return Finding(
            f"The loss depends on the last of {places[0]} places of the outputs alone, and there "
            "are targets for each: a loop over them overwrites it.",
            f"no gradient came to the other {places[0] - 1} places in {len(program.looks)} of "
            f"{len(program.looks)} batches",
            "loss = loss + …   # in the loop over the places",
            certain=False,
        )
    if not apart or program.always(lambda look: look.aside):
        return None
    return Finding(
        "The loss is not computed from the outputs that probe.watch was given.",
        f"no path from the loss to the outputs in {len(program.looks)} batches",
        "probe.watch(outputs, targets, loss)   # with the outputs that the loss is computed from",
        certain=False,
    )


def zero_grad_misplaced(program: WatchedProgram) -> Finding | None:
    """Find gradients that are cleared between the backward pass and the update."""
    known = [look for look in program.looks if look.after > 0 and isfinite(look.at_step)]
    if not known or any(look.at_step > 0 for look in known):
        return None
    return Finding(
        "The gradients are cleared before the optimizer reads them, so that its steps do nothing.",
        f"norm of the gradients {known[0].after:.3g} after the backward pass, 0 at the step, in "
        f"{len(known)} of {len(known)} batches",
        "optimizer.zero_grad(); loss.backward(); optimizer.step()   # in this order",
    )


def zero_grad_missing(program: WatchedProgram) -> Finding | None:
    """Find gradients of the update before when the next backward pass begins."""
    known = [look for look in program.looks if look.call and isfinite(look.before)]
    stale = [look for look in known if look.stale]
    if not stale or any(look.before == 0 for look in known):
        return None
    return Finding(
        "The gradients are never cleared: each backward pass adds to those of all former batches.",
        f"norm of the gradients {stale[0].before:.3g} at the step, and still so when the next "
        f"backward pass begins; {known[-1].after:.3g} after {known[-1].updates + 1:,} updates",
        "optimizer.zero_grad()   # before loss.backward()",
    )


def step_missing(program: WatchedProgram) -> Finding | None:
    """Find a loop whose optimizer, or one of several, makes no step."""
    seen = program.evidence
    enough = seen.calls >= max(NO_STEP, 2 * seen.accumulate)
    flat = any(look.flat for look in program.looks)
    if enough and 0 < seen.idle < seen.optimizers and not flat:
        return Finding(
            f"{seen.idle} of the {seen.optimizers} optimizers makes no step: its parameters are "
            "those of the start, and the others' are trained.",
            f"the same parameters after {seen.calls:,} batches, though they are in the loss's "
            f"graph: {_named(seen.unchanged)}",
            "optimizer.step()   # of each optimizer, after loss.backward()",
            certain=False,
        )
    idle = seen.unchanged.count + seen.unreached.count >= seen.parameters > 0
    if seen.updates or not enough or not idle:
        return None
    return Finding(
        "The optimizer makes no step: the parameters are those of the start.",
        f"0 updates in {seen.calls:,} batches; all {seen.parameters} parameters are unchanged",
        "optimizer.step()   # after loss.backward()",
    )


def batches_thrown_away(program: WatchedProgram) -> Finding | None:
    """Find gradients of most batches that are cleared without an update."""
    seen = program.evidence
    rare = seen.updates and seen.calls >= FEWER * seen.accumulate * seen.updates
    cleared = [look for look in program.looks if look.since > 1 and look.before == 0]
    kept = [look for look in program.looks if look.since > 1 and look.before > 0]
    if not rare or not cleared or kept or seen.optimizers > 1 or seen.optimizer == "LBFGS":
        return None
    return Finding(
        "The gradients of most batches are cleared without an update: optimizer.step() stands "
        "outside the loop over the batches.",
        f"{seen.updates:,} updates in {seen.calls:,} batches; gradients 0 before the backward "
        f"passes of batches that follow no update",
        "optimizer.step()   # after each loss.backward(), within the loop",
    )


def wrong_parameters(program: WatchedProgram) -> Finding | None:
    """Find an optimizer whose parameters are not those of the model."""
    seen = program.evidence
    if not (seen.strangers and seen.unowned.count):
        return None
    every = "none" if seen.unowned.count == seen.parameters else "not all"
    return Finding(
        f"The optimizer owns {every} of the model's parameters, but others that are not in the "
        "loss: it was made before the model, or a layer of it, was replaced.",
        f"{seen.unowned.count} of {seen.parameters} parameters of the model are in no optimizer "
        f"({', '.join(seen.unowned.names)}); {seen.strangers} of the optimizer's are not the "
        "model's",
        f"{_optimizer(program)}   # after the last change of the model",
    )


def unregistered_layers(program: WatchedProgram) -> Finding | None:
    """Find parameters in the graph that neither model nor optimizer knows."""
    seen = program.evidence
    if not seen.outside or not (seen.updates or seen.preflight):
        return None
    return Finding(
        "Layers take part in the loss that are no part of the model: those in a plain list or dict "
        "are not registered, and no optimizer trains them.",
        f"{seen.outside} parameters in the loss's graph are in neither model nor optimizer"
        f"{_after(seen)}",
        "self.layers = nn.ModuleList(layers)   # or nn.ModuleDict",
    )


def parameters_missing(program: WatchedProgram) -> Finding | None:
    """Find trainable parameters that no optimizer owns."""
    seen, missing = program.evidence, program.evidence.unowned
    if not missing.count or not (seen.updates or seen.preflight) or seen.strangers:
        return None
    if missing.before and not missing.fresh:
        return None  # a backbone whose head alone is trained
    return Finding(
        f"No optimizer owns {_named(missing)}: the parameters require a gradient, and stay as they "
        "are.",
        f"{missing.count} of {seen.parameters} parameters are in no optimizer{_after(seen)}",
        _optimizer(program),
        certain=not missing.before,
    )


def frozen(program: WatchedProgram) -> Finding | None:
    """Find layers that are frozen at the random weights that they were made with."""
    seen, still = program.evidence, program.evidence.frozen
    if not (still.count and still.fresh and (seen.updates or seen.preflight)):
        return None
    if program.late_loss < MUCH * program.constant:
        return None  # random features that are enough
    return Finding(
        f"Layers are frozen at random weights: {_named(still)}.",
        f"{still.count} parameters do not require a gradient, and are distributed as torch's "
        "layers draw them",
        "for parameter in model.parameters(): parameter.requires_grad_(True)",
        certain=False,
    )


def parts_unused(program: WatchedProgram) -> Finding | None:
    """Find parameters that the outputs do not depend on in a program that learns nothing."""
    missing, still = program.evidence.unreached, program.evidence.frozen
    if not program.unlearned or not (missing.count or still.count):
        return None
    if missing.count:
        return Finding(
            f"No gradient reaches {_named(missing)}: the loss does not depend on these parameters, "
            "and without them nothing is learned.",
            f"{missing.count} of {program.evidence.parameters} parameters are not in the loss's "
            f"graph; {program.compared}",
            "use them in forward(), without detach(), .data or no_grad()",
            certain=False,
        )
    return Finding(
        f"Layers are frozen, and those that are trained learn nothing: {_named(still)}.",
        f"{still.count} parameters do not require a gradient; {program.compared}",
        "for parameter in model.parameters(): parameter.requires_grad_(True)   # or "
        "Embedding.from_pretrained(vectors, freeze=False)",
        certain=False,
    )


def loss_maximised(program: WatchedProgram) -> Finding | None:
    """Find a loss that the steps raise."""
    seen = program.evidence
    flipped = bool(program.forms) and all(form.startswith("-") for form in program.forms)
    overlap = _is_overlap(program)
    flipped = (flipped or overlap) and seen.optimizers == 1  # else one player's, who is to lose
    rate = min((rate for look in program.looks for rate in look.rates), default=1.0)
    if seen.maximize == flipped and rate >= 0:
        return None
    if flipped:
        what, mend = "it is the negative of a loss", "loss = -loss"
        evidence = f"loss {program.first.loss:.3g}, recognised as {next(iter(program.forms), '')}"
        if overlap:
            what = "it is an overlap, as Dice's or Jaccard's, which is to become large"
            mend = "loss = 1 - overlap"
            evidence = f"a quotient of sums of products with masks; loss {program.course_of_loss}"
    elif seen.maximize:
        what, mend = (
            "maximize=True",
            _optimizer(program),
        )
        evidence = f"{seen.optimizer} has maximize=True; loss {program.course_of_loss}"
    else:
        what, mend = "the learning rate is negative", "lr=1e-3   # positive"
        evidence = f"lr={rate:g}; loss {program.course_of_loss}"
    likely = flipped and (overlap or program.is_loss("cosine"))  # or others are to be unlike
    what = f"The updates make the loss larger: {what}."
    return Finding(what, evidence, mend, certain=not likely)


def _is_overlap(program: WatchedProgram) -> bool:
    """Tell if the loss is a share of masks 0 and 1 that nothing is subtracted from."""
    sums = program.has("mul", "sum") and program.has("sigmoid", "sum", "mul")
    quotient = program.has("add", "div") or program.has("sum", "div") or program.has("sub", "div")
    signs = {"neg", "rsub", "log"} & {name for pair in program.pairs for name in pair}
    turned = signs or any(program.has(one, "sub", "mul", "add") for one in ("div", "mean"))
    masks = program.always(lambda look: look.target_whole and look.target_low >= 0)
    return bool(sums and quotient and masks and not turned) and program.highest("target_high") == 1


def eval_in_training(program: WatchedProgram) -> Finding | None:
    """Find a model with dropout or batch normalisation that is trained in eval mode."""
    seen = program.evidence
    if not seen.modes:
        return None
    never = program.always(lambda look: not look.training) and not seen.train_calls
    if never and seen.norm and seen.fresh and seen.updates >= SEVERAL:
        return Finding(
            "The model is trained in eval mode from the start: batch normalisation neither "
            "normalises nor learns its statistics.",
            f"all {seen.calls:,} batches in eval mode; its weights are distributed as torch's "
            "layers draw them",
            "model.train()   # before the loop",
            certain=False,
        )
    if not seen.eval_after_train:
        return None
    return Finding(
        "The model is trained in eval mode, so that dropout is off and batch normalisation uses "
        "old statistics: it was not set back after a validation.",
        f"{seen.eval_after_train:,} of {seen.calls:,} batches in eval mode, after "
        f"{seen.train_calls:,} in train mode",
        "model.train()   # at the beginning of each epoch",
    )


def statistics_not_tracked(program: WatchedProgram) -> Finding | None:
    """Find batch normalisation that is trained, and whose running statistics stay 0 and 1."""
    seen = program.evidence
    if seen.start_statistics > STALE and not seen.untracked and seen.train_calls >= ENOUGH:
        return Finding(
            "Batch normalisation has a momentum so small that its running statistics, which it "
            "uses in eval mode, are {share:%} those of the start: torch's is the share of the new "
            "batch, others' that of the past.",
            f"(1 − momentum) to the power of {seen.train_calls:,} batches in train mode "
            f"{seen.start_statistics:.3g}",
            "nn.BatchNorm2d(channels, momentum=0.1)   # the share of the new batch",
            {"share": seen.start_statistics},
        )
    if not seen.untracked or not (seen.train_calls or seen.preflight):
        return None
    return Finding(
        "Batch normalisation with momentum=0 never learns its running statistics, which stay 0 and "
        "1: in eval mode it normalises nothing.",
        f"mean 0 and variance 1 in {seen.untracked} of its layers after {seen.train_calls:,} "
        "batches in train mode",
        "nn.BatchNorm2d(channels, momentum=0.1)   # the share of the new batch",
    )


def train_in_evaluation(program: WatchedProgram) -> Finding | None:
    """Find a model with dropout or batch normalisation that is evaluated in train mode."""
    seen = program.evidence
    if not seen.modes or not seen.tested:
        return None
    return Finding(
        "The model is evaluated in train mode: dropout is on, and batch normalisation learns from "
        "the examples it is tested with.",
        f"{seen.tested:,} calls under no_grad in train mode",
        "model.eval()   # before the evaluation, and model.train() after it",
        certain=False,
    )


def zero_gradient_function(program: WatchedProgram) -> Finding | None:
    """Find a step function that stops all gradients, or those of the layers below it."""
    seen, still = program.evidence, program.evidence.unchanged
    flat = ", ".join(dict.fromkeys(one for look in program.looks for one in look.flat))
    below = still.count and still.before and not seen.unowned.count
    moving = all(rate > 0 for look in program.looks for rate in look.rates)
    always = program.always(lambda look: bool(look.flat))
    if below and moving and always and seen.updates >= SEVERAL:
        return Finding(
            f"No layer below {flat} is trained: its gradient is 0 everywhere.",
            f"{flat} in the loss's graph; unchanged after {seen.updates:,} updates: "
            f"{_named(still)}",
            STRAIGHT,
        )
    known = [look for look in program.looks if look.after == look.after and look.reaches]
    if not known or any(look.after > 0 or not look.flat for look in known):
        return None
    return Finding(
        f"All gradients are 0, for that of {', '.join(known[0].flat)} is 0 everywhere.",
        f"{', '.join(known[0].flat)} in the loss's graph; norm of the gradients 0 in {len(known)} "
        "batches",
        STRAIGHT,
    )


def dropout_too_strong(program: WatchedProgram) -> Finding | None:
    """Find a dropout that removes nearly all units of a model that learns little."""
    share = program.evidence.dropout
    if not share >= NEARLY_ALL or not program.late_loss >= MUCH * program.constant:
        return None
    return Finding(
        "Dropout removes {share:%} of the units, and the model learns little.",
        f"largest p of a dropout {share:.3g}; {program.compared}",
        "nn.Dropout(0.2)",
        {"share": share},
        certain=False,
    )


def same_batch(program: WatchedProgram) -> Finding | None:
    """Find a loader that gives the same batch for every update."""
    seen, size = program.evidence, (program.first.target_shape or [0])[0]
    power = SMALLEST <= size <= LARGEST and size & (size - 1) == 0
    every = seen.copies >= max(SEVERAL, len(program.looks) - 1)
    if not (every and power and seen.updates >= ENOUGH):
        return None
    return Finding(
        "Every update sees the same {size:d} examples, each time as new tensors: the loop takes "
        "the first batch of its loader again and again.",
        f"the same inputs in all {len(program.looks)} of {seen.calls:,} batches that were looked "
        "at, and their targets elsewhere in memory",
        "for inputs, targets in loader:   # in place of next(iter(loader)) within the loop",
        {"size": size},
        certain=False,
    )


def _optimizer(program: WatchedProgram) -> str:
    """Write the line that makes the program's optimizer."""
    rates = program.first.rates[:1]
    options = "".join(f", lr={rate:g}" for rate in rates if rate > 0)
    return f"optimizer = {program.evidence.optimizer or 'Adam'}(model.parameters(){options})"


def _named(some: Untrained) -> str:
    more = "" if some.count <= len(some.names) else f" and {some.count - len(some.names)} more"
    return f"{', '.join(some.names)}{more}"


def _after(seen: Evidence) -> str:
    return "" if seen.preflight else f", and are unchanged after {seen.updates:,} updates"
