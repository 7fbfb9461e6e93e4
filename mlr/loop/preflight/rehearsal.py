"""Steps of a copy: how far one moves the weights, and whether many fit one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from math import isfinite, nan
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import LBFGS, Adam, Optimizer

from mlr.core.checks import InputError
from mlr.loop.model_hooks import is_compiled, unwrapped
from mlr.loop.preflight.batch import Batch, Loss

RATE = 1e-3
"""Learning rate of the Adam that a batch is learned by where no optimizer is given."""
LEARNED = 0.02
"""Share of the first loss at which a batch is learned."""
SEED = 0
LAST = 0.1
"""Share of the steps whose mean loss is that of the end."""


def first_step(
    model: nn.Module,
    value: Tensor,
    optimizers: Sequence[Optimizer],
    again: Callable[[Callable[..., Any]], Any],
) -> dict[str, Any]:
    """Make one step of copies of the parameters and the optimizers, their states included.

    Args:
        model: of the program.
        value: the loss (); its graph is freed.
        optimizers: of the program.
        again: computes the loss of a function in place of the model.

    Returns:
        Entries of `Rehearsal`; none where the copies cannot make a step, as those of an optimizer
        that needs a closure.
    """
    owned = {
        id(own): own
        for one in optimizers
        for group in one.param_groups
        for own in group["params"]
        if own.requires_grad
    }
    if not owned or not value.requires_grad:
        return {}
    gradients = torch.autograd.grad(value, list(owned.values()), allow_unused=True)
    found: dict[str, Any] = {"gradient": norm(gradients)}
    try:
        after = _stepped(owned, gradients, optimizers)
        found |= _moves(owned, after, gradients)
        if any(group.get("weight_decay") for one in optimizers for group in one.param_groups):
            found["decay"] = _decay(owned, after, _stepped(owned, gradients, optimizers, decay=0))
    except Exception:  # an optimizer that cannot be copied, or needs more, is no fault
        return found
    found["rehearsed"] = True
    found["loss_before"] = float(value.detach())
    own = unwrapped(model)
    if not is_compiled(own):  # else the copy would be compiled
        named = {name: after.get(id(one), one) for name, one in own.named_parameters()}

        def call(*arguments: Any, **keywords: Any) -> Any:
            return functional_call(own, named, arguments, keywords)

        try:
            with torch.no_grad():
                found["loss_after"] = float(again(call))
        except Exception:  # the loss of the copy is one witness of several
            pass
    return found


def _stepped(
    owned: dict[int, Tensor],
    gradients: Sequence[Tensor | None],
    optimizers: Sequence[Optimizer],
    decay: float | None = None,
) -> dict[int, Tensor]:
    """Return the parameters after a step of copies, by the identity of the originals."""
    memo: dict[int, Any] = {}
    copies = [deepcopy(one, memo) for one in optimizers]
    for key, gradient in zip(owned, gradients, strict=True):
        memo[key].grad = gradient if gradient is None else gradient.clone()
    for one in copies:
        for group in one.param_groups:
            if decay is not None and "weight_decay" in group:
                group["weight_decay"] = decay
        one.step()
    return {key: memo[key] for key in owned}


@torch.no_grad()
def _moves(
    before: dict[int, Tensor], after: dict[int, Tensor], gradients: Sequence[Tensor | None]
) -> dict[str, Any]:
    """Describe ‖Δw‖ / ‖w‖ of the weights that have a gradient."""
    pairs = [
        (own.detach(), after[key].detach())
        for (key, own), gradient in zip(before.items(), gradients, strict=True)
        if gradient is not None and norm([gradient]) > 0
    ]
    still = all(torch.equal(old, new) for old, new in pairs)
    weights = [(old, new) for old, new in pairs if old.dim() > 1]
    olds = [old for old, _ in weights]
    sizes = torch._foreach_norm(olds) if olds else []
    steps = torch._foreach_norm(torch._foreach_sub([new for _, new in weights], olds)) if olds else []
    ratios = [float(step / size) for step, size in zip(steps, sizes, strict=True) if size > 0]
    return {"moved": median(ratios) if ratios else nan, "still": still}


@torch.no_grad()
def _decay(
    before: dict[int, Tensor], after: dict[int, Tensor], without: dict[int, Tensor]
) -> float:
    """Return the share of the decay in a step, ‖Δ − Δ₀‖ / ‖Δ₀‖, Δ₀ being that without it."""
    own = norm([after[key] - without[key] for key in before])
    rest = norm([without[key] - start for key, start in before.items()])
    return own / rest if rest > 0 else nan


@torch.no_grad()
def norm(values: Sequence[Tensor | None]) -> float:
    known = [one.detach() for one in values if one is not None]
    known = [one.to_dense() if one.is_sparse else one for one in known]
    if not known:
        return 0.0
    return float(torch.stack([one.double().cpu() for one in torch._foreach_norm(known)]).norm())


def learned(
    model: nn.Module, loss: Loss | None, batch: Batch, optimizers: Sequence[Optimizer], steps: int
) -> dict[str, Any]:
    """Train a copy on one batch, in its mode; returns entries of `Rehearsal`.

    It ends once the loss is a small share of the first. The seed is fixed.

    Raises:
        InputError: the model cannot be copied.
    """
    own = loss if isinstance(loss, nn.Module) else None
    try:
        copied, of_copy, copies = deepcopy((unwrapped(model), own, list(optimizers)))
    except Exception as error:
        raise InputError(
            f"The model cannot be copied, and is not trained itself ({_line(error)}): make it "
            "by a function, and check one that was not called yet."
        ) from error
    trained = of_copy or loss
    if not copies:
        copies = [Adam([one for one in copied.parameters() if one.requires_grad], lr=RATE)]
    groups = [group for one in copies for group in one.param_groups]
    for group in groups:  # a warm-up from 0
        group["lr"] = max(group["lr"], group.get("initial_lr", 0.0))
    weights = [own for group in groups for own in group["params"] if own.requires_grad]
    torch.manual_seed(SEED)
    losses: list[float] = []

    def closure() -> Tensor:
        here = batch.copy()
        with torch.enable_grad():
            value = here.value(here.outputs(copied, trained), trained)
            gradients = torch.autograd.grad(value, weights, allow_unused=True)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        return value.detach()

    for _ in range(steps):
        if any(isinstance(one, LBFGS) for one in copies):
            for one in copies:
                value = one.step(closure)
        else:
            value = closure()
            for one in copies:
                one.step()
        losses.append(float(value))
        if not isfinite(losses[-1]) or 0 <= losses[-1] < LEARNED * losses[0]:
            break
    last = losses[-max(1, int(LAST * len(losses))) :]
    return {
        "steps": len(losses),
        "first_loss": losses[0],
        "last_loss": losses[-1] if losses[-1] != losses[-1] else sum(last) / len(last),
        "own_optimizer": bool(optimizers),
    }


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]
