"""Random numbers that a module draws, of one's own on every thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

NOTHING: Mapping[str, Any] = {}
_GENERATOR = Lock()
"""Held while torch's only generator of the CPU has the state of one thread."""


class OwnDraws(TorchDispatchMode):
    """Context in which this thread draws on the CPU as after `torch.manual_seed(seed)`.

    Torch has one generator for all threads; here each operation that draws finds it in the state
    in which the one before it, in the same context, has left it.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.state = torch.Generator().manual_seed(seed).get_state()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave out a guard for torch.compile: to make it, torch imports sympy, in 0.3 s."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call an operation, if it draws with the state of this context."""
        call: Callable[..., Any] = func
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return call(*args, **(kwargs or NOTHING))
        with _GENERATOR:
            torch.default_generator.set_state(self.state)
            try:
                return call(*args, **(kwargs or NOTHING))
            finally:
                self.state = torch.default_generator.get_state()
