"""What is seen of layers while they are differentiated: sizes, for the tensors are too large."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mlr.probes.base import below
from mlr.probes.network import sample_square_norms


class LayerWatch:
    """Sizes of what flows through the layers of some lanes, filled while they are differentiated.

    Args:
        due: which families read them.
        threshold: slopes of activations below it are flat.
    """

    def __init__(self, due: frozenset[str], threshold: float) -> None:
        self.sees_samples, self.sees_units = "sample_gradient" in due, "units" in due
        self.threshold = threshold
        self.squares: dict[str, Tensor] = {}
        self.dead: dict[str, Tensor] = {}
        self.flat: dict[str, Tensor] = {}

    def dense(self, name: str, inputs: Tensor, deltas: Tensor, bias: bool) -> None:
        """A dense layer's a (L, B, in), and δ (L, B, out) of each example's own loss."""
        if self.sees_samples:
            self.squares[name] = sample_square_norms(inputs, deltas, bias)

    def hidden(self, name: str, outputs: Tensor, slopes: Callable[[], Tensor]) -> None:
        """Activations a (L, B, …), and what computes φ'(z) of them, of the same shape."""
        if self.sees_units:
            silent = outputs.abs().amax(1).flatten(1)
            self.dead[name] = torch.eq(silent, 0, out=torch.empty_like(silent)).mean(-1)
            self.flat[name] = below(slopes().abs(), self.threshold).flatten(1).mean(-1)

    def values(self) -> dict[str, Tensor]:
        """As `NetworkValues` wants them, layers in the order of the forward pass."""
        found = {}
        if self.squares:
            found["sample_squares"] = torch.stack(list(self.squares.values())[::-1], dim=1)
        for name, shares in (("dead", self.dead), ("flat", self.flat)):
            if shares:
                found[name] = torch.stack(list(shares.values())[::-1], dim=1)
        return found


def joined(parts: Sequence[tuple[slice, LayerWatch]], lanes: int) -> dict[str, Tensor]:
    """The values of all lanes, of parts that hold some each."""
    values = [(rows, watch.values()) for rows, watch in parts]
    if len(values) == 1:
        return values[0][1]
    found = {}
    for name, first in values[0][1].items():
        found[name] = first.new_empty(lanes, *first.shape[1:])
        for rows, own in values:
            found[name][rows] = own[name]
    return found
