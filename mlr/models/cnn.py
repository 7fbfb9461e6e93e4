"""Small convolutional network for images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlr.core.checks import InputError, known, non_negative, whole, whole_numbers
from mlr.models.base import Model
from mlr.models.initialise import SCHEMES, initialise

if TYPE_CHECKING:
    from torch import nn


class Cnn(Model):
    """Convolution, ReLU and 2×2 max-pooling for each of `channels`, then a linear layer.

    Args:
        channels: feature maps of each convolution.
        kernel: side of the square filters, odd, so that padding keeps the image's size.
        init: scheme of `mlr.models.initialise`.
        init_scale: factor on the initial weights.
    """

    name = "cnn"

    def __init__(
        self,
        channels: Sequence[int] = (16, 32),
        kernel: int = 5,
        init: str = "he",
        init_scale: float = 1.0,
    ) -> None:
        self.channels = whole_numbers("model.channels", channels)
        self.kernel = whole("model.kernel", kernel)
        if kernel % 2 == 0:
            raise InputError(f"model.kernel={kernel} must be odd, as in model.kernel=5.")
        self.init = known("model.init", init, SCHEMES)
        self.init_scale = non_negative("model.init_scale", init_scale)

    def construct(
        self, feature_shape: tuple[int, ...], outputs: int, seed: int, dtype: str
    ) -> nn.Module:
        """Construct images (B, C, H, W) → logits (B, outputs)."""
        from torch import nn

        smallest = 2 ** len(self.channels)
        if len(feature_shape) != 3 or min(feature_shape[1:]) < smallest:
            raise InputError(
                f"model=cnn needs images (channels, height, width) of at least "
                f"{smallest}×{smallest} pixels, not {feature_shape}; use model=mlp, fewer "
                "model.channels, or channels first: x[:, None] or np.moveaxis(x, -1, 1)."
            )
        depth, height, width = feature_shape
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, count in enumerate(self.channels, start=1):
            layers[f"conv{number}"] = nn.Conv2d(depth, count, self.kernel, padding=self.kernel // 2)
            layers[f"relu{number}"] = nn.ReLU()
            layers[f"pool{number}"] = nn.MaxPool2d(2)
            depth, height, width = count, height // 2, width // 2
        layers["flatten"] = nn.Flatten()
        layers["output"] = nn.Linear(depth * height * width, outputs)
        module = nn.Sequential(layers)
        return initialise(module, self.init, self.init_scale, seed, dtype)
