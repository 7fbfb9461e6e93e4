"""Flat storage of all parameters of all lanes, with views by name and statistics by layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layout:
    """Position of each named parameter in a flat row of P numbers.

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
    """start and end of each parameter and of each row of a turned matrix are multiples of it"""

    @classmethod
    def of(cls, module: nn.Module, turned: Collection[str] = (), align: int = 1) -> Layout:
        """Lay out `module.named_parameters()` in their order.

        Args:
            module: any of the program's modules.
            turned: names of matrices to store transposed.
            align: parameters, and rows of turned ones, are padded with zeros to multiples of
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
        """Return views (L, *shape) into `flat` (L, P), by name."""
        views = {}
        for name, stored in self.stored(flat).items():
            shape = self.shapes[self.names.index(name)]
            if name in self.turned:
                views[name] = stored[..., : shape[0]].mT
            else:
                views[name] = stored[:, : shape.numel()].view(len(flat), *shape)
        return views

    def stored(self, flat: Tensor) -> dict[str, Tensor]:
        """Return the padded parameters in `flat`: turned ones (L, in, out), others (L, numel)."""
        views = {}
        ends = (*self.starts[1:], self.size)
        for name, shape, start, end in zip(self.names, self.shapes, self.starts, ends, strict=True):
            columns = flat[:, start:end]
            rows = shape[1] if name in self.turned else 0
            views[name] = columns.view(len(flat), rows, -1) if rows else columns
        return views

    def layers(self) -> dict[str, slice]:
        """Return the columns of each layer: a module's own weight and bias together, in order."""
        ends = (*self.starts[1:], self.size)
        spans = zip(self.names, self.starts, ends, strict=True)
        slices = {}
        for layer, members in groupby(spans, key=lambda span: span[0].rpartition(".")[0]):
            columns = list(members)
            slices[layer.replace(".", "/") or "parameters"] = slice(columns[0][1], columns[-1][2])
        return slices

    def stack(self, modules: Sequence[nn.Module]) -> Tensor:
        """Copy the parameters of L modules of this layout to a new flat (L, P) tensor."""
        columns = list(zip(*(module.parameters() for module in modules), strict=True))
        flat = columns[0][0].new_zeros(len(modules), self.size)
        for view, values in zip(self.views(flat).values(), columns, strict=True):
            view.copy_(torch.stack([value.detach() for value in values]))
        return flat


class FlatParameters:
    """Norms and products of flat (L, P) tensors by layer: `mlr.probes.layers.Parameters`.

    Args:
        layers: columns of each layer.
    """

    def __init__(self, layers: Mapping[str, slice]) -> None:
        self.layers = dict(layers)

    def norms(self, values: Tensor) -> Tensor:
        """‖v‖₂ of each layer (L, N)."""
        norms = [row_norms(values[:, span]) for span in self.layers.values()]
        return norms[0] if len(norms) == 1 else torch.cat(norms, dim=1)

    def nonfinite(self, values: Tensor, norms: Tensor) -> Tensor:
        """Count the non-finite entries of each layer (L, N)."""
        # one number is looked at where that needs no wait for a device
        if norms.is_cpu and isfinite(norms.sum().item()):
            return torch.zeros_like(norms)
        counts = [
            (~values[:, span].isfinite()).sum(1).to(norms.dtype) for span in self.layers.values()
        ]
        return torch.stack(counts, dim=1)

    def cosine(self, values: Tensor, others: Tensor, norms: Tensor) -> Tensor:
        """⟨v, w⟩ / ‖v‖‖w‖ (L,) of the rows of tensors with one memory layout."""
        sizes = row_norms(values) * row_norms(others)
        return (values * others).sum(1) / sizes[:, 0]

    def copy(self, values: Tensor, into: Tensor | None) -> Tensor:
        """Copy values, with their memory layout."""
        return values.clone() if into is None else into.copy_(values)

    def subtract(self, values: Tensor, others: Tensor) -> Tensor:
        """v − w, in place."""
        return values.sub_(others)


def row_norms(rows: Tensor) -> Tensor:
    """‖v‖₂ (L, 1) of each row (L, P)."""
    if rows.stride(1) == 1:
        return torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # lanes last: torch's norm goes through memory by rows all the same
    return rows.square().sum(1, keepdim=True).sqrt_()
