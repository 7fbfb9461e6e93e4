"""Trial of a user's own head and loss on two small batches that share some examples.

A loss that is a mean over the batch, or reads it otherwise, would train a run of a sweep
differently from the run alone; and one that is NaN or no function of the logits would not train at
all. Each is refused in a sentence before the first update.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import torch
from torch import Tensor

from mlr.core.checks import InputError, is_out_of_memory
from mlr.core.domains import Interval
from mlr.heads.base import Head
from mlr.objectives.objective import Objective

SHARED, FIRST, SECOND = 3, 7, 5
"""Examples of both batches, of the first and of the second."""
EXAMPLES = FIRST + SECOND - SHARED
CLOSE = 1e-3
"""Difference, relative to 1 + |value|, above which two numbers are not the same: a thousand times
the rounding of float32, and a hundredth of what other examples change of a mean."""


def try_head(head: Head, logits: Tensor, matched: bool) -> None:
    """Refuse a head that couples examples, or does not keep to its range, slope or potential.

    Args:
        head: a head.
        logits: z (EXAMPLES, K), moderate ones.
        matched: whether the loss is made of its potential, which is not called otherwise.

    Raises:
        InputError: see the sentences.
    """
    name = f"head={head.name}"
    z, other = _batches(_extreme(logits))
    leaf = z.clone().requires_grad_()
    with torch.enable_grad():
        y = _called(name, head, leaf)
        if y.shape != z.shape:
            _refuse(
                name,
                f"gives predictions of shape {tuple(y.shape)} for logits of shape "
                f"{tuple(z.shape)}; return one prediction for each logit",
            )
        if not y.requires_grad:
            _refuse_undifferentiable(name)
    seen = y.detach()
    if seen.isnan().any():
        _refuse(name, f"is NaN for logits {_told(z[seen.isnan().any(-1)][0])}")
    _check_apart(name, seen, _called(name, head, other))
    _check_range(head, seen)
    with torch.enable_grad():
        slopes = [
            torch.autograd.grad(y[:, k].sum(), leaf, retain_graph=True)[0][:, k]
            for k in range(z.shape[-1])
        ]
    given = _called(f"the slope of {name}", head.slope, z)
    _check_equal(f"the slope of {name}", given, torch.stack(slopes, -1), "∂y_k/∂z_k")
    if matched:
        _check_potential(head, leaf, seen)


def try_loss(objective: Objective, logits: Tensor, targets: Tensor) -> None:
    """Refuse a loss that is not per example, couples examples, is NaN, or has no gradient.

    Args:
        objective: a head and a loss.
        logits: z (EXAMPLES, K), moderate ones.
        targets: t (EXAMPLES, K) of the data.

    Raises:
        InputError: see the sentences.
    """
    name, losses = f"loss={objective.loss.name}", objective.kernel.losses
    (z, other), (t, other_t) = _batches(_extreme(logits)), _batches(targets)
    leaf, given = z.clone().requires_grad_(), t.clone()
    with torch.enable_grad():
        found = _called(name, losses, leaf, given)
    _check_shape(name, found, z)
    if not torch.equal(given, t):
        _refuse(name, "changes its targets in place; use operations without a trailing _")
    if not (found.requires_grad or objective.exact):
        _refuse_undifferentiable(name)
    seen = found.detach()
    if seen.isnan().any():
        row = int(seen.isnan().nonzero()[0, 0])
        _refuse(name, f"is NaN for logits {_told(z[row])} and targets {_told(t[row])}")
    if _far(_called(name, losses, z, t), seen).any():
        _refuse(
            name,
            "differs from one call to the next with the same numbers; it must draw no random "
            "numbers and remember nothing",
        )
    _check_apart(name, seen, _called(name, losses, other, other_t))
    pairs = [torch.stack([one, one.flip(0)]) for one in (z, t)]
    runs = _called(name, losses, *pairs)
    if runs.shape != pairs[0].shape[:-1] or _far(runs[0], seen).any():
        _refuse(
            name,
            f"of two runs at once, logits {tuple(pairs[0].shape)}, is not what it is of one; sum "
            "over the last axis, .sum(-1), and count no axis from the front",
        )
    slopes = _called(f"the gradient of {name}", objective.kernel.gradient, z, t)
    if slopes.isnan().any():
        row = int(slopes.isnan().any(-1).nonzero()[0, 0])
        _refuse(name, f"has the gradient NaN at logits {_told(z[row])} and targets {_told(t[row])}")


def _batches(values: Tensor) -> tuple[Tensor, Tensor]:
    """Divide examples into two batches of different sizes that begin with the same ones."""
    return values[:FIRST], torch.cat([values[:SHARED], values[FIRST:]])


def _extreme(logits: Tensor) -> Tensor:
    """Let the second batch alone have a largest and a least number, so that it shows these read."""
    sizes = torch.full((SECOND - SHARED, 1), 0.01).to(logits)
    sizes[0] = 5
    return torch.cat([logits[:FIRST], logits[FIRST:].sign() * sizes])


def _called(name: str, function: Callable[..., Tensor], *values: Tensor) -> Tensor:
    try:
        found = function(*values)
    except InputError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        shapes = " and ".join(str(tuple(own.shape)) for own in values)
        raise InputError(
            f"{name} fails on numbers of shape {shapes}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, Tensor):
        _refuse(name, f"returns a {type(found).__name__}; return a tensor")
    return found


def _check_shape(name: str, found: Tensor, logits: Tensor) -> None:
    batch, outputs = logits.shape
    if found.shape == (batch,):
        return
    if found.numel() == 1:
        wrong = "returns one number for the whole batch; return the cost of each example, "
        wrong += "without .mean() or .sum() over them: .sum(-1) is over the outputs"
    elif found.shape == (batch, outputs):
        wrong = f"returns a number for each output, shape {tuple(found.shape)}; return one for "
        wrong += "each example: .sum(-1) is over the outputs"
    else:
        wrong = f"returns shape {tuple(found.shape)} for logits of shape {tuple(logits.shape)}; "
        wrong += "return one cost for each example, summed over the last axis"
    _refuse(name, wrong)


def _check_apart(name: str, found: Tensor, other: Tensor) -> None:
    """Refuse values of shared examples that differ between batches."""
    far = _far(found[:SHARED], other[:SHARED])
    if far.any():
        one, two = found[:SHARED][far][0].item(), other[:SHARED][far][0].item()
        _refuse(
            name,
            f"couples examples: with others in the batch it is {one:.4g} of an example, "
            f"and {two:.4g} with these left out; compute each from its own numbers alone, "
            "without a mean, a maximum or a count over the batch",
        )


def _check_range(head: Head, found: Tensor) -> None:
    entries = head.range.entries
    if not isinstance(entries, Interval):
        return
    outside = (found < entries.low) | (found > entries.high)
    name = f"head={head.name}"
    if outside.any():
        _refuse(
            name,
            f"gives {found[outside][0].item():.4g}, but declares {entries.describe('predictions')} "
            f"as its range; declare the range that it has",
        )
    sums = found.sum(-1)
    if head.range.least_outputs > 1 and _far(sums, torch.ones_like(sums)).any():
        _refuse(
            name,
            f"gives predictions that sum to {sums[(sums - 1).abs().argmax()].item():.4g}, "
            f"but declares {head.range} as its range; declare the range that it has",
        )


def _check_potential(head: Head, z: Tensor, predictions: Tensor) -> None:
    """Refuse a potential whose gradient is another than the prediction."""
    name = f"the potential of head={head.name}"
    with torch.enable_grad():
        area = _called(name, head.potential, z)
        if area.shape != z.shape[:-1]:
            _refuse(
                name,
                f"has shape {tuple(area.shape)} for logits of shape {tuple(z.shape)}; "
                "sum it over the last axis alone",
            )
        rise = torch.autograd.grad(area.sum(), z)[0]
    _check_equal(f"the gradient of {name}", rise, predictions, "the prediction y_k")


def _check_equal(name: str, found: Tensor, expected: Tensor, what: str) -> None:
    if found.shape != expected.shape:
        _refuse(
            name, f"has shape {tuple(found.shape)}, and must have {tuple(expected.shape)}: {what}"
        )
    far = _far(found, expected)
    if far.any():
        one, two = found[far][0].item(), expected[far][0].item()
        _refuse(name, f"is {one:.4g} where {what} is {two:.4g}; they must be equal")


def _far(found: Tensor, expected: Tensor) -> Tensor:
    """Tell which numbers are not the same; equal infinities are."""
    return (found != expected) & ~((found - expected).abs() <= CLOSE * (1 + expected.abs()))


def _refuse_undifferentiable(name: str) -> NoReturn:
    _refuse(
        name,
        "does not depend on the logits in a way that torch can differentiate; compute it by "
        "operations of torch, without .detach(), .item(), numpy or a threshold",
    )


def _refuse(name: str, wrong: str) -> NoReturn:
    raise InputError(f"{name} {wrong}.")


def _told(values: Tensor) -> str:
    """Write numbers for a sentence."""
    shown = ", ".join(f"{one:.3g}" for one in values.tolist()[:4])
    return f"({shown}{', …' if len(values) > 4 else ''})"
