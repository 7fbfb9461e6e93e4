"""Number of non-finite values by layer, which shows where a run diverges."""

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class Nonfinite(Probe):
    """Counts of infinite or NaN values.

    `nonfinite/logits`, `nonfinite/logit_grad` of the batch, `nonfinite/<layer>` of the
    parameters' gradient.
    """

    reads = frozenset({"nonfinite"})

    def __init__(self, subject: Subject, threshold: float) -> None:
        names = ("logits", "logit_grad", *subject.layers)
        self.tags = tuple(f"nonfinite/{name}" for name in names)

    def measure(self, values: StepValues) -> Tensor:
        """Compute counts (P, R, tags)."""
        of_batch = [_count(part) for part in (values.logits, values.logit_grads)]
        return torch.cat((torch.stack(of_batch, dim=-1), values.network["nonfinite"]), dim=-1)


def _count(values: Tensor) -> Tensor:
    """Count infinite and NaN values over batch and outputs."""
    # 0 · v is 0 for finite v and NaN for others: two fast passes, where isfinite takes four
    doubtful = (values * 0).sum((-2, -1))
    if values.is_cpu and not bool(doubtful.isnan().any()):
        return doubtful.abs_()  # −0 is 0
    return (~values.isfinite()).to(values.dtype).sum((-2, -1))
