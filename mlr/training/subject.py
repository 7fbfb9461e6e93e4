"""Layers of a run whose statistics can be measured."""

from __future__ import annotations

from contextlib import suppress

import torch

from mlr.probes import Subject
from mlr.probes.layer_hooks import LayerHooks
from mlr.training.experiment import Experiment
from mlr.training.memory_layout import Layout
from mlr.training.structure import dense_structure


def subject_of(experiment: Experiment) -> Subject:
    """Describe what can be measured in a run."""
    structure = dense_structure(experiment.module, experiment.data.feature_shape)
    if structure is None:
        dense, hidden = _traced(experiment)
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


def _traced(experiment: Experiment) -> tuple[list[str], list[str]]:
    """Dense and hidden layers of any module, found by passing it one example."""
    module = experiment.module
    hooks, training = LayerHooks(module), module.training
    example = experiment.data.train.features[:1].to(next(module.parameters()))
    try:
        module.eval()
        # a module that cannot do this fails with its own message when it is trained
        with torch.inference_mode(False), torch.enable_grad(), hooks, suppress(Exception):
            module(example.clone())
    finally:
        module.train(training)
    dense = dict.fromkeys(call.layer for call in hooks.calls)
    return list(dense), list(dict.fromkeys(one.layer for one in hooks.activated))
