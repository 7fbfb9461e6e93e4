"""Remedies: changes of a program that need none of its source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from mlr.core.checks import InputError
from mlr.loop.evidence import graph
from mlr.remedies.ends import WithoutEnd
from mlr.remedies.program import (
    Batch,
    Loss,
    OwnProgram,
    Parts,
    device_of,
    moved,
    outputs_of,
)

LARGEST = 1 << 28
"""Numbers of all inputs that are shuffled in memory."""
BOUNDED = (nn.Sigmoid, nn.Tanh)
"""Activations that let gradients vanish."""
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class Remedy:
    """A change of a program, and the line of code that makes it."""

    code: str
    apply: Callable[[OwnProgram], OwnProgram]


def _of_parts(code: str, change: Callable[[nn.Module, list[Optimizer]], Parts]) -> Remedy:
    """Make a remedy that changes a fresh model or its optimizers."""

    def apply(program: OwnProgram) -> OwnProgram:
        return replace(program, make=lambda: change(*program.make()))

    return Remedy(code, apply)


def _of_model(code: str, change: Callable[[nn.Module], object]) -> Remedy:
    """Make a remedy that changes a fresh model in place."""

    def both(model: nn.Module, optimizers: list[Optimizer]) -> Parts:
        with torch.no_grad():
            change(model)
        return model, optimizers

    return _of_parts(code, both)


def _of_groups(code: str, change: Callable[[dict[str, Any]], object]) -> Remedy:
    """Make a remedy that changes the parameter groups of the optimizers."""

    def both(model: nn.Module, optimizers: list[Optimizer]) -> Parts:
        for one in optimizers:
            for group in one.param_groups:
                change(group)
        return model, optimizers

    return _of_parts(code, both)


def _of_batches(code: str, change: Callable[[Batch], Batch]) -> Remedy:
    """Make a remedy that changes each batch, also those that judge."""

    def apply(program: OwnProgram) -> OwnProgram:
        return replace(
            program,
            batches=lambda: map(change, program.batches()),
            held=lambda: map(change, program.held()),
        )

    return Remedy(code, apply)


def setting(code: str, name: str, value: Any) -> Remedy:
    """Set an option of the optimizers that have it."""

    def change(group: dict[str, Any]) -> None:
        if name in group:
            group[name] = value

    return _of_groups(code, change)


def rate(factor: float, of: Optimizer) -> Remedy:
    """Multiply all learning rates; the line names the rate of an optimizer's first group."""

    def change(group: dict[str, Any]) -> None:
        group["lr"] = group["lr"] * factor

    return _of_groups(f"lr={float(of.param_groups[0]['lr']) * factor:.3g}", change)


def optimizer(cls: type[Optimizer], lr: float) -> Remedy:
    """Take another optimizer for the parameters of the present ones."""

    def change(model: nn.Module, optimizers: list[Optimizer]) -> Parts:
        owned = [own for one in optimizers for group in one.param_groups for own in group["params"]]
        return model, [cls(owned, lr=lr)]  # type: ignore[call-arg]

    return _of_parts(
        f"optimizer = torch.optim.{cls.__name__}(model.parameters(), lr={lr:g})", change
    )


def all_parameters() -> Remedy:
    """Give the optimizer every parameter that takes part in the loss, and unfreeze the model's."""

    def apply(program: OwnProgram) -> OwnProgram:
        def make() -> Parts:
            model, optimizers = program.make()
            model.requires_grad_(True)
            owned = {
                id(own)
                for one in optimizers
                for group in one.param_groups
                for own in group["params"]
            }
            inside = {id(own): own for own in model.parameters()}
            inputs, targets = (
                moved(value, device_of(model)) for value in next(iter(program.batches()))
            )
            outputs = outputs_of(model, inputs)
            leaves = graph.seen(outputs, program.loss(outputs, targets)).leaves
            every = inside | {id(leaf): leaf for leaf in leaves if isinstance(leaf, nn.Parameter)}
            missing = [own for key, own in every.items() if key not in owned]
            if missing:
                optimizers[0].add_param_group({"params": missing})
            return model, optimizers

        return replace(program, make=make)

    return Remedy(
        "optimizer = torch.optim.…(model.parameters())   # of every layer that takes part", apply
    )


def unfrozen() -> Remedy:
    """Train all parameters of the model."""
    return replace(
        all_parameters(),
        code="for parameter in model.parameters(): parameter.requires_grad_(True)",
    )


def in_train_mode() -> Remedy:
    """Train in train mode."""
    return _of_model("model.train()   # before the training", lambda model: model.train())


def plain_loop() -> Remedy:
    """Make each update as it should be made."""

    def apply(program: OwnProgram) -> OwnProgram:
        return replace(program, step=None)

    return Remedy(
        "optimizer.zero_grad(); loss.backward(); optimizer.step()   # of loss(model(inputs), "
        "targets), and nothing else",
        apply,
    )


def drawn_again() -> Remedy:
    """Initialise all layers as torch does."""

    def change(model: nn.Module) -> None:
        for part in model.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()

    return _of_model("layer.reset_parameters()   # of each layer: torch's own init", change)


def kaiming() -> Remedy:
    """Initialise all layers for ReLUs."""

    def change(model: nn.Module) -> None:
        for part in model.modules():
            if isinstance(part, LAYERS):
                nn.init.kaiming_normal_(part.weight)
                if part.bias is not None:
                    nn.init.zeros_(part.bias)

    return _of_model("nn.init.kaiming_normal_(layer.weight); nn.init.zeros_(layer.bias)", change)


def _named_hidden(model: nn.Module, kinds: tuple[type[nn.Module], ...]) -> Iterator[str]:
    """Name the parts of some kinds that are not the last one of the model."""
    parts = [name for name, part in model.named_modules() if next(part.children(), None) is None]
    for name in parts[:-1]:
        if isinstance(model.get_submodule(name), kinds):
            yield name


def has_bounded(model: nn.Module) -> bool:
    """Tell if hidden sigmoid or tanh parts can be replaced."""
    return next(_named_hidden(model, BOUNDED), None) is not None


def relu_in_place() -> Remedy:
    """Put ReLUs in place of hidden sigmoids and tanhs."""

    def change(model: nn.Module) -> None:
        for name in list(_named_hidden(model, BOUNDED)):
            above, _, last = name.rpartition(".")
            setattr(model.get_submodule(above), last, nn.ReLU())

    return _of_model("nn.ReLU() in place of hidden nn.Sigmoid() and nn.Tanh()", change)


def relu_between() -> Remedy:
    """Put a ReLU after each layer but the last."""

    def change(model: nn.Module) -> None:
        layers = [part for part in model.modules() if isinstance(part, LAYERS)]
        for layer in layers[:-1]:
            layer.register_forward_hook(lambda part, inputs, outputs: torch.relu(outputs))

    return _of_model("nn.ReLU() after each layer but the last", change)


def weak_dropout() -> Remedy:
    """Drop a fifth of the units."""

    def change(model: nn.Module) -> None:
        for part in model.modules():
            if isinstance(part, nn.modules.dropout._DropoutNd):
                part.p = min(part.p, 0.2)

    return _of_model("nn.Dropout(0.2)", change)


def wide_head(classes: int) -> Remedy:
    """Replace a last layer of one output by one of K, and its loss by the cross-entropy."""

    def change(model: nn.Module, optimizers: list[Optimizer]) -> Parts:
        names = [name for name, part in model.named_modules() if isinstance(part, nn.Linear)]
        above, _, last = names[-1].rpartition(".")
        old = model.get_submodule(names[-1])
        new = nn.Linear(old.in_features, classes, device=device_of(model))  # type: ignore[arg-type]
        setattr(model.get_submodule(above), last, new)
        optimizers[0].add_param_group({"params": list(new.parameters())})
        return model, optimizers

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets.flatten())

    def apply(program: OwnProgram) -> OwnProgram:
        wide = _of_parts("", change).apply(program)
        numbered = _of_batches("", lambda pair: (pair[0], pair[1].flatten().long())).apply(wide)
        return replace(numbered, loss=loss, form="ce")

    code = f"nn.Linear(…, {classes}) at the end; loss = F.cross_entropy(outputs, targets.long())"
    return Remedy(code, apply)


def without_end(end: str, form: str | None = None) -> Remedy:
    """Leave out the activation at the end of the model."""

    def change(model: nn.Module, optimizers: list[Optimizer]) -> Parts:
        return WithoutEnd(model), optimizers

    def apply(program: OwnProgram) -> OwnProgram:
        bare = _of_parts("", change).apply(program)
        return replace(bare, form=program.form if form is None else form, singly=False)

    return Remedy(f"remove the {end} at the end of the model", apply)


def loss(code: str, function: Loss, form: str) -> Remedy:
    """Take another loss."""

    def apply(program: OwnProgram) -> OwnProgram:
        return replace(program, loss=function, form=form)

    return Remedy(f"loss = {code}", apply)


def with_shape() -> Remedy:
    """Give the loss targets of the shape of the outputs."""

    def apply(program: OwnProgram) -> OwnProgram:
        def same(outputs: Tensor, targets: Tensor) -> Tensor:
            return program.loss(outputs, targets.view_as(outputs))

        form = program.form.removeprefix("broadcast+")
        return replace(program, loss=same, form=form)

    return Remedy("loss = loss_function(outputs, targets.view_as(outputs))", apply)


def negated() -> Remedy:
    """Take the loss with the other sign."""

    def apply(program: OwnProgram) -> OwnProgram:
        return replace(program, loss=lambda outputs, targets: -program.loss(outputs, targets))

    return Remedy("loss = -loss", apply)


def minimising() -> Remedy:
    """Let the steps lower the loss."""

    def change(group: dict[str, Any]) -> None:
        group["lr"] = abs(group["lr"])
        if "maximize" in group:
            group["maximize"] = False

    return _of_groups("maximize=False, and a positive lr", change)


def both(code: str, *remedies: Remedy) -> Remedy:
    """Put remedies together, the first one first."""

    def apply(program: OwnProgram) -> OwnProgram:
        for one in remedies:
            program = one.apply(program)
        return program

    return Remedy(code or "; ".join(one.code for one in remedies), apply)


def standardised_inputs(mean: Tensor, std: Tensor) -> Remedy:
    """Standardise the inputs by column or channel."""

    def change(pair: Batch) -> Batch:
        inputs, targets = pair
        place = mean.to(inputs.device), std.to(inputs.device)
        return ((inputs.double() - place[0]) / place[1]).to(inputs.dtype), targets

    return _of_batches("inputs = (inputs - mean) / std   # of the training examples", change)


def scaled_targets(code: str, shift: Tensor | float, factor: Tensor | float) -> Remedy:
    """Give the loss (targets − shift) / factor."""

    def change(pair: Batch) -> Batch:
        inputs, targets = pair
        return inputs, ((targets.double() - shift) / factor).to(
            targets.dtype if targets.is_floating_point() else torch.get_default_dtype()
        )

    return _of_batches(code, change)


def shuffled() -> Remedy:
    """Draw the examples of each epoch in a new order."""

    def apply(program: OwnProgram) -> OwnProgram:
        found: list[tuple[Tensor, Tensor]] = []

        def batches() -> Iterator[Batch]:
            if not found:
                found.extend(_whole(program))
            inputs, targets = (torch.cat(list(some)) for some in zip(*found, strict=True))
            order = torch.randperm(len(targets))
            for some in order.split(max(1, len(found[0][1]))):
                yield inputs[some], targets[some]

        return replace(program, batches=batches)

    return Remedy("DataLoader(dataset, batch_size=…, shuffle=True)", apply)


def _whole(program: OwnProgram) -> Iterator[Batch]:
    """Yield the batches of an epoch.

    Raises:
        InputError: they are too many to be kept.
    """
    size = 0
    for inputs, targets in program.batches():
        size += inputs.numel()
        if size > LARGEST:
            raise InputError("the examples are too many to be shuffled in memory")
        yield inputs, targets


def weighted(counts: Tensor) -> Remedy:
    """Weight classes by the inverse of their counts."""
    weight = counts.sum() / (len(counts) * counts.clamp_min(1))

    def function(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, weight=weight.to(outputs))

    return loss("F.cross_entropy(outputs, targets, weight=1 / counts)", function, "ce")


def positive_weight(share: float) -> Remedy:
    """Weight the examples of label 1 by the number of others."""
    weight = (1 - share) / share

    def function(outputs: Tensor, targets: Tensor) -> Tensor:
        wanted = targets.to(outputs).view_as(outputs)
        return F.binary_cross_entropy_with_logits(
            outputs, wanted, pos_weight=torch.full((), weight).to(outputs)
        )

    code = "F.binary_cross_entropy_with_logits(outputs, targets, pos_weight=torch.tensor("
    return loss(f"{code}{weight:.3g}))", function, "bce_logits")
