"""Linear model: logistic and softmax regression."""

from __future__ import annotations

from collections import OrderedDict
from math import prod
from typing import TYPE_CHECKING

from mlr.core.checks import finite, known, non_negative
from mlr.models.base import Model
from mlr.models.initialise import SCHEMES, initialise

if TYPE_CHECKING:
    from torch import nn


class Linear(Model):
    """One linear layer, z = W x + b.

    Args:
        init: scheme of `mlr.models.initialise`.
        init_scale: factor on the initial weights.
        weight: if given, every initial weight has this value.
        bias: if given, every initial bias has this value.
    """

    name = "linear"

    def __init__(
        self,
        init: str = "torch",
        init_scale: float = 1.0,
        weight: float | None = None,
        bias: float | None = None,
    ) -> None:
        self.init = known("model.init", init, SCHEMES)
        self.init_scale = non_negative("model.init_scale", init_scale)
        self.weight = None if weight is None else finite("model.weight", weight)
        self.bias = None if bias is None else finite("model.bias", bias)

    def construct(
        self, feature_shape: tuple[int, ...], outputs: int, seed: int, dtype: str
    ) -> nn.Module:
        """Construct nn.Sequential(flatten, output) with logits (B, outputs)."""
        from torch import nn

        output = nn.Linear(prod(feature_shape), outputs)
        module = nn.Sequential(OrderedDict(flatten=nn.Flatten(), output=output))
        initialise(module, self.init, self.init_scale, seed, dtype)
        if self.weight is not None:
            nn.init.constant_(output.weight, self.weight)
        if self.bias is not None:
            nn.init.constant_(output.bias, self.bias)
        return module
