"""Where numbers stop being finite: counted and named, so that a diverging layer is seen."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class NonFinite(Probe):
    """How many numbers are infinite or NaN.

    `nonfinite/logits`, `nonfinite/logit_grad` of the batch, `nonfinite/<layer>` of the
    parameters' gradient.
    """

    family = "nonfinite"

    def __init__(self, subject: Subject) -> None:
        names = ("logits", "logit_grad", *subject.layers)
        self.tags = tuple(f"nonfinite/{name}" for name in names)

    def measure(self, values: StepValues) -> Tensor:
        """Counts (P, R, tags)."""
        assert values.network is not None
        assert values.network.nonfinite is not None
        of_batch = [count_nonfinite(part, (-2, -1)) for part in (values.logits, values.logit_grads)]
        return torch.cat((torch.stack(of_batch, dim=-1), values.network.nonfinite), dim=-1)


def count_nonfinite(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """How many of the values are infinite or NaN, summed over `axes`."""
    # 0 · v is 0 for finite v and NaN for others: two fast passes, where isfinite takes four
    doubtful = (values * 0).sum(axes)
    if values.is_cpu and not bool(doubtful.isnan().any()):
        return doubtful.abs_()  # −0 is 0
    return (~values.isfinite()).to(values.dtype).sum(axes)
