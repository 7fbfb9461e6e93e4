"""The objective: a head and a loss as one function of logits, with its exact gradient."""

from __future__ import annotations

from math import nan
from typing import Any

import torch
from torch import Tensor

from mlr.core.checks import fraction, known, positive
from mlr.core.domains import IGNORED
from mlr.heads.base import Head
from mlr.losses import CrossEntropy, SmoothedCrossEntropy
from mlr.losses.base import Loss
from mlr.objectives.autograd import attached, is_functional
from mlr.objectives.compatibility import check_pair, find_head, find_loss
from mlr.objectives.kernels.kernel import is_moderate, times
from mlr.objectives.kernels.table import kernel_of
from mlr.objectives.options import Numbers, vector
from mlr.objectives.reduction import (
    REDUCTIONS,
    checked_sample_weight,
    divided,
    labelled,
    total_weight,
)
from mlr.objectives.targets import Reader, ReadTargets, is_transformed
from mlr.objectives.weighting import Weighting

USUAL = {
    **{"axis": -1, "ignore_index": IGNORED, "label_smoothing": 0.0, "temperature": 1.0},
    "reduction": "none",
}
"""Options that are shown where they are others."""


class Objective(torch.nn.Module):
    """Losses and closed-form dL/dz of logits (…, K) against targets.

    Logits are (…, PK) for a head that predicts P numbers for each target. Any leading axes:
    (B, K), or (R, B, K) for R runs; `axis` says where the outputs are if not last. Targets are
    class numbers (…) of an integer type, or rows (…, K): one-hot or soft probabilities, levels
    of ordered classes, real numbers for squared error.

    A pair is computed by its kernel in the type of the logits; half precision in float32,
    rounded once. Value and dL/dz are within 4 ulp of the truth for hard targets, tails and
    subnormal numbers included, and within 4 ulp of the largest term for soft ones;
    `mlr.objectives.kernels` says where the bound is another.

    Works under torch.func, torch.compile and autocast, whose half-precision logits give float32
    losses. On an accelerator, and in what is compiled, no value is looked at.

    ∞ and NaN: a logit of −∞ is a masked class of a softmax or a sure output of a sigmoid: it
    costs nothing unless it is asked for, and ∞ then, with the finite gradient of the limit.
    +∞ is that for a sigmoid and NaN for a softmax. NaN stays NaN, in its own example.

    Misuse is refused where values can be seen (eager, on the CPU): targets outside the loss's
    domain, numbers that are no class, shapes that do not fit; logits that look like
    probabilities are warned of once.

    Options are those of torch's losses: with z' = z/T + log π, q the smoothed and weighed
    targets and S their weight, an example costs S · ℓ(z', q). Weights and priors are buffers.

    Attributes:
        head: the head, logits → predictions.
        loss: the loss, predictions and targets → cost.
        kernel: the two functions that are computed, losses and gradient.
        exact: whether the kernel is an exact one of the pair; otherwise it is composed of head
            and loss by automatic differentiation.
    """

    weight: Tensor | None
    pos_weight: Tensor | None
    log_prior: Tensor | None

    def __init__(
        self,
        head: Head | str,
        loss: Loss | str,
        *,
        outputs: int | None = None,
        strict: bool = True,
        axis: int | None = -1,
        weight: Numbers | None = None,
        pos_weight: Numbers | None = None,
        ignore_index: int = IGNORED,
        label_smoothing: float = 0.0,
        temperature: float = 1.0,
        prior: Numbers | None = None,
        reduction: str = "none",
    ) -> None:
        """Join `head` and `loss`, instances or names.

        Args:
            head: a head or the name of one.
            loss: a loss or the name of one.
            outputs: K, if it is known; logits of another width are then refused.
            strict: False lets pairs run that are defined but senseless.
            axis: of the outputs in the logits, as 1 for (B, K, H, W); None for logits that have
                none, each number being the one output of its example.
            weight: of each class, w_k (K,); of each output, for losses of separate outputs
                such as bce; of one output it may be that of the classes 0 and 1, and of cumulative
                and corn it is that of the K + 1 classes.
            pos_weight: of target 1 of each output (K,), for bce.
            ignore_index: class number of examples that count nothing.
            label_smoothing: ε in [0, 1): targets become (1 − ε)t + ε/K.
            temperature: T, which the logits are divided by.
            prior: frequencies or probabilities π_k (K,) of the classes, whose logarithms are
                added to the logits (Menon et al., Long-tail learning via logit adjustment, ICLR
                2021); π ** τ for their τ.
            reduction: "none" for one loss an example; "sum"; "mean", as torch's loss of the pair
                has it, a mean weighted by class and example; "plain_mean", Σ L by the number of
                examples that have a label. `mlr.objectives.reduction` has the formulas.

        Raises:
            InputError: the pair is not legal, see `check_pair`, or has no such option.
        """
        super().__init__()
        self.head, self.loss = find_head(head), find_loss(loss)
        self.outputs, self.strict, self.axis = outputs, strict, axis
        self.ignore_index, self.reduction = ignore_index, known("reduction", reduction, REDUCTIONS)
        self.label_smoothing = float(fraction("label_smoothing", label_smoothing))
        self.temperature = float(positive("temperature", temperature))
        check_pair(self.head, self.loss, outputs, strict)
        for name, values in (("weight", weight), ("pos_weight", pos_weight), ("log_prior", prior)):
            shown = name.removeprefix("log_")
            found = None if values is None else vector(shown, values, above=shown == "prior")
            if shown == "prior" and found is not None:
                found = (found / found.sum()).log()
            self.register_buffer(name, found)
        self._reader = Reader(
            self.head,
            self.loss,
            outputs=outputs,
            strict=strict,
            axis=axis,
            ignore_index=ignore_index,
        )
        self._find_kernel()
        self._weighting.check(self._buffers, self.label_smoothing)
        self._fitting: set[int] = set()
        if outputs is not None:
            self._check_lengths(outputs)
        self._plain = reduction == "none" and axis == -1 and not self._changes_losses()

    def losses(
        self, logits: Tensor, targets: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """L (…), one weighted number an example, 0 where it is ignored; no reduction.

        Raises:
            InputError: as `forward`.
        """
        if self._plain and sample_weight is None and targets.is_floating_point():
            return self._of_rows(logits, targets)
        batch, dtype = self._read(logits, targets)
        if self._is_direct(batch, sample_weight):
            return self._of_numbers(batch, "none").to(dtype)
        return self._each(batch, sample_weight).to(dtype)

    def gradient(
        self, logits: Tensor, targets: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """dL/dz in the shape of the logits: of each example's own loss, or of the reduced one.

        Raises:
            InputError: as `forward`.
        """
        if self._plain and sample_weight is None and targets.is_floating_point():
            logits, targets, dtype, _ = self._reader.read_rows(logits, targets)
            return self.kernel.gradient(logits, targets).to(dtype)
        batch, dtype = self._read(logits, targets)
        z, q, factor = self._weighting.form(batch, self._buffers)
        slopes = self.kernel.gradient(z, q)
        if factor is not None:
            slopes = slopes * factor.unsqueeze(-1)
        if slopes.dim() > batch.logits.dim():
            slopes = slopes.squeeze(-1)
        if self.temperature != 1:
            slopes = slopes / self.temperature
        if sample_weight is not None:
            slopes = slopes * checked_sample_weight(sample_weight, slopes[..., 0]).unsqueeze(-1)
        total = self._total(batch, sample_weight)
        if total is not None:
            slopes = divided(slopes, total, 0.0)
        if batch.has_label is not None:  # last, for the total of none is 0
            slopes = slopes.masked_fill(~batch.has_label.unsqueeze(-1), 0.0)
        if self.axis is None:
            slopes = slopes.squeeze(-1)
        elif self.axis != -1:
            slopes = slopes.movedim(-1, self.axis)
        return slopes.to(dtype)

    def forward(
        self, logits: Tensor, targets: Tensor, sample_weight: Tensor | None = None
    ) -> Tensor:
        """L (…), or its reduction (), with autograd attached: its backward is `gradient`.

        Args:
            logits: z (…, K), or with the outputs along `axis`.
            targets: class numbers (…), or rows in the shape of the logits.
            sample_weight: of each example (…), which multiplies its loss.

        Raises:
            InputError: shapes differ, K does not suit the pair, or targets are none of the loss.
        """
        if self._plain and sample_weight is None and targets.is_floating_point():
            return self._of_rows(logits, targets)
        batch, dtype = self._read(logits, targets)
        if self._is_direct(batch, sample_weight):
            losses = self._of_numbers(batch, self.reduction)
        else:
            losses, total = self._each(batch, sample_weight), self._total(batch, sample_weight)
            losses = losses if total is None else divided(losses.sum(), total, nan)
        return losses if losses.dtype == dtype else losses.to(dtype)

    def _of_rows(self, logits: Tensor, targets: Tensor) -> Tensor:
        """L (…) of logits and rows (…, K) without any option."""
        logits, targets, dtype, seen = self._reader.read_rows(logits, targets)
        losses = self._computed_losses(logits, targets, seen)
        return losses if losses.dtype == dtype else losses.to(dtype)

    def _computed_losses(self, logits: Tensor, targets: Tensor, seen: bool) -> Tensor:
        """L (…) of the kernel; `seen` says that all targets are seen to be hard."""
        kernel = self.kernel
        with_graph = torch.is_grad_enabled() and (logits.requires_grad or targets.requires_grad)
        if kernel.differentiable or not (with_graph or is_transformed()):
            return kernel.losses(logits, targets)
        if kernel.hard_losses is not None and seen and is_moderate(logits):
            return kernel.hard_losses(logits, targets)
        return attached(kernel, logits, targets)

    def _read(self, logits: Tensor, targets: Tensor) -> tuple[ReadTargets, torch.dtype]:
        """Judge logits, targets, and the lengths of weights."""
        weight = None if self.kernel.of_classes is None else self._buffers["weight"]
        batch, dtype = self._reader.read(logits, targets, weight)
        self._check_lengths(batch.logits.shape[-1])
        return batch, dtype

    def _each(self, batch: ReadTargets, sample_weight: Tensor | None) -> Tensor:
        """L (…), weighted, and 0 where it is ignored."""
        z, q, factor = self._weighting.form(batch, self._buffers)
        # smoothed targets are soft
        seen = batch.hard and batch.looked and not self._weighting.smoothing
        losses = self._computed_losses(z, q, seen)
        if factor is not None:
            losses = times(factor, losses)
        if losses.dim() == batch.logits.dim():  # each output an example of its own
            losses = losses.sum(-1)
        if sample_weight is not None:
            losses = times(checked_sample_weight(sample_weight, losses), losses)
        return losses if batch.has_label is None else losses.masked_fill(~batch.has_label, 0.0)

    def _of_numbers(self, batch: ReadTargets, reduction: str) -> Tensor:
        """L (…) of class numbers without one-hot rows, or their reduction."""
        assert batch.numbers is not None
        assert self.kernel.of_classes is not None
        z, axis, weight = self._weighting.shifted(batch.logits, self._buffers), -1, batch.counts
        total: Tensor | float | None = None
        if self.axis not in (None, -1, z.dim() - 1):
            axis = self.axis
            z = z.movedim(-1, axis)
        if not batch.looked:
            weight = self._weighting.of_numbers(batch, self._buffers["weight"])
        if reduction == "mean":
            if weight is None:
                total = batch.labelled
            else:
                total = weight.sum().item() if batch.looked else weight.sum()
        elif reduction != "none":
            total = self._total(batch, None)
        smoothing, of_class = self._weighting.smoothing, self._buffers["weight"]
        return self.kernel.of_classes(z, batch.numbers, axis, weight, total, smoothing, of_class)

    def _is_direct(self, batch: ReadTargets, sample_weight: Tensor | None) -> bool:
        """Tell if losses of this batch are computed without one-hot rows."""
        return (
            self.kernel.of_classes is not None
            and batch.numbers is not None
            and sample_weight is None
            and batch.logits.shape[-1] > 1
            and self._weighting.smooths_directly(self._buffers["weight"], batch.looked)
            and not torch.compiler.is_compiling()
            and not is_functional()
        )

    def _total(self, batch: ReadTargets, sample_weight: Tensor | None) -> Tensor | float | None:
        """The number that divides the sum of all losses; None where they are not added up."""
        if self.reduction == "none":
            return None
        if self.reduction == "sum":
            return 1
        if self.reduction == "plain_mean":
            return labelled(batch)
        each, weights = self._weighting.of_mean(batch, self._buffers["weight"])
        if sample_weight is not None:
            own = checked_sample_weight(sample_weight, batch.logits[..., 0].detach())
            weights.append(own)
        return total_weight(batch, weights, each)

    def _changes_losses(self) -> bool:
        """Tell if any option is set that the losses of rows depend on."""
        return (
            any(own is not None for own in self._buffers.values())
            or self.label_smoothing > 0
            or self.temperature != 1
            or self.ignore_index >= 0
        )

    def _find_kernel(self) -> None:
        """Set the kernel and what is around it: weights are of smoothed targets."""
        self.kernel, self.exact = kernel_of(self.head, self.loss)
        smoothing = self.label_smoothing
        if isinstance(self.loss, SmoothedCrossEntropy) and self.weight is not None:
            smoothing = self.loss.epsilon
            self.kernel, self.exact = kernel_of(self.head, CrossEntropy())
        self._weighting = Weighting(self.head, self.loss, self.kernel, smoothing, self.temperature)

    def _check_lengths(self, outputs: int) -> None:
        if outputs not in self._fitting:
            self._weighting.check_lengths(self._buffers, outputs)
            self._fitting.add(outputs)

    def extra_repr(self) -> str:
        """Return the text between the brackets when torch prints the module."""
        return ", ".join(
            [
                f"head={self.head.name}, loss={self.loss.name}, exact={self.exact}",
                *(
                    f"{name}={getattr(self, name)!r}"
                    for name, usual in USUAL.items()
                    if getattr(self, name) != usual
                ),
                *(f"{name}=({len(own)},)" for name, own in self.named_buffers()),
            ]
        )

    def _repr_html_(self) -> str:
        """Display the curves of loss and gradient in a notebook."""
        from mlr.objectives.display import html

        # that of the pair, whatever weights are set
        return html(self.head, self.loss, kernel_of(self.head, self.loss)[0], self.outputs)

    def __getstate__(self) -> dict[str, Any]:
        made = ("kernel", "_weighting")  # again, by `__setstate__`
        return {name: value for name, value in self.__dict__.items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._find_kernel()
