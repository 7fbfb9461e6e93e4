"""Memory layout of a program: parameters of all lanes in one flat tensor, and values of all lanes.

A lane is a run's place on the run axis of a program. Inputs, logits and targets have the shape
(L, B, …). In memory, networks of a few weights have them as (…, B, L), so that their operations
are long; all others have the lanes first.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isfinite

import torch
from torch import Tensor, nn

from mlr.probes.layer_hooks import tag_name


def distinct(items: Sequence[Hashable]) -> tuple[list[int], list[int]]:
    """Find the position of each distinct item, and for each item the number of its value."""
    first: dict[Hashable, int] = {}
    for position, item in enumerate(items):
        first.setdefault(item, position)
    number = {item: index for index, item in enumerate(first)}
    return list(first.values()), [number[item] for item in items]


class Spread:
    """Expansion of the values of G groups to L lanes, each lane in one group.

    It costs nothing for one group, or if each lane is its own group.
    """

    def __init__(self, group_of_lane: Sequence[int], device: torch.device) -> None:
        self.lanes = len(group_of_lane)
        self.groups = max(group_of_lane) + 1
        self.identity = list(group_of_lane) == list(range(self.lanes))
        self.index = torch.tensor(group_of_lane, device=device)

    def lanes_first(self, values: Tensor) -> Tensor:
        """Expand values (G, B, …) → (L, B, …)."""
        if self.groups == 1:
            return values.expand(self.lanes, *values.shape[1:])
        return values if self.identity else values.index_select(0, self.index)

    def lanes_last(self, values: Tensor) -> Tensor:
        """Expand values (D, B, G) → (D, B, L), lanes last in memory."""
        if self.groups == 1:
            return values.expand(*values.shape[:2], self.lanes)
        if self.identity:
            return values
        # index_select takes ten times as long along the last axis
        return values.gather(2, self.index.expand(*values.shape[:2], self.lanes))


def classes_first(values: Tensor) -> Tensor:
    """Copy (L, B, K) with the batch last in memory, for fast sums over few classes."""
    return values.mT.contiguous().mT


@dataclass(frozen=True)
class Layout:
    """Position of each named parameter in a flat row of P numbers.

    One flat row makes an optimizer a handful of operations whatever the network, and a
    layer's gradient norm one operation.
    """

    shapes: Mapping[str, torch.Size]
    columns: Mapping[str, slice]
    size: int
    turned: Collection[str] = ()
    """names of matrices that are stored transposed"""

    @classmethod
    def of(cls, module: nn.Module, turned: Collection[str] = (), align: int = 1) -> Layout:
        """Lay out the trained ones of `module.named_parameters()` in their order.

        Frozen parameters, which need no gradient, have no place: no optimizer sees them.
        Parameters, and rows of those in `turned`, are padded with zeros to multiples of `align`.
        """
        shapes, columns, size = {}, {}, 0
        for name, parameter in module.named_parameters():
            if not parameter.requires_grad:
                continue
            shapes[name], count = parameter.shape, parameter.numel()
            row = parameter.shape[0] if name in turned else count
            start, size = size, size + count // max(1, row) * (row + -row % align)
            columns[name] = slice(start, size)
        return cls(shapes, columns, size, turned)

    def views(self, flat: Tensor) -> dict[str, Tensor]:
        """Return views (L, *shape) into `flat` (L, P), by name."""
        views = {}
        for name, stored in self.stored(flat).items():
            shape = self.shapes[name]
            if name in self.turned:
                views[name] = stored[..., : shape[0]].mT
            else:
                views[name] = stored[:, : shape.numel()].view(len(flat), *shape)
        return views

    def stored(self, flat: Tensor) -> dict[str, Tensor]:
        """Return the padded parameters in `flat`: turned ones (L, in, out), others (L, numel)."""
        views = {name: flat[:, columns] for name, columns in self.columns.items()}
        for name in self.turned:
            views[name] = views[name].view(len(flat), self.shapes[name][1], -1)
        return views

    def layers(self) -> dict[str, slice]:
        """Return the columns of each layer: a module's own weight and bias together, in order."""
        layers = {}
        for layer, members in groupby(self.columns, key=lambda name: name.rpartition(".")[0]):
            own = [self.columns[name] for name in members]
            layers[tag_name(layer)] = slice(own[0].start, own[-1].stop)
        return layers

    def stack(self, parameters: Sequence[Mapping[str, Tensor]]) -> Tensor:
        """Copy the named parameters of L modules of this layout to a new flat (L, P) tensor."""
        first = next(iter(parameters[0].values()))
        flat = first.detach().new_zeros(len(parameters), self.size)
        for name, view in self.views(flat).items():
            view.copy_(torch.stack([own[name] for own in parameters]).detach())
        return flat


class FlatParameters:
    """Norms and products of flat (L, P) tensors by layer: `mlr.probes.layers.Parameters`."""

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
