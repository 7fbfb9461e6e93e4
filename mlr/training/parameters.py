"""All parameters of all runs in one flat buffer, and the views that networks compute with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layout:
    """Where each named parameter lies in a flat row of P numbers.

    One flat row makes an optimizer a handful of operations whatever the network, and a
    layer's gradient norm one operation.
    """

    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    starts: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, module: nn.Module) -> Layout:
        """The layout of `module.named_parameters()`, in their order."""
        names, shapes, starts, size = [], [], [], 0
        for name, parameter in module.named_parameters():
            names.append(name)
            shapes.append(parameter.shape)
            starts.append(size)
            size += parameter.numel()
        return cls(tuple(names), tuple(shapes), tuple(starts), size)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Views (R, *shape) into `flat` (R, P), by name."""
        return {
            name: flat[:, start : start + shape.numel()].view(len(flat), *shape)
            for name, shape, start in zip(self.names, self.shapes, self.starts, strict=True)
        }

    def layers(self) -> dict[str, slice]:
        """Columns of each layer: a module's own weight and bias together, in order."""
        ends = (*self.starts[1:], self.size)
        spans = zip(self.names, self.starts, ends, strict=True)
        slices = {}
        for layer, members in groupby(spans, key=lambda span: span[0].rpartition(".")[0]):
            columns = list(members)
            slices[layer.replace(".", "/") or "parameters"] = slice(columns[0][1], columns[-1][2])
        return slices


def stack_parameters(modules: Sequence[nn.Module]) -> Tensor:
    """The parameters of R modules of one kind as a new flat (R, P) tensor."""
    rows = [
        torch.cat([parameter.detach().reshape(-1) for parameter in module.parameters()])
        for module in modules
    ]
    return torch.stack(rows)


def layer_norms(gradients: Tensor, layers: dict[str, slice]) -> Tensor:
    """‖g‖₂ of every layer (R, L) of flat gradients (R, P)."""
    return torch.stack(
        [torch.linalg.vector_norm(gradients[:, span], dim=1) for span in layers.values()], dim=1
    )
