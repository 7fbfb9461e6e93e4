"""What is heard of a model during a scheduled step, by hooks that are gone on other steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mlr.loop.layers import TrainedLayers, cosine, nonfinite, sizes
from mlr.loop.point import Point
from mlr.probes.base import below
from mlr.probes.taps import SLOPES, Activated, Taps, square_norms

OF_LAYERS = frozenset({"sample_gradient", "units"})
"""Families that look into the layers while they are computed."""

_WRAPPERS = {
    "OptimizedModule": "_orig_mod",
    "DistributedDataParallel": "module",
    "DataParallel": "module",
}


class Hearing:
    """Reduces what a model's layers and parameters hold to the small tensors of a `Point`.

    Args:
        model: whose layers.
        threshold: slopes of activations below it are flat.

    Attributes:
        layers: with trained parameters.
        dense: those where examples have gradients of their own, once they were heard.
        hidden: those with units, once they were heard.
    """

    def __init__(self, model: nn.Module, threshold: float) -> None:
        own = unwrapped(model)
        self.layers, self.threshold = TrainedLayers(own), threshold
        self.taps = None if is_compiled(model) else Taps(own, listen=True)
        self.dense: tuple[str, ...] = ()
        self.hidden: tuple[str, ...] = ()
        self._armed = False
        self._first = True
        self._previous: list[Tensor | None] | None = None
        self._before: tuple[Tensor, ...] | None = None
        self._weights: Tensor | None = None
        self._spare: tuple[Tensor, ...] | None = None

    def arm(self, due: frozenset[str]) -> None:
        """Listen to the next forward pass, if that is due."""
        wanted = bool(due & OF_LAYERS)
        if self.taps is not None and wanted != self._armed:
            if wanted:
                self.taps.__enter__()
            else:
                self.taps.__exit__()
                self.taps.clear()
            self._armed = wanted

    def of_gradients(
        self, point: Point, scale: Tensor | None, factor: Tensor | float, mean: bool
    ) -> None:
        """After a backward pass.

        Args:
            point: which takes it.
            scale: by which the parameters' gradients are too large.
            factor: by which those of single examples are too small.
            mean: whether they are so by the size of the batch, too.
        """
        gradients, due = self.layers.gradients(), point.due
        norms = sizes(gradients)
        if "nonfinite" in due:
            found, former = nonfinite(gradients, norms), point.sizes.get("nonfinite")
            # attempts at one step, of which a scaler rejects those that overflow
            point.sizes["nonfinite"] = found if former is None else found.maximum(former)
        if "direction" in due:
            point.cosine = point.logits.new_full((), torch.nan)  # of the first step
            if self._previous is not None:
                point.cosine = cosine(gradients, self._previous, norms).to(point.logits)
        point.sizes["gradient"] = norms if scale is None else norms / scale
        if due & OF_LAYERS and self.taps is not None:
            self._of_layers(point, self.taps, factor, mean)
            self.taps.clear()

    def remember(self, next_due: frozenset[str]) -> None:
        """After an update, keep the gradients that it took, if the next step compares its own.

        What a scaler or the norm of clipping did to them, a cosine does not see.
        """
        if "direction" not in next_due:
            self._previous = None
            return
        gradients, kept = self.layers.gradients(), self._previous
        if kept is None or list(map(_shape, kept)) != list(map(_shape, gradients)):
            self._previous = [g if g is None else g.clone() for g in gradients]
            return
        new, old = ([g for g in each if g is not None] for each in (gradients, kept))
        if old:
            torch._foreach_copy_(old, new)

    def before_update(self) -> None:
        """Keep the weights."""
        if self._before is None:
            parameters = tuple(parameter.detach() for parameter in self.layers.parameters)
            if self._spare is None:  # memory that is new each time would take longer than the copy
                self._spare = tuple(map(torch.empty_like, parameters))
            torch._foreach_copy_(self._spare, parameters)
            self._before, self._weights = self._spare, sizes(parameters)

    def after_update(self, point: Point, last: bool) -> None:
        """How they were changed since.

        Args:
            point: which takes it.
            last: whether no other optimizer will change them further.
        """
        if self._before is None or self._weights is None:
            return
        point.sizes["weight"] = self._weights
        parameters = tuple(self.layers.parameters)
        if last:
            torch._foreach_sub_(self._before, parameters)
            point.sizes["update"] = sizes(self._before)
            self.forget_weights()
        else:
            point.sizes["update"] = sizes(torch._foreach_sub(self._before, parameters))

    def forget_weights(self) -> None:
        """The point is closed."""
        self._before = self._weights = None

    def _of_layers(self, point: Point, taps: Taps, factor: Tensor | float, mean: bool) -> None:
        """Of layers that are called by other batches than that of the logits, nothing."""
        squares: dict[str, Tensor] = {}
        if "sample_gradient" in point.due:
            every = square_norms(taps.uses)
            squares = {layer: own for layer, own in every.items() if len(own) == point.batch}
        units = {one.layer: one for one in taps.activated} if "units" in point.due else {}
        if self._first:
            self._first = False
            self.dense = tuple(name for name in self.layers.names if name in squares)
            self.hidden = tuple(units)
        if self.dense and "sample_gradient" in point.due:
            # a layer that was not called has no part in the loss; of none at all, nothing is known
            blank = point.logits.new_full((point.batch,), 0.0 if squares else torch.nan)
            found = torch.stack([squares.get(name, blank).to(blank) for name in self.dense])
            scale = factor * point.batch if mean else factor
            point.squares = found * (scale * scale)
        if self.hidden and "units" in point.due:
            shares = [self._shares(units.get(name), point) for name in self.hidden]
            point.dead, point.flat = torch.stack(shares).unbind(1)

    def _shares(self, one: Activated | None, point: Point) -> Tensor:
        """Dead units and flat activations (2,), NaN of none."""
        if one is None:
            return point.logits.new_full((2,), torch.nan)
        # a dense unit is one at all times, as words of a text
        dense = self.taps is not None and one.layer in self.taps.layers
        silent = one.outputs.abs().flatten(0, -2 if dense else 0).amax(0)
        slopes = SLOPES[one.kind](one.outputs)
        dead = torch.eq(silent, 0, out=torch.empty_like(silent)).mean()
        return torch.stack((dead, below(slopes, self.threshold).mean())).to(point.logits)


def unwrapped(model: nn.Module) -> nn.Module:
    """The module that a person wrote, without what compiles or distributes it."""
    while type(model).__name__ in _WRAPPERS:
        model = getattr(model, _WRAPPERS[type(model).__name__])
    return model


def _shape(value: Tensor | None) -> torch.Size | None:
    return None if value is None else value.shape


def is_compiled(model: nn.Module) -> bool:
    """Tell if torch.compile took any part of it, which then calls no hooks of its layers."""
    parts = list(model.modules())
    return any(
        type(part).__name__ == "OptimizedModule" or part._compiled_call_impl is not None
        for part in parts
    )
