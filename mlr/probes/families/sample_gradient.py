"""Gradient norms of single examples, and their signal-to-noise ratio."""

import torch
from torch import Tensor

from mlr.probes.base import Probe, StepValues, Subject


class SampleGradient(Probe):
    """Norms of the gradients g_i of single examples, and signal to noise of their mean ḡ.

    `sample_grad/mean` and `sample_grad/max` of ‖g_i‖₂ over the batch, `grad_snr/total` and
    `grad_snr/<layer>`, over dense layers only:

        snr = ‖ḡ‖² / (tr Σ / B),  tr Σ = (Σ_i ‖g_i‖² − B ‖ḡ‖²) / (B − 1)

    tr Σ / B is the variance of ḡ over batches: the noise exceeds the signal if snr < 1.

    Source: McCandlish et al., arXiv 1812.06162, appendix A: B_simple = tr Σ / ‖G‖².
    """

    reads = frozenset({"sample_squares", "gradient_norms"})

    def __init__(self, subject: Subject, threshold: float) -> None:
        self.tags = ()
        self.dense = [subject.layers.index(name) for name in subject.dense]
        if subject.dense:
            snr = (f"grad_snr/{layer}" for layer in subject.dense)
            self.tags = ("sample_grad/mean", "sample_grad/max", "grad_snr/total", *snr)

    def measure(self, values: StepValues) -> Tensor:
        """Norms and ratios (P, R, tags); snr is NaN for one example, or if all examples agree."""
        squares, norms = values.network["sample_squares"], values.network["gradient_norms"]
        sizes = squares.sum(-2).sqrt()
        sums, signal = squares.sum(-1), norms[..., self.dense].square()
        sums, signal = (torch.cat((v.sum(-1, keepdim=True), v), -1) for v in (sums, signal))
        batch = squares.shape[-1]
        variance = ((sums - batch * signal) / (batch - 1)).clamp(min=0) if batch > 1 else sums * 0
        snr = torch.where(variance > 0, signal * batch / variance, torch.nan)
        edge = torch.stack((sizes.mean(-1), sizes.amax(-1)), dim=-1)
        return torch.cat((edge, snr), dim=-1)
