"""What a measured step takes from the network while its tensors are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isfinite

import torch
from torch import Tensor

from mlr.probes import Subject
from mlr.probes.taps import Taps
from mlr.training.experiment import Experiment
from mlr.training.parameters import Layout, dots, layer_norms, row_norms
from mlr.training.structure import dense_structure

OF_LAYERS = frozenset({"sample_gradient", "units"})
"""Families that look into the layers while they are differentiated."""
OF_NETWORK = OF_LAYERS | {"gradient_norm", "nonfinite", "ratios", "direction"}


def subject_of(experiment: Experiment) -> Subject:
    """What there is to measure in a run."""
    structure = dense_structure(experiment.module, experiment.data.feature_shape)
    if structure is None:
        dense, hidden = _heard(experiment)
    else:
        dense = [layer.name for layer in structure]
        hidden = [layer.name for layer in structure if layer.activation is not None]
    return Subject(
        classes=experiment.data.classes,
        spread=experiment.spread,
        layers=tuple(Layout.of(experiment.module).layers()),
        dense=tuple(dense),
        hidden=tuple(hidden),
    )


def _heard(experiment: Experiment) -> tuple[list[str], list[str]]:
    """Dense layers and hidden ones of any module, by what they do with one example."""
    module = experiment.module
    taps, training = Taps(module), module.training
    example = experiment.data.train.features[:1].to(next(module.parameters()))
    try:
        module.eval()
        # a module that cannot do this says so, in its own words, when it is trained
        with torch.inference_mode(False), torch.enable_grad(), taps, suppress(Exception):
            module(example.clone())
    finally:
        module.train(training)
    dense = dict.fromkeys(use.layer for use in taps.uses)
    return list(dense), list(dict.fromkeys(one.layer for one in taps.activated))


class Capture:
    """Gradients, weights and updates of all lanes, by layer.

    Args:
        layers: columns of each layer.
        dense: names of the dense ones.
    """

    def __init__(self, layers: Mapping[str, slice], dense: Sequence[str]) -> None:
        self.layers = dict(layers)
        self.dense = [list(self.layers).index(name) for name in dense]
        self.previous: Tensor | None = None
        self.before: Tensor | None = None

    def of_gradients(self, gradients: Tensor, due: frozenset[str]) -> dict[str, Tensor]:
        """What is due of gradients (L, P), before they are limited or anything overwrites them."""
        found: dict[str, Tensor] = {}
        if not due & OF_NETWORK:
            return found
        norms = layer_norms(gradients, self.layers)
        if due & {"gradient_norm", "ratios"}:
            found["gradient_norms"] = norms
        if "nonfinite" in due:
            found["nonfinite"] = self._nonfinite(gradients, norms)
        if "sample_gradient" in due and self.dense:
            found["dense_norms"] = norms[:, self.dense]
        if "direction" in due:
            found["cosine"] = self._cosine(gradients)
        return found

    def remember(self, gradients: Tensor) -> None:
        """Keep the gradients (L, P) of a step for the next one, which compares its own."""
        self.previous = gradients.clone()

    def before_update(self, parameters: Tensor) -> dict[str, Tensor]:
        """Norms of the weights (L, P); they are kept, to see how they are changed."""
        self.before = parameters.clone()
        return {"weight_norms": layer_norms(parameters, self.layers)}

    def after_update(self, parameters: Tensor) -> dict[str, Tensor]:
        """Norms of what was added to the weights."""
        assert self.before is not None
        change, self.before = self.before.sub_(parameters), None
        return {"update_norms": layer_norms(change, self.layers)}

    def _cosine(self, gradients: Tensor) -> Tensor:
        previous, self.previous = self.previous, None
        if previous is None:  # of the first step
            return gradients.new_full((len(gradients),), torch.nan)
        sizes = row_norms(gradients) * row_norms(previous)
        return dots(gradients, previous) / sizes[:, 0]

    def _nonfinite(self, gradients: Tensor, norms: Tensor) -> Tensor:
        # one number to look at, where a look costs no wait for a device
        if norms.is_cpu and isfinite(norms.sum().item()):
            return torch.zeros_like(norms)
        counts = [
            (~gradients[:, span].isfinite()).sum(1).to(norms.dtype) for span in self.layers.values()
        ]
        return torch.stack(counts, dim=1)
