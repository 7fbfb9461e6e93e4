"""Gradient and update relative to the weights, which show if the step size is sensible."""

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class Ratios(Probe):
    """`grad_to_weight/<layer>` ‖g‖/‖θ‖ and `update_to_weight/<layer>` ‖Δθ‖/‖θ‖.

    An update of about 10⁻³ of the weights is usual; 0.1 is unstable, 10⁻⁶ does not learn.

    Source: Karpathy, CS231n notes, "Ratio of weights:updates".
    """

    reads = frozenset({"gradient_norms", "weight_norms", "update_norms"})

    def __init__(self, subject: Subject, threshold: float) -> None:
        kinds = ("grad_to_weight", "update_to_weight")
        self.tags = tuple(f"{kind}/{layer}" for kind in kinds for layer in subject.layers)

    def measure(self, values: StepValues) -> Tensor:
        """Compute ratios (P, R, tags); infinite or NaN where all weights of a layer are 0."""
        network = values.network
        weights = network["weight_norms"]
        sizes = torch.cat((network["gradient_norms"], network["update_norms"]), dim=-1)
        return sizes / torch.cat((weights, weights), dim=-1)
