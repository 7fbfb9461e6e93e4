"""Scaled targets of a regression: predictions and errors back in the unit of the data."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlr.training.experiment import Experiment


class TargetUnits:
    """Offsets and divisors (L, 1, K) of the lanes' targets.

    Args:
        lanes: with data whose targets are all scaled.
        dtype: of the predictions.
        device: of the predictions.
    """

    def __init__(
        self, lanes: Sequence[Experiment], dtype: torch.dtype, device: torch.device
    ) -> None:
        scalings = [lane.data.target_scaling for lane in lanes]
        self.offset, self.divisor = (
            torch.stack([torch.as_tensor(getattr(one, name)) for one in scalings])
            .to(device, dtype)
            .unsqueeze(1)
            for name in ("offset", "divisor")
        )

    def values(self, predictions: Tensor) -> Tensor:
        """Convert predicted numbers (…, L, B, K)."""
        return torch.addcmul(self.offset, predictions, self.divisor)

    def differences(self, values: Tensor) -> Tensor:
        """Convert differences of targets and standard deviations (…, L, B, K)."""
        return values * self.divisor


def units_of(
    lanes: Sequence[Experiment], dtype: torch.dtype, device: torch.device
) -> TargetUnits | None:
    """Make the units of lanes of one program; None if targets are not scaled."""
    if lanes[0].data.target_scaling is None:
        return None
    return TargetUnits(lanes, dtype, device)
