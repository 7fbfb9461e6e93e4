"""How much single examples pull at the weights, and whether they agree."""

from __future__ import annotations

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class SampleGradient(Probe):
    """Norms of the gradients g_i of single examples, and the signal in their mean ḡ.

    `sample_grad/mean` and `sample_grad/max` of ‖g_i‖₂ over the batch, `grad_snr/total` and
    `grad_snr/<layer>`, all of dense layers:

        snr = ‖ḡ‖² / (tr Σ / B),  tr Σ = (Σ_i ‖g_i‖² − B ‖ḡ‖²) / (B − 1)

    tr Σ / B is the variance of ḡ over batches, so that the noise of the batch drowns its
    signal where snr is about 1 or less.

    Source: McCandlish et al., arXiv 1812.06162, appendix A: B_simple = tr Σ / ‖G‖².
    """

    family = "sample_gradient"

    def __init__(self, subject: Subject) -> None:
        self.tags = ()
        if subject.dense:
            snr = (f"grad_snr/{layer}" for layer in subject.dense)
            self.tags = ("sample_grad/mean", "sample_grad/max", "grad_snr/total", *snr)

    def measure(self, values: StepValues) -> Tensor:
        """Numbers (P, R, tags); snr is NaN of a single example, and of examples that all agree."""
        assert values.network is not None
        squares, norms = values.network.sample_squares, values.network.dense_norms
        assert squares is not None
        assert norms is not None
        sizes = squares.sum(-2).sqrt()
        sums, signal = squares.sum(-1), norms.square()
        sums, signal = (torch.cat((v.sum(-1, keepdim=True), v), -1) for v in (sums, signal))
        batch = squares.shape[-1]
        variance = ((sums - batch * signal) / (batch - 1)).clamp(min=0) if batch > 1 else sums * 0
        snr = torch.where(variance > 0, signal * batch / variance, torch.nan)
        edge = torch.stack((sizes.mean(-1), sizes.amax(-1)), dim=-1)
        return torch.cat((edge, snr), dim=-1)
