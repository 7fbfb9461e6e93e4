"""What every model is: options checked at once, a module built when torch is there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import nn


class Model(ABC):
    """A recipe for an nn.Module; importing and making one costs no torch import."""

    name: ClassVar[str]

    def build(
        self, feature_shape: tuple[int, ...], outputs: int, seed: int, dtype: str = "float32"
    ) -> nn.Module:
        """A module (B, *feature_shape) → logits (B, outputs), initialised from `seed` alone.

        The caller's random generator is left as it is.

        Args:
            feature_shape: of one example.
            outputs: K.
            seed: decides every initial value.
            dtype: of the parameters; a seed's values in float32 are those in float64, rounded.

        Raises:
            InputError: the model does not fit features of this shape.
        """
        import torch

        with torch.random.fork_rng(devices=[]):  # modules draw when they are made
            return self.construct(feature_shape, outputs, seed, dtype)

    @abstractmethod
    def construct(
        self, feature_shape: tuple[int, ...], outputs: int, seed: int, dtype: str
    ) -> nn.Module:
        """What `build` returns; free to draw from torch's global generator."""
