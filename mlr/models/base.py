"""Base class of models: options are checked at construction, the module is built later."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from torch import nn


class Model(ABC):
    """Recipe for an nn.Module; importing and constructing one costs no torch import."""

    name: ClassVar[str]

    def build(
        self, feature_shape: tuple[int, ...], outputs: int, seed: int, dtype: str = "float32"
    ) -> nn.Module:
        """Build a module (B, *feature_shape) → logits (B, outputs), initialised from `seed` alone.

        The global random generator is left unchanged.

        Args:
            feature_shape: shape of one example.
            outputs: K.
            seed: determines every initial value.
            dtype: of the parameters; a seed's values in float32 are those in float64, rounded.

        Raises:
            InputError: the model does not fit features of this shape.
        """
        import torch

        with torch.random.fork_rng(devices=[]):  # modules draw at construction
            return self.construct(feature_shape, outputs, seed, dtype)

    @abstractmethod
    def construct(
        self, feature_shape: tuple[int, ...], outputs: int, seed: int, dtype: str
    ) -> nn.Module:
        """Construct the module for `build`; may draw from torch's global generator."""
