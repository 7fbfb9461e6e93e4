"""Layer statistics of a scheduled step: the one place that fills `StepValues.network`.

`ParameterStatistics` reads gradients, weights and updates, `UnitStatistics` the layers while
they are differentiated. Training and `GradientProbe` store parameters differently, as one
flat tensor and as a list; each brings its own `Parameters`.
"""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from mlr.probes.base import Subject, below, square_lengths
from mlr.probes.families import fields_read

OF_LAYERS = frozenset({"sample_squares", "dead", "flat"})
"""Fields that are read from the layers while they are differentiated."""

V = TypeVar("V")


class Parameters(Protocol[V]):
    """Operations on values V that have the shape of all parameters.

    Norms and counts are by layer (…, N), or by finer parts that are summed to layers later.
    """

    def norms(self, values: V) -> Tensor:
        """‖v‖₂ of each layer (…, N)."""

    def nonfinite(self, values: V, norms: Tensor) -> Tensor:
        """Count the non-finite entries of each layer (…, N), given the `norms` of the values."""

    def cosine(self, values: V, others: V, norms: Tensor) -> Tensor:
        """⟨v, w⟩ / ‖v‖‖w‖ (…) over all parameters, given the `norms` of the values."""

    def copy(self, values: V, into: V | None) -> V:
        """Copy values, into the memory of an earlier copy if there is one."""

    def subtract(self, values: V, others: V) -> V:
        """v − w, which may overwrite v."""


class ParameterStatistics(Generic[V]):
    """Statistics of gradients, weights and updates by layer."""

    def __init__(self, parameters: Parameters[V]) -> None:
        self.parameters = parameters
        self.previous: V | None = None
        self.weights: V | None = None
        self._norms: Tensor | None = None
        self._spare: V | None = None

    def of_gradients(self, gradients: V, due: frozenset[str]) -> dict[str, Tensor]:
        """Compute what the due families read of gradients, before these are clipped."""
        fields, found = fields_read(due), {}
        if not fields & {"gradient_norms", "nonfinite", "cosine"}:
            return {}
        norms = self.parameters.norms(gradients)
        if "gradient_norms" in fields:
            found["gradient_norms"] = norms
        if "nonfinite" in fields:
            found["nonfinite"] = self.parameters.nonfinite(gradients, norms)
        if "cosine" in fields:
            if self.previous is None:  # at the first step
                found["cosine"] = norms.new_full(norms.shape[:-1], torch.nan)
            else:
                found["cosine"] = self.parameters.cosine(gradients, self.previous, norms)
        return found

    def remember(self, gradients: V, next_due: frozenset[str]) -> None:
        """Copy the gradients of a step if the next step compares its own."""
        if "cosine" not in fields_read(next_due):
            self.previous = None
        else:
            self.previous = self.parameters.copy(gradients, self.previous)

    def before_update(self, weights: V, due: frozenset[str]) -> None:
        """Copy the weights, if their change is due."""
        if "update_norms" in fields_read(due) and self.weights is None:
            self.weights = self._spare = self.parameters.copy(weights, self._spare)
            self._norms = self.parameters.norms(weights)

    def after_update(self, weights: V, last: bool = True) -> dict[str, Tensor]:
        """Norms of the weights before the update, and of their change; empty if not due.

        Unless it is the `last` optimizer's update, the change is measured again later.
        """
        if self.weights is None or self._norms is None:
            return {}
        before = self.weights if last else self.parameters.copy(self.weights, None)
        change = self.parameters.subtract(before, weights)
        found = {"weight_norms": self._norms, "update_norms": self.parameters.norms(change)}
        if last:
            self.forget_weights()
        return found

    def forget_weights(self) -> None:
        """Drop the copy of the weights; its memory is reused."""
        self.weights = self._norms = None


class UnitStatistics:
    """Sample gradients and unit activity, filled layer by layer during differentiation."""

    def __init__(self, due: frozenset[str], subject: Subject, threshold: float) -> None:
        fields = fields_read(due)
        self.reads_samples = "sample_squares" in fields and bool(subject.dense)
        self.reads_units = bool(fields & {"dead", "flat"}) and bool(subject.hidden)
        self.subject, self.threshold = subject, threshold
        self.squares: dict[str, Tensor] = {}
        self.dead: dict[str, Tensor] = {}
        self.flat: dict[str, Tensor] = {}

    def dense(self, name: str, inputs: Tensor, deltas: Tensor, bias: bool) -> None:
        """Record a dense layer's a (L, B, in) and δ (L, B, out) of each example's own loss."""
        if self.reads_samples:
            # as `sample_square_norms`, over the run axis
            self.squares[name] = square_lengths(inputs).add_(bias).mul_(square_lengths(deltas))

    def hidden(self, name: str, outputs: Tensor, slopes: Callable[[], Tensor]) -> None:
        """Record activations a (L, B, …), and a function that computes φ'(z) of that shape."""
        if self.reads_units:
            largest = outputs.abs().amax(1).flatten(1)
            self.dead[name] = torch.eq(largest, 0, out=torch.empty_like(largest)).mean(-1)
            self.flat[name] = below(slopes().abs(), self.threshold).flatten(1).mean(-1)

    def values(self, like: Tensor) -> dict[str, Tensor]:
        """Statistics of the due families, for dL/dz (L, B, K); NaN for a layer not recorded."""
        runs, batch = like.shape[:2]
        found = {}
        if self.reads_samples:
            nothing = like.new_full((runs, batch), torch.nan)
            rows = [self.squares.get(name, nothing) for name in self.subject.dense]
            found["sample_squares"] = torch.stack(rows, dim=1)
        if self.reads_units:
            nothing = like.new_full((runs,), torch.nan)
            for name, shares in (("dead", self.dead), ("flat", self.flat)):
                rows = [shares.get(layer, nothing) for layer in self.subject.hidden]
                found[name] = torch.stack(rows, dim=1)
        return found
