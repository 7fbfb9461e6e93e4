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
        of_batch = [count_nonfinite(part, (-2, -1)) for part in (values.logits, values.logit_grads)]
        return torch.cat((torch.stack(of_batch, dim=-1), values.network["nonfinite"]), dim=-1)


def count_nonfinite(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Count infinite and NaN values over `axes`."""
    # 0 · v is 0 for finite v and NaN for others: two fast passes, where isfinite takes four
    doubtful = (values * 0).sum(axes)
    if values.is_cpu and not bool(doubtful.isnan().any()):
        return doubtful.abs_()  # −0 is 0
    return (~values.isfinite()).to(values.dtype).sum(axes)
