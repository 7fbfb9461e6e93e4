"""Plan of a module: in how many parts a batch is computed, and in which memory layout.

A part is computed on one thread. The number of parts does not depend on that of threads, so
results do not either. A module that cannot be divided is computed whole, on one thread.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext, suppress
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mlr.training.drawing import OwnDraws
from mlr.training.experiment import Experiment
from mlr.training.memory import activations

WORTH = 1 << 18
"""Numbers in all layers for a batch from which on threads gain more than they wait for Python."""
PART = 1 << 20
"""Numbers in all layers for a part: with half as many, a CNN takes a tenth longer, with a quarter
a half, because a convolution prepares itself at every call."""
MOST_PARTS = 8
"""Each part makes gradients of all parameters."""
TRIED = 8


class ModulePlan(NamedTuple):
    """Way to compute a module, which is a property of its run.

    parts: parts of a batch.
    draws: whether it may draw random numbers of torch.
    apart: whether it can be computed on several threads at once.
    channels_last: whether images lie in memory by pixels, as convolutions on the CPU have them.
    """

    parts: int = 1
    draws: bool = True
    apart: bool = False
    channels_last: bool = False


def plan_of(run: Experiment) -> ModulePlan:
    """Try a copy of the run's module on a few training examples.

    It is not tried on other devices than the CPU, or where a batch is soon computed.
    """
    numbers = run.batch_size * activations(copy.deepcopy(run.module), run.data)
    if torch.device(run.device).type != "cpu" or numbers < WORTH:
        return ModulePlan()
    # a module that cannot do this fails with its own message when it is trained
    with suppress(Exception), torch.random.fork_rng([]), torch.inference_mode(False):
        return _tried(run, numbers)
    return ModulePlan()


def _tried(run: Experiment, numbers: int) -> ModulePlan:
    dtype = getattr(torch, run.dtype)
    module = copy.deepcopy(run.module).to(dtype).train()
    torch.default_generator.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():  # of zeros nothing would be seen
            parameter.add_(0.02 * torch.randn_like(parameter))
    x = run.data.train.features[:TRIED].to(dtype)
    half = len(x) // 2
    buffers = _versions(module)
    found, draws, steady = _derivatives(module, x, own=False)
    apart = not draws or _equal(found, _derivatives(module, x, own=True)[0])
    # other examples in the second half: those in the first half must not see them
    (other, *_), *_ = _derivatives(module, torch.cat([x[:half], x[half:].flip(0)]), own=False)
    seen = not torch.equal(found[0][half:], other[half:])
    divisible = apart and seen and torch.equal(found[0][:half], other[:half])
    module.eval()
    with torch.no_grad():
        whole = module(x)
        divisible = divisible and _close(module(x[:half]), whole[:half])
        flat = run.dtype != "float32" or x.dim() != 4 or not _convolves(module)
        by_pixels = not flat and _by_pixels(module, x, whole)
    steady = steady and _versions(module) == buffers
    return ModulePlan(
        parts=_parts(run.batch_size, numbers) if divisible and steady else 1,
        draws=draws,
        apart=apart,  # buffers are each run's own
        channels_last=by_pixels,
    )


def _parts(batch: int, numbers: int) -> int:
    """Count the parts of a batch: a power of 2."""
    most = max(1, min(MOST_PARTS, batch, numbers // PART))
    return 1 << (most.bit_length() - 1)


def _derivatives(module: nn.Module, x: Tensor, own: bool) -> tuple[list[Tensor], bool, bool]:
    """Compute logits and gradients, drawing by torch's generator or by `OwnDraws`.

    Of a copy, so that what a module remembers of a call is not there at the next. Tells if it has
    drawn by torch's generator, and if its buffers are unchanged.
    """
    module = copy.deepcopy(module)
    buffers = _versions(module)
    torch.default_generator.manual_seed(int(own))  # of no use to own draws
    before = torch.get_rng_state()
    with torch.enable_grad():
        with OwnDraws(0) if own else nullcontext():
            logits = module(x)
        found = torch.autograd.grad(
            logits.square().sum(),
            [parameter for parameter in module.parameters() if parameter.requires_grad],
            allow_unused=True,
        )
    steady = _versions(module) == buffers
    drawn = not torch.equal(torch.get_rng_state(), before)
    return [logits.detach(), *(one for one in found if one is not None)], drawn, steady


def _versions(module: nn.Module) -> list[tuple[int, int]]:
    return [(id(buffer), buffer._version) for buffer in module.buffers()]


def _equal(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(torch.equal(*pair) for pair in zip(left, right, strict=True))


def _close(left: Tensor, right: Tensor) -> bool:
    return torch.allclose(left, right, rtol=1e-3, atol=1e-3 * right.abs().max().item())


def _convolves(module: nn.Module) -> bool:
    return any(isinstance(part, nn.Conv2d) for part in module.modules())


def _by_pixels(module: nn.Module, x: Tensor, logits: Tensor) -> bool:
    """Tell if a module takes images by pixels: one that calls `view` may not."""
    with suppress(RuntimeError):
        return _close(module(x.to(memory_format=torch.channels_last)), logits)
    return False
