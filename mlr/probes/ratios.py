"""Is the step of a sensible size: gradient and update beside the weights they change."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class Ratios(Probe):
    """`grad_to_weight/<layer>` ‖g‖/‖θ‖ and `update_to_weight/<layer>` ‖Δθ‖/‖θ‖.

    An update of about a thousandth of the weights is usual; a tenth shakes the layer, a
    millionth leaves it as it was.

    Source: Karpathy, CS231n notes, "Ratio of weights:updates".
    """

    family = "ratios"

    def __init__(self, subject: Subject) -> None:
        kinds = ("grad_to_weight", "update_to_weight")
        self.tags = tuple(f"{kind}/{layer}" for kind in kinds for layer in subject.layers)

    def measure(self, values: StepValues) -> Tensor:
        """Ratios (P, R, tags); infinite or NaN where all weights of a layer are 0."""
        network = values.network
        assert network is not None
        assert network.gradient_norms is not None
        assert network.update_norms is not None
        assert network.weight_norms is not None
        sizes = torch.cat((network.gradient_norms, network.update_norms), dim=-1)
        return sizes / torch.cat((network.weight_norms, network.weight_norms), dim=-1)
