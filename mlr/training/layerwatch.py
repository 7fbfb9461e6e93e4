"""What is seen of layers while they are differentiated: sizes, for the tensors are too large."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mlr.probes import Subject
from mlr.probes.base import below, square_lengths


class LayerWatch:
    """Sizes of what flows through the layers of some lanes, filled while they are differentiated.

    Args:
        due: which families read them.
        subject: names the layers.
        threshold: slopes of activations below it are flat.
    """

    def __init__(self, due: frozenset[str], subject: Subject, threshold: float) -> None:
        self.sees_samples, self.sees_units = "sample_gradient" in due, "units" in due
        self.subject, self.threshold = subject, threshold
        self.squares: dict[str, Tensor] = {}
        self.dead: dict[str, Tensor] = {}
        self.flat: dict[str, Tensor] = {}

    def dense(self, name: str, inputs: Tensor, deltas: Tensor, bias: bool) -> None:
        """A dense layer's a (L, B, in), and δ (L, B, out) of each example's own loss."""
        if self.sees_samples:
            # as `taps.sample_square_norms`, with lanes
            self.squares[name] = square_lengths(inputs).add_(bias).mul_(square_lengths(deltas))

    def hidden(self, name: str, outputs: Tensor, slopes: Callable[[], Tensor]) -> None:
        """Activations a (L, B, …), and what computes φ'(z) of them, of the same shape."""
        if self.sees_units:
            largest = outputs.abs().amax(1).flatten(1)
            self.dead[name] = torch.eq(largest, 0, out=torch.empty_like(largest)).mean(-1)
            self.flat[name] = below(slopes().abs(), self.threshold).flatten(1).mean(-1)

    def values(self, like: Tensor) -> dict[str, Tensor]:
        """As `NetworkValues` wants them; NaN of a layer that was not seen.

        Args:
            like: dL/dz (L, B, K).
        """
        lanes, batch = like.shape[:2]
        found = {}
        if self.sees_samples and self.subject.dense:
            nothing = like.new_full((lanes, batch), torch.nan)
            rows = [self.squares.get(name, nothing) for name in self.subject.dense]
            found["sample_squares"] = torch.stack(rows, dim=1)
        if self.sees_units and self.subject.hidden:
            nothing = like.new_full((lanes,), torch.nan)
            for name, shares in (("dead", self.dead), ("flat", self.flat)):
                rows = [shares.get(layer, nothing) for layer in self.subject.hidden]
                found[name] = torch.stack(rows, dim=1)
        return found


def joined(values: Sequence[tuple[slice, dict[str, Tensor]]], lanes: int) -> dict[str, Tensor]:
    """The values of all lanes, of parts that hold some each."""
    if len(values) == 1:
        return values[0][1]
    found = {}
    for name, first in values[0][1].items():
        found[name] = first.new_empty(lanes, *first.shape[1:])
        for rows, own in values:
            found[name][rows] = own[name]
    return found
