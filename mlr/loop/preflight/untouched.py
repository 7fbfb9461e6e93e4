"""Restoration of a program after a look: modules, gradients, random states."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Restore = Callable[[], object]
TABLES = ("_parameters", "_buffers", "_modules")
"""Entries of a module's `__dict__` that name its tensors and parts."""


@contextmanager
def untouched(*parts: Any) -> Iterator[Restore]:
    """Restore modules, their gradients and all random states afterwards.

    Args:
        parts: modules and generators; other parts are left out.

    Yields:
        A function that sets the random states back, so that a call draws the same numbers again.
    """
    modules = [each for part in parts if isinstance(part, nn.Module) for each in part.modules()]
    attributes = [_attributes(each) for each in modules]
    tensors = [_tensor(one) for one in _tensors(modules)]
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices=devices):
        held = [value for each in modules for value in each.__dict__.values()]
        rewind = _random_states([*held, *parts])
        try:
            yield rewind
        finally:
            for restore in (*attributes, *tensors, rewind):
                restore()
            torch.clear_autocast_cache()  # of casts whose graph is freed


def _attributes(module: nn.Module) -> Restore:
    """Remember what each attribute of a module is: its mode, counters, and names of tensors."""
    names = dict(module.__dict__)
    tables = {name: dict(names[name]) for name in TABLES}

    def restore() -> None:
        _refill(module.__dict__, names)
        for name, table in tables.items():
            _refill(module.__dict__[name], table)

    return restore


def _refill(table: dict[str, Any], entries: Mapping[str, Any]) -> None:
    if table.keys() != entries.keys() or any(table[key] is not entries[key] for key in entries):
        table.clear()
        table.update(entries)


def _tensors(modules: list[nn.Module]) -> list[Tensor]:
    found: dict[int, Tensor] = {}
    for module in modules:
        own = module.__dict__
        for value in (*own["_parameters"].values(), *own["_buffers"].values(), *own.values()):
            if isinstance(value, Tensor):
                found[id(value)] = value
    return list(found.values())


@torch.no_grad()
def _tensor(own: Tensor) -> Restore:
    """Copy a tensor, to write it back if it was written to, and take its gradient away."""
    values = own.detach().clone()
    gradient = own.grad if own.is_leaf else None
    if gradient is not None:
        own.grad = None  # so that nothing is added to it

    @torch.no_grad()
    def restore() -> None:
        _write_back(own, values)
        if own.is_leaf and own.grad is not gradient:
            own.grad = gradient

    return restore


def _write_back(own: Tensor, values: Tensor) -> None:
    # versions do not tell: batch normalisation writes its statistics without counting
    if own.is_sparse or not torch.equal(own, values):
        own.copy_(values)


def _random_states(values: list[Any]) -> Restore:
    """Remember the states of all global generators, and of those among some values."""
    python, numpy = random.getstate(), np.random.get_state()
    cpu = torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    held: list[Restore] = []
    for value in values:
        if isinstance(value, torch.Generator):
            held.append(_setter(value.set_state, value.get_state()))
        elif isinstance(value, random.Random):
            held.append(_setter(value.setstate, value.getstate()))
        elif isinstance(value, np.random.Generator):
            held.append(_of_numpy(value.bit_generator, value.bit_generator.state))

    def rewind() -> None:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        for restore in held:
            restore()

    return rewind


def _setter(put: Callable[[Any], object], state: Any) -> Restore:
    return lambda: put(state)


def _of_numpy(generator: Any, state: Any) -> Restore:
    return lambda: setattr(generator, "state", state)
