"""Weights, smoothing, temperature and prior around a kernel: L = S · ℓ(z', q).

z' = z/T + log π. A loss that is linear in its targets, Σ_k w_k t_k f(y_k), is S times the loss
of the targets q = w ⊙ t / S, S = Σ_k w_k t_k, so that kernels know no weights and lose no
digits. Of hard targets q = t, and S is the weight of the class. Losses of separate outputs are
computed for each output as an example of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.core.domains import LEVELS, Levels
from mlr.heads import Softmax
from mlr.heads.base import Head
from mlr.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    SmoothedCrossEntropy,
    SquaredError,
    Tversky,
)
from mlr.losses.base import Loss
from mlr.losses.smoothed_ce import smoothed
from mlr.objectives.compatibility import target_region
from mlr.objectives.kernels.kernel import Kernel
from mlr.objectives.kernels.linear import LINEAR_SE
from mlr.objectives.kernels.sigmoid import SIGMOID_BCE
from mlr.objectives.kernels.softmax import SOFTMAX_CE
from mlr.objectives.targets import ReadTargets

Lists = Mapping[str, Tensor | None]
"""`weight`, `pos_weight` and `log_prior`, each (K,) or None."""
Weighed = tuple[Tensor, Tensor]
"""Targets q, and the factor S."""


class Weighs(Enum):
    """The things that weights are of, by the pair of head and loss."""

    CLASSES = "Σ_k w_k t_k f(y_k): each class in the targets"
    OUTPUTS = "Σ_k w_k ℓ(y_k, t_k): each output, as torch's losses of separate outputs"
    EXAMPLES = "Σ_k w_k t_k · L: each example, by its class"
    NOTHING = "weights would mean nothing"


@dataclass(frozen=True)
class Weighting:
    """Layer between the targets of a pair and its kernel.

    Attributes:
        head, loss, kernel: the pair.
        smoothing: ε, the share of targets that is spread evenly.
        temperature: T.
        of_outputs: whether targets are separate numbers, over which torch takes means.
        weighs: the things that weights are of.
        asks: whether each output's loss is t f(y) + (1 − t) f(1 − y) by itself.
    """

    head: Head
    loss: Loss
    kernel: Kernel
    smoothing: float = 0.0
    temperature: float = 1.0
    of_outputs: bool = field(init=False)
    weighs: Weighs = field(init=False)
    asks: bool = field(init=False)

    def __post_init__(self) -> None:
        # no cached properties, whose lock torch.compile does not enter
        region = target_region(self.head, self.loss)
        is_one = isinstance(region, Levels) or isinstance(self.loss, Tversky)
        of_outputs = region.least_outputs == 1 and not is_one
        weighs = _weighs(self.head, self.loss, self.kernel, of_outputs)
        binary = isinstance(self.loss, BinaryCrossEntropy) or self.kernel is SIGMOID_BCE
        found = {"of_outputs": of_outputs, "weighs": weighs}
        for name, value in {**found, "asks": binary and weighs is Weighs.OUTPUTS}.items():
            object.__setattr__(self, name, value)

    def check(self, lists: Lists, smoothing: float) -> None:
        """Refuse options that mean nothing for this pair.

        Raises:
            InputError: names the option, and what does the same for the pair.
        """
        pair = f"head={self.head.name} loss={self.loss.name}"
        if lists["weight"] is not None and self.weighs is Weighs.NOTHING:
            raise InputError(
                f"weight has one number for each class, and {pair} has no classes; weigh examples "
                "by sample_weight in the call."
            )
        if lists["pos_weight"] is not None and not self.asks:
            remedy = "sample_weight in the call" if self.weighs is Weighs.NOTHING else "weight"
            raise InputError(
                "pos_weight is that of target 1 of separate questions, as of head=sigmoid "
                f"loss=bce, which {pair} is not; use {remedy}."
            )
        if smoothing and isinstance(self.loss, SmoothedCrossEntropy):
            raise InputError(
                f"label_smoothing={smoothing:g} would smooth twice, for loss=smoothed_ce smooths "
                "by its epsilon already; use loss=ce."
            )
        if smoothing and self.weighs is not Weighs.CLASSES:
            raise InputError(
                f"label_smoothing={smoothing:g} needs a loss of one choice among classes, such as "
                f"loss=ce, which {pair} is not; pass soft targets instead."
            )
        if lists["log_prior"] is not None and not isinstance(self.head, Softmax):
            raise InputError(
                "prior is added to the logits of head=softmax as its logarithm, and "
                f"head={self.head.name} is another; use weight or pos_weight."
            )

    def check_lengths(self, lists: Lists, outputs: int) -> None:
        """Refuse lists of another length than there are outputs; one output may have two classes.

        Raises:
            InputError: names the list, its length and the right one.
        """
        of_one = [2]
        if self.weighs is Weighs.OUTPUTS:
            of_one = [1, 2] if self.asks and lists["pos_weight"] is None else [1]
        of_levels = isinstance(self.head.range, Levels)
        for name, values in lists.items():
            allowed = of_one if name == "weight" and outputs == 1 else [outputs]
            if of_levels:
                allowed = [outputs + 1]
            if values is not None and len(values) not in allowed:
                many = " or ".join(str(number) for number in allowed)
                classes = " (of the classes 0 and 1)" if allowed[-1] > outputs else ""
                raise InputError(
                    f"{name.removeprefix('log_')} has {len(values)} numbers, but {outputs} "
                    f"output{'s need' if outputs > 1 else ' needs'} {many}{classes}."
                )

    def form(self, batch: ReadTargets, lists: Lists) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits z' and targets q for the kernel, and the factor S of its losses.

        Of weighted separate outputs z' and q are (…, K, 1) and S is (…, K), else (…, K) and (…).
        """
        z, t, hard = self.shifted(batch.logits, lists), batch.all_rows, batch.hard
        if self.smoothing:
            t, hard = smoothed(t, self.smoothing), False
        weight, yes = (
            None if lists[name] is None else lists[name].to(z.dtype)  # type: ignore[union-attr]
            for name in ("weight", "pos_weight")
        )
        if weight is None and yes is None:
            return z, t, None
        if weight is not None and self.weighs is not Weighs.OUTPUTS:
            if isinstance(self.head.range, Levels):
                return z, t, (LEVELS.shares(t) * weight).sum(-1)
            if self.weighs is Weighs.EXAMPLES:
                return z, t, of_classes(weight, t, True)[1]
            return z, *of_classes(weight, t, hard)
        factor = t.new_ones(())
        if weight is not None and len(weight) > t.shape[-1]:  # of the classes of one output
            t, factor = of_yes_and_no(weight[1], weight[0], t, hard)
        else:
            if yes is not None:
                t, factor = of_yes_and_no(yes, 1.0, t, hard)
            if weight is not None:
                factor = factor * weight
        return z.unsqueeze(-1), t.unsqueeze(-1), factor

    def shifted(self, z: Tensor, lists: Lists) -> Tensor:
        """z/T + log π."""
        if self.temperature != 1:
            z = z / self.temperature
        prior = lists["log_prior"]
        return z if prior is None else z + prior.to(z.dtype)

    def of_mean(
        self, batch: ReadTargets, weight: Tensor | None
    ) -> tuple[Tensor | float, list[Tensor]]:
        """Find what divides torch's mean of this pair: weights of outputs, and of examples.

        `F.mse_loss` and `F.l1_loss` are divided by the weights of outputs, `F.cross_entropy` by
        those of class numbers; the mean of soft targets, and of binary cross-entropy, by counts.
        """
        outputs = batch.logits.shape[-1] // self.head.range.per_target
        each: Tensor | float = outputs if self.of_outputs else 1
        if weight is None:
            return each, []
        weight = weight.to(batch.logits.dtype)
        if self.weighs is Weighs.OUTPUTS:
            squares = isinstance(self.loss, (SquaredError, AbsoluteError))
            return (weight.sum() if squares or self.kernel is LINEAR_SE else each), []
        return each, [] if batch.numbers is None else [weight[batch.numbers]]

    def smooths_directly(self, weight: Tensor | None, looked: bool) -> bool:
        """Tell if smoothed class numbers keep their digits without rows of targets.

        The logarithm of the largest probability is rounded at 1 there, where the true class is
        another. That is lost in the cost of the true class, unless its weight is far below those
        of others.
        """
        if not self.smoothing or weight is None:
            return True
        if not looked:
            return False
        least, mean = weight.amin().item(), weight.mean().item()
        return self.smoothing * mean <= 4 * (1 - self.smoothing) * least

    def of_numbers(self, batch: ReadTargets, weight: Tensor | None) -> Tensor:
        """Weights (…) of examples by their class numbers, 0 without a label: no value is seen."""
        assert batch.numbers is not None
        assert batch.has_label is not None
        counts = batch.has_label.to(batch.logits.dtype)
        return counts if weight is None else counts * weight.to(counts.dtype)[batch.numbers]


def _weighs(head: Head, loss: Loss, kernel: Kernel, of_outputs: bool) -> Weighs:
    if head.range.per_target > 1 or loss.domain.per_target > 1:
        return Weighs.NOTHING
    if isinstance(head.range, Levels):  # whose outputs are no separate questions
        return Weighs.EXAMPLES
    if isinstance(loss, Tversky):  # of a set the outputs are no losses of their own
        return Weighs.NOTHING if head.range.least_outputs == 1 else Weighs.EXAMPLES
    smooths = isinstance(loss, SmoothedCrossEntropy)
    if loss.linear_in_targets or smooths or kernel is SOFTMAX_CE:
        return Weighs.CLASSES
    return Weighs.OUTPUTS if of_outputs and head.range.least_outputs == 1 else Weighs.EXAMPLES


def of_classes(weight: Tensor, t: Tensor, hard: bool) -> Weighed:
    """q (…, K) and S = Σ_k w_k t_k (…); of one output the weights are those of 0 and 1."""
    if t.shape[-1] == 1:
        q, factor = of_yes_and_no(weight[..., 1:], weight[..., :1], t, hard)
        return q, factor[..., 0]
    mass = weight * t
    factor = mass.sum(-1)
    return (t if hard else _shares(mass, factor.unsqueeze(-1), t)), factor


def of_yes_and_no(yes: Tensor, no: Tensor | float, t: Tensor, hard: bool) -> Weighed:
    """q and S = w₁ t + w₀ (1 − t), each (…, K), of outputs that are a question each."""
    mass = yes * t
    factor = mass + no * (1 - t)
    return (t if hard else _shares(mass, factor, t)), factor


def _shares(mass: Tensor, whole: Tensor, t: Tensor) -> Tensor:
    """Mass / whole; the targets where all is 0, which a factor of 0 multiplies later."""
    nothing = whole == 0
    return torch.where(nothing, t, mass / whole.masked_fill(nothing, 1.0))
