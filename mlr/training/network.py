"""Choice of the network that computes a program, by the shape of one run.

It does not depend on the number of runs, so that a run alone equals itself in a sweep to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import torch
from torch import Tensor

from mlr.training.backprop import ALIGN, DenseNetwork
from mlr.training.experiment import Experiment
from mlr.training.functional import FunctionalNetwork
from mlr.training.memory_layout import Layout
from mlr.training.runs_last import BLOCK, MOST_WEIGHTS, LaneNetwork
from mlr.training.structure import Dense, dense_structure

Network = LaneNetwork | DenseNetwork | FunctionalNetwork

WIDE = 1 << 21
"""Multiplications of a product above which two threads are worth their synchronisation."""

SHARE = 1 << 24
"""Multiplications of a step per thread: with fewer, threads wait for Python more than they
compute."""


class Kind(Enum):
    """Ways to compute the lanes of a program."""

    LANES = "lanes last, elementwise"
    NARROW = "all lanes in one product, on one thread"
    WIDE = "lane by lane, on all threads"
    MODULE = "lane by lane, by autograd"

    @property
    def block(self) -> int:
        """Number of which the lanes of runs with one objective are a multiple."""
        return BLOCK if self is Kind.LANES else 1


def kind_of(experiment: Experiment) -> Kind:
    """Choose the way to compute a program of such runs."""
    structure = dense_structure(experiment.module, experiment.data.feature_shape)
    if structure is None:
        return Kind.MODULE
    weights = [layer.inputs * layer.outputs for layer in structure]
    if max(weights) <= MOST_WEIGHTS:
        return Kind.LANES
    return Kind.WIDE if experiment.batch_size * max(weights) >= WIDE else Kind.NARROW


class LaneWeights:
    """Parameters and gradients of L lanes, the network over them, and over parts of them.

    Attributes:
        network: of all lanes.
        parts: lanes and their network for each thread; empty if one thread is used.
    """

    def __init__(self, kind: Kind, lanes: Sequence[Experiment], busy: int) -> None:
        first = lanes[0]
        device, dtype = torch.device(first.device), getattr(torch, first.dtype)
        structure = dense_structure(first.module, first.data.feature_shape)
        turned = [f"{layer.name}.weight" for layer in structure or ()]
        align = ALIGN if kind in (Kind.NARROW, Kind.WIDE) else 1
        modules = [experiment.module for experiment in lanes]
        self.layout = Layout.of(first.module, turned, align)
        parameters = self.layout.stack(modules).to(device, dtype)
        if kind is Kind.LANES:
            parameters = parameters.t().contiguous().t()
        self.parameters = parameters
        self.gradients: Tensor = torch.zeros_like(parameters)
        flat = (self.layout, self.parameters, self.gradients)
        self.network: Network
        if structure is None:
            self.network = FunctionalNetwork(modules, [one.seed for one in lanes], *flat, busy)
        elif kind is Kind.LANES:
            self.network = LaneNetwork(structure, *flat)
        else:
            self.network = DenseNetwork(structure, *flat, busy if kind is Kind.WIDE else None)
        self.parts: list[tuple[slice, Network]] = []
        count = self._worth(kind, structure, lanes, busy)
        if structure is not None and count > 1:
            # interleaved, so that each part has its share of every objective
            self.parts = [
                (rows, DenseNetwork(structure, self.layout, parameters[rows], self.gradients[rows]))
                for rows in (slice(part, None, count) for part in range(count))
            ]

    @staticmethod
    def _worth(
        kind: Kind, structure: list[Dense] | None, lanes: Sequence[Experiment], busy: int
    ) -> int:
        """Number of threads worth using for the lanes."""
        first = lanes[0]
        if structure is None or kind is not Kind.NARROW or torch.device(first.device).type != "cpu":
            return 1
        weights = sum(layer.inputs * layer.outputs for layer in structure)
        return min(busy, len(lanes), len(lanes) * first.batch_size * weights // SHARE)
