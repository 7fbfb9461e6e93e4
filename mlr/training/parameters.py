"""All parameters of all lanes in one flat buffer, and the views that networks compute with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
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
    turned: frozenset[str] = frozenset()
    """names of matrices that are stored transposed"""
    align: int = 1
    """what begins or ends a row of a turned matrix, or any parameter, is a multiple of this"""

    @classmethod
    def of(cls, module: nn.Module, turned: Collection[str] = (), align: int = 1) -> Layout:
        """The layout of `module.named_parameters()`, in their order.

        Args:
            module: any of the program's modules.
            turned: names of matrices to store transposed.
            align: parameters, and rows of turned ones, are filled up with zeros to multiples of
                this many numbers.
        """
        names, shapes, starts, size = [], [], [], 0
        for name, parameter in module.named_parameters():
            names.append(name)
            shapes.append(parameter.shape)
            starts.append(size)
            row = parameter.shape[0] if name in turned else parameter.numel()
            size += parameter.numel() // max(1, row) * (row + -row % align)
        return cls(tuple(names), tuple(shapes), tuple(starts), size, frozenset(turned), align)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Views (L, *shape) into `flat` (L, P), by name."""
        views = {}
        for name, stored in self.stored(flat).items():
            shape = self.shapes[self.names.index(name)]
            if name in self.turned:
                views[name] = stored[..., : shape[0]].mT
            else:
                views[name] = stored[:, : shape.numel()].view(len(flat), *shape)
        return views

    def stored(self, flat: Tensor) -> dict[str, Tensor]:
        """As they lie in `flat`, filled up: turned ones (L, in, out), others (L, numel)."""
        views = {}
        ends = (*self.starts[1:], self.size)
        for name, shape, start, end in zip(self.names, self.shapes, self.starts, ends, strict=True):
            columns = flat[:, start:end]
            rows = shape[1] if name in self.turned else 0
            views[name] = columns.view(len(flat), rows, -1) if rows else columns
        return views

    def layers(self) -> dict[str, slice]:
        """Columns of each layer: a module's own weight and bias together, in order."""
        ends = (*self.starts[1:], self.size)
        spans = zip(self.names, self.starts, ends, strict=True)
        slices = {}
        for layer, members in groupby(spans, key=lambda span: span[0].rpartition(".")[0]):
            columns = list(members)
            slices[layer.replace(".", "/") or "parameters"] = slice(columns[0][1], columns[-1][2])
        return slices

    def stack(self, modules: Sequence[nn.Module]) -> Tensor:
        """The parameters of L modules of this layout as a new flat (L, P) tensor."""
        columns = list(zip(*(module.parameters() for module in modules), strict=True))
        flat = columns[0][0].new_zeros(len(modules), self.size)
        for view, values in zip(self.views(flat).values(), columns, strict=True):
            view.copy_(torch.stack([value.detach() for value in values]))
        return flat


def layer_norms(values: Tensor, layers: Mapping[str, slice]) -> Tensor:
    """‖v‖₂ of every layer (L, layers) of flat parameters or gradients (L, P)."""
    norms = [row_norms(values[:, span]) for span in layers.values()]
    return norms[0] if len(norms) == 1 else torch.cat(norms, dim=1)


def row_norms(rows: Tensor) -> Tensor:
    """‖v‖₂ (L, 1) of each row (L, P)."""
    if rows.stride(1) == 1:
        return torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # lanes last: torch's norm goes through memory by rows all the same
    return rows.square().sum(1, keepdim=True).sqrt_()


def dots(a: Tensor, b: Tensor) -> Tensor:
    """⟨a, b⟩ (L,) of the rows of two (L, P) that lie alike in memory."""
    return (a * b).sum(1)
