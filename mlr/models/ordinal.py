"""Networks for ordered classes: one score, and a threshold for each level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlr.core.checks import known, non_negative, whole_numbers
from mlr.models.base import Model
from mlr.models.initialise import SCHEMES, initialise
from mlr.models.mlp import ACTIVATIONS, hidden_layers

if TYPE_CHECKING:
    from torch import nn


class Ordinal(Model):
    """Dense layers whose last one has one weight vector for all outputs: z_k = w·h + b_k.

    With head=cumulative that is the proportional odds model, with head=coral CORAL.

    Args:
        widths: units of each hidden layer, input side first; none is a linear model.
        activation: relu, tanh or sigmoid.
        init: scheme of `mlr.models.initialise`.
        init_scale: factor on the initial weights.
    """

    name = "ordinal"

    def __init__(
        self,
        widths: Sequence[int] = (),
        activation: str = "relu",
        init: str = "torch",
        init_scale: float = 1.0,
    ) -> None:
        self.widths = whole_numbers("model.widths", widths) if widths else ()
        self.activation = known("model.activation", activation, ACTIVATIONS)
        self.init = known("model.init", init, SCHEMES)
        self.init_scale = non_negative("model.init_scale", init_scale)

    def construct(
        self, feature_shape: tuple[int, ...], outputs: int, seed: int, dtype: str
    ) -> nn.Module:
        """Construct nn.Sequential(flatten, hidden1, relu1, …, output) with logits (B, outputs)."""
        from torch import nn

        from mlr.models.shared_slope import SharedSlope

        layers, width = hidden_layers(feature_shape, self.widths, self.activation)
        layers["output"] = SharedSlope(width, outputs)
        return initialise(nn.Sequential(layers), self.init, self.init_scale, seed, dtype)
