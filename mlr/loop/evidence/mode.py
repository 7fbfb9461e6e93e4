"""Evidence on the mode: whether a model that reads it is trained in eval mode."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd


def reads_mode(model: nn.Module) -> bool:
    """Tell if a model has dropout, or batch normalisation that is trained."""
    for part in model.modules():
        if isinstance(part, _DropoutNd) and part.p > 0:
            return True
        if isinstance(part, _BatchNorm) and part.track_running_stats:
            if part.weight is None or part.weight.requires_grad:
                return True
    return False


class Modes:
    """Counts of batches by the mode of the model.

    Attributes:
        trained: batches in train mode.
        after: batches in eval mode after one in train mode.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.trained = self.after = 0

    def count(self) -> None:
        """Count a batch."""
        if self._model.training:
            self.trained += 1
        elif self.trained:
            self.after += 1
