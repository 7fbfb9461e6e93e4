"""Evidence on sequences: shapes that layers get which read steps along their first axis."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

KINDS = (nn.RNNBase, nn.MultiheadAttention)


class StepsFirst:
    """Shapes of the inputs (steps, examples, …) of layers without batch_first, until they are read.

    Attributes:
        shapes: steps and examples of the last call of each layer, by its place in the model.
        mixed: steps and examples of a layer whose input was made of (examples, steps, …) by view.
    """

    def __init__(self, model: nn.Module, listen: bool) -> None:
        self.shapes: dict[int, list[int]] = {}
        self.mixed: list[int] = []
        self._handles = [
            part.register_forward_pre_hook(_ShapeHook(self, place))
            for place, part in enumerate(model.modules())
            if listen and isinstance(part, KINDS) and not part.batch_first
        ]

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles = []


class _ShapeHook:
    def __init__(self, owner: StepsFirst, place: int) -> None:
        self._owner, self._place = owner, place

    def __call__(self, module: nn.Module, arguments: Any) -> None:
        first = arguments[0] if arguments else None
        if isinstance(first, torch.Tensor) and first.dim() == 3:
            self._owner.shapes[self._place] = list(first.shape[:2])
            if _is_mixed(first):
                self._owner.mixed = list(first.shape[:2])

    def __reduce__(self) -> tuple[Any, ...]:
        # a copy of the model takes no probe with it: {}.get(module, arguments) changes nothing
        return getattr, ({}, "get")


def _is_mixed(steps_first: torch.Tensor) -> bool:
    """Tell if (steps, examples, …) are the numbers of (examples, steps, …) in the same order."""
    base, (steps, examples, *_) = steps_first._base, steps_first.shape
    swapped = torch.Size((examples, steps, *steps_first.shape[2:]))
    in_order = steps_first.is_contiguous() and min(steps, examples) > 1 and steps != examples
    return base is not None and in_order and base.shape == swapped and base.is_contiguous()
