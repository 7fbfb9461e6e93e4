"""Multilayer perceptron: dense layers with an activation between them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from mlr.core.checks import known, non_negative, whole_numbers
from mlr.models.base import Model
from mlr.models.initialise import SCHEMES, initialise

if TYPE_CHECKING:
    from torch import nn

ACTIVATIONS = ("relu", "tanh", "sigmoid")


class Mlp(Model):
    """Multilayer perceptron with one activation for all hidden layers.

    Args:
        widths: units of each hidden layer, input side first.
        activation: relu, tanh or sigmoid.
        init: scheme of `mlr.models.initialise`.
        init_scale: factor on the initial weights.
    """

    name = "mlp"

    def __init__(
        self,
        widths: Sequence[int] = (128,),
        activation: str = "relu",
        init: str = "he",
        init_scale: float = 1.0,
    ) -> None:
        self.widths = whole_numbers("model.widths", widths)
        self.activation = known("model.activation", activation, ACTIVATIONS)
        self.init = known("model.init", init, SCHEMES)
        self.init_scale = non_negative("model.init_scale", init_scale)

    def construct(
        self, feature_shape: tuple[int, ...], outputs: int, seed: int, dtype: str
    ) -> nn.Module:
        """Construct nn.Sequential(flatten, hidden1, relu1, …, output) with logits (B, outputs)."""
        from torch import nn

        layers, width = hidden_layers(feature_shape, self.widths, self.activation)
        layers["output"] = nn.Linear(width, outputs)
        return initialise(nn.Sequential(layers), self.init, self.init_scale, seed, dtype)


def hidden_layers(
    feature_shape: tuple[int, ...], widths: Sequence[int], activation: str
) -> tuple[OrderedDict[str, nn.Module], int]:
    """Construct the layers flatten, hidden1, relu1, … of a network, and say how wide they end."""
    from torch import nn

    activations = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    width_before = prod(feature_shape)
    for number, width in enumerate(widths, start=1):
        layers[f"hidden{number}"] = nn.Linear(width_before, width)
        layers[f"{activation}{number}"] = activations[activation]()
        width_before = width
    return layers, width_before
