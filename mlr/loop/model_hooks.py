"""Layer statistics of a model during a scheduled step, by hooks that other steps do not have."""

import warnings
from functools import partial

import torch
from torch import Tensor, nn

from mlr.core.checks import users_stacklevel
from mlr.loop.parameters import TrainedParameters, Values
from mlr.loop.steps import WatchedStep
from mlr.probes import ProbeSettings
from mlr.probes.base import Subject
from mlr.probes.families import fields_read
from mlr.probes.layer_hooks import SLOPES, LayerHooks, square_norms
from mlr.probes.layers import OF_LAYERS, ParameterStatistics, UnitStatistics

_WRAPPERS = {
    "OptimizedModule": "_orig_mod",
    "DistributedDataParallel": "module",
    "DataParallel": "module",
}


class ModelHooks:
    """Fills the layer statistics of a `WatchedStep`.

    Attributes:
        parameters: the trained parameters.
        statistics: of gradients, weights and updates.
        layers: hooks of dense layers and activations; None for a compiled model.
        dense: layers with sample gradients, known after the first step.
        hidden: layers with units, known after the first step.
    """

    def __init__(self, model: nn.Module, settings: ProbeSettings) -> None:
        own = unwrapped(model)
        self.parameters, self.threshold = TrainedParameters(own), settings.threshold
        self.statistics: ParameterStatistics[Values] = ParameterStatistics(self.parameters)
        self.layers = None if is_compiled(model) else LayerHooks(own, listen=True)
        self.dense: tuple[str, ...] = ()
        self.hidden: tuple[str, ...] = ()
        self._armed = False
        self._first = True
        wanted = sorted(name for name in settings.families if _reads_layers(frozenset({name})))
        if wanted and self.layers is None:
            warnings.warn(
                f"{' and '.join(wanted)} cannot be measured in a model compiled by torch.compile, "
                "whose layers call no hooks; everything else is.",
                stacklevel=users_stacklevel(),
            )

    def arm(self, due: frozenset[str]) -> None:
        """Register hooks for the next forward pass if they are due, else remove them."""
        wanted = _reads_layers(due)
        if self.layers is not None and wanted != self._armed:
            if wanted:
                self.layers.__enter__()
            else:
                self.layers.__exit__()
                self.layers.clear()
            self._armed = wanted

    def of_gradients(self, step: WatchedStep, scale: Tensor | None, factor: Tensor | float) -> None:
        """Measure the gradients, at the end of a backward pass.

        Args:
            step: takes the statistics.
            scale: factor by which the parameters' gradients are too large.
            factor: factor by which those of single examples are too small.
        """
        found = self.statistics.of_gradients(self.parameters.gradients(), step.due)
        if "gradient_norms" in found and scale is not None:
            found["gradient_norms"] = found["gradient_norms"] / scale
        if "cosine" in found:
            found["cosine"] = found["cosine"].to(step.logits)
        if self.layers is not None and _reads_layers(step.due):
            found |= self._of_layers(step, self.layers, factor)
            self.layers.clear()
        step.statistics |= found

    def remember(self, next_due: frozenset[str]) -> None:
        """Copy the gradients of an update if the next step compares its own.

        A scaler or clipping multiplies them by one number, which changes no cosine.
        """
        if "cosine" in fields_read(next_due):
            self.statistics.remember(self.parameters.gradients(), next_due)
        else:
            self.statistics.previous = None

    def _of_layers(
        self, step: WatchedStep, layers: LayerHooks, factor: Tensor | float
    ) -> dict[str, Tensor]:
        fields = fields_read(step.due)
        squares: dict[str, Tensor] = {}
        if "sample_squares" in fields:
            # without layers that are called with another batch than that of the logits
            every = square_norms(layers.calls)
            squares = {name: own for name, own in every.items() if len(own) == step.batch}
        activated = {one.layer: one for one in layers.activated} if "dead" in fields else {}
        if self._first:
            self._first = False
            self.dense = tuple(name for name in self.parameters.names if name in squares)
            self.hidden = tuple(activated)
        subject = Subject(None, dense=self.dense, hidden=self.hidden)
        units = UnitStatistics(step.due, subject, self.threshold)
        like = step.logits.new_zeros(1, step.batch, 1)
        for name in self.dense if squares else ():
            # a layer that was not called has no part in the loss
            own = squares[name][None] if name in squares else like[..., 0]
            units.squares[name] = own.to(like) * (factor * factor)
        for name, one in activated.items():
            # a dense unit is the same at all times, as words of a text
            outputs = one.outputs.flatten(0, -2) if name in layers.layers else one.outputs
            units.hidden(name, outputs[None], partial(SLOPES[one.kind], outputs[None]))
        return {name: own[0] for name, own in units.values(like).items()}


def _reads_layers(due: frozenset[str]) -> bool:
    return bool(fields_read(due) & OF_LAYERS)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module that is wrapped for compilation or distribution."""
    while type(model).__name__ in _WRAPPERS:
        model = getattr(model, _WRAPPERS[type(model).__name__])
    return model


def is_compiled(model: nn.Module) -> bool:
    """Tell if torch.compile compiled any part, whose layers then call no hooks."""
    return any(
        type(part).__name__ == "OptimizedModule" or part._compiled_call_impl is not None
        for part in model.modules()
    )


def in_compiled_step() -> bool:
    """Tell if the caller is, or was called by, a function that torch.compile compiles."""
    if torch.compiler.is_compiling():
        return True
    compiles = getattr(torch._C._dynamo.eval_frame, "get_eval_frame_callback", lambda: None)()
    return callable(compiles)
