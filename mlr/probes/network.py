"""What layers and parameters come to at one step.

Their tensors are too large to be kept, so they are reduced at the step, on the device, and
the probes read what is left. Axes before the last ones are those of the runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class NetworkValues:
    """Sizes by layer; None is what no due family reads.

    Shapes: … runs (and points), N layers, D dense ones, H hidden ones, B batch.
    """

    gradient_norms: Tensor | None = None
    """‖∂ mean L/∂θ‖₂ of each layer (…, N), before it is limited"""
    nonfinite: Tensor | None = None
    """how many numbers of each layer's gradient are not finite (…, N)"""
    sample_squares: Tensor | None = None
    """‖∂L_i/∂θ‖₂² of each dense layer and example (…, D, B)"""
    dense_norms: Tensor | None = None
    """‖∂ mean L/∂θ‖₂ of each dense layer (…, D)"""
    weight_norms: Tensor | None = None
    """‖θ‖₂ of each layer before the update (…, N)"""
    update_norms: Tensor | None = None
    """‖Δθ‖₂ of each layer (…, N)"""
    cosine: Tensor | None = None
    """⟨g, g'⟩ / ‖g‖‖g'‖ of the gradient and that of the step before (…)"""
    dead: Tensor | None = None
    """share of each hidden layer's units that are 0 for the whole batch (…, H)"""
    flat: Tensor | None = None
    """share of each hidden layer's activations with |φ'(z)| below the threshold (…, H)"""


def stack_network(steps: Sequence[NetworkValues]) -> NetworkValues:
    """Those of P steps as one, with a leading axis P."""
    first = steps[0]
    return NetworkValues(
        **{
            field.name: torch.stack([getattr(step, field.name) for step in steps])
            for field in fields(NetworkValues)
            if getattr(first, field.name) is not None
        }
    )
