"""Shares of dead and of flat hidden units."""

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class Units(Probe):
    """Shares of hidden units and activations that pass on no gradient.

    `dead_units/<layer>`: units whose activation is 0 for the whole batch, as that of a ReLU
    that is never active. `flat_units/<layer>`: activations with |φ'(z)| < threshold, over
    batch and units: the silent part of a ReLU, the saturated one of tanh and sigmoid.
    """

    reads = frozenset({"dead", "flat"})

    def __init__(self, subject: Subject, threshold: float) -> None:
        kinds = ("dead_units", "flat_units")
        self.tags = tuple(f"{kind}/{layer}" for kind in kinds for layer in subject.hidden)

    def measure(self, values: StepValues) -> Tensor:
        """Return shares in [0, 1] (P, R, tags)."""
        return torch.cat((values.network["dead"], values.network["flat"]), dim=-1)
