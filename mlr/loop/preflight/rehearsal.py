"""Steps of a copy: how far one moves the weights, and whether many fit one batch."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from copy import deepcopy
from math import isfinite, nan
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import LBFGS, Adam, Optimizer

from mlr.core.checks import InputError
from mlr.loop.model_hooks import is_compiled, unwrapped
from mlr.loop.preflight.batch import GivenBatch, Loss

RATE = 1e-3
"""Learning rate of the Adam that a batch is learned by where no optimizer is given."""
SHORT = 0.1
"""‖Δw‖ / ‖w‖ of a step up to which the loss is not computed again."""
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
    wild: bool,
) -> dict[str, Any]:
    """Make one step of copies of the parameters and the optimizers, their states included.

    Args:
        model: of the program.
        value: the loss (); its graph is freed.
        optimizers: of the program.
        again: computes the loss of a function in place of the model.
        wild: True if the loss after the step is needed in any case; else only after a long step.

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
        groups = [group for one in optimizers for group in one.param_groups]
        decays = any(group.get("weight_decay") for group in groups)
        without = _stepped(owned, gradients, optimizers, decay=0.0) if decays else None
        after = _stepped(owned, gradients, optimizers)
        found |= _moves(owned, after, gradients)
        if without is not None:
            found["decay"] = _decay(owned, after, without)
    except Exception:  # an optimizer that cannot be copied, or needs more, is no fault
        return found
    found["rehearsed"] = True
    found["loss_before"] = float(value.detach())
    own = unwrapped(model)
    short = not wild and found["moved"] <= SHORT
    if not short and not is_compiled(own):  # else the copy would be compiled
        named = {name: after.get(id(one), one) for name, one in own.named_parameters()}

        def call(*arguments: Any, **keywords: Any) -> Any:
            return functional_call(own, named, arguments, keywords)

        with suppress(Exception):  # the loss of the copy is one witness of several
            # with a graph: a hook of a probe counts calls without one as evaluations
            found["loss_after"] = float(again(call).detach())
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
        if decay is not None and gradient is not None:
            gradient = gradient.clone()  # which an optimizer may write to
        memo[key].grad = gradient
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
    there = [
        (own.detach(), after[key].detach())
        for (key, own), gradient in zip(before.items(), gradients, strict=True)
        if gradient is not None and bool(gradient.any() if not gradient.is_sparse else True)
    ]
    if not there:
        return {"moved": nan, "still": False}
    olds = [old for old, _ in there]
    steps = torch._foreach_norm(torch._foreach_sub([new for _, new in there], olds))
    sizes = torch._foreach_norm(olds)
    ratios = [
        float(step / size)
        for old, step, size in zip(olds, steps, sizes, strict=True)
        if old.dim() > 1 and size > 0
    ]
    return {"moved": median(ratios) if ratios else nan, "still": not any(map(bool, steps))}


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
    """‖v‖ over all tensors; 0 without any."""
    known = [one.detach() for one in values if one is not None]
    known = [one.to_dense() if one.is_sparse else one for one in known]
    if not known:
        return 0.0
    return float(torch.stack([one.double().cpu() for one in torch._foreach_norm(known)]).norm())


def learned(
    model: nn.Module,
    loss: Loss | None,
    batch: GivenBatch,
    optimizers: Sequence[Optimizer],
    steps: int,
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
    own_optimizer = bool(copies) and not any(isinstance(one, LBFGS) for one in copies)
    if not own_optimizer:  # torch's LBFGS does not survive a copy
        copies = [Adam([one for one in copied.parameters() if one.requires_grad], lr=RATE)]
    groups = [group for one in copies for group in one.param_groups]
    for group in groups:  # a warm-up from 0
        group["lr"] = max(group["lr"], group.get("initial_lr", 0.0))
    weights = [own for group in groups for own in group["params"] if own.requires_grad]
    seed_all(SEED)
    losses: list[float] = []

    def backward() -> float:
        here = batch.copy()
        with torch.enable_grad():
            value = here.value(here.outputs(copied, trained), trained)
            if value.requires_grad:
                gradients = torch.autograd.grad(value, weights, allow_unused=True)
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight.grad = gradient
        return float(value.detach())

    for _ in range(steps):
        losses.append(backward())
        for one in copies:
            one.step()
        if not isfinite(losses[-1]) or 0 <= losses[-1] < LEARNED * losses[0]:
            break
    last = losses[-max(1, int(LAST * len(losses))) :]
    return {
        "steps": len(losses),
        "first_loss": losses[0],
        "last_loss": losses[-1] if losses[-1] != losses[-1] else sum(last) / len(last),
        "own_optimizer": own_optimizer,
    }


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and torch."""
    random.seed(seed)
    np.random.seed(seed % (1 << 32))  # NumPy has no larger seeds
    torch.manual_seed(seed)


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:120]
