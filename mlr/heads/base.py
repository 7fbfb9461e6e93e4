"""The base class of heads: a map from logits to predictions, and its convex potential."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from mlr.core.checks import InputError
from mlr.core.domains import Region

if TYPE_CHECKING:
    from torch import Tensor


def clipped(logits: Tensor, low: float, high: float) -> Tensor:
    """Return max(low, min(high, z)), whose derivative is 1 on the closed interval.

    At its ends torch.clamp has the derivative 1 until torch 2.13, and 0 from 2.14 on.
    """
    return logits.masked_fill(logits < low, low).masked_fill(logits > high, high)


class Head(ABC):
    """An output unit: logits z (…, K) → predictions y (…, K). Pure and without state.

    Where the range has several numbers for each target, there are as many logits for each.

    Written with tensor methods only, so that importing a head costs no torch import.
    """

    name: ClassVar[str]
    range: ClassVar[Region]
    middle: ClassVar[float | None] = None
    """The logit of y = ½, where that is a number; it then decides, and no rounding of y."""
    ordered: ClassVar[bool] = False
    """True for heads of ordered classes, whose outputs and targets are levels."""
    has_potential: ClassVar[bool] = True
    """False where no potential has the head for gradient; `matching` is then refused."""

    @abstractmethod
    def __call__(self, logits: Tensor) -> Tensor:
        """Predictions y (…, K) of logits z (…, K)."""

    def point(self, predictions: Tensor) -> Tensor:
        """Number (…, K) that stands for each target: the prediction, or the mean of a density."""
        return predictions

    def std(self, predictions: Tensor) -> Tensor:
        """Standard deviation (…, K) of each target, of heads that predict a density.

        Raises:
            TypeError: the head predicts none.
        """
        raise TypeError(f"head={self.name} predicts no standard deviation.")

    def rescaled(self, predictions: Tensor, offset: Tensor, divisor: Tensor) -> Tensor:
        """Predictions (…, P·K) of targets d·t + o, of those of targets t, for o and d (K,).

        Raises:
            InputError: there are several numbers for each target, and the head does not say how
                they change.
        """
        if self.range.per_target > 1:
            raise InputError(
                f"head={self.name} does not say how {self.range} change with the unit of the "
                "targets; define its `rescaled`, or train with data.target_scale=none."
            )
        return predictions * divisor + offset

    @abstractmethod
    def potential(self, logits: Tensor) -> Tensor:
        """A(z) (…), summed over the K outputs, convex, with ∇A(z) = y: the matching loss."""

    @abstractmethod
    def slope(self, logits: Tensor) -> Tensor:
        """∂y_k/∂z_k (…, K), the response of each output to its own logit."""

    def outputs(self, classes: int) -> int:
        """Return how many logits this head needs for `classes` classes.

        One for each class; one for two classes, where a single output is not the constant 1.
        """
        return max(1 if classes == 2 else classes, self.range.least_outputs)

    def outputs_of(self, classes: int | None, targets: int) -> int:
        """Return how many logits this head needs for data of `classes` classes.

        Where that is None, for `targets` values or labels.
        """
        return self.range.per_target * targets if classes is None else self.outputs(classes)

    def encode(self, classes: Tensor, outputs: int) -> Tensor:
        """Targets t (…, K) of class numbers (…): one-hot; of one output the number itself."""
        if outputs == 1:
            return classes.unsqueeze(-1)
        numbers = classes.new_ones(outputs).cumsum(0) - 1
        return (classes.unsqueeze(-1) == numbers).to(classes.dtype)

    def decode(self, targets: Tensor) -> Tensor:
        """Class numbers (…) of targets t (…, K), in their type."""
        outputs = targets.shape[-1]
        if outputs == 1:
            return targets[..., 0]
        # Σ k t_k, several times as fast as the place of the 1
        numbers = targets.new_ones(outputs).cumsum(0) - 1
        return (targets * numbers).sum(-1)

    def class_shares(self, predictions: Tensor) -> Tensor:
        """Probabilities of the classes (…, classes), of a head whose predictions (…, K) state them.

        The predictions themselves; of one output (1 − y, y).
        """
        if predictions.shape[-1] > 1:
            return predictions
        from torch import cat

        return cat([1 - predictions, predictions], -1)

    def classify(self, logits: Tensor) -> Tensor:
        """Class indices (…): y ≥ ½ for one output, else the largest logit.

        Every head of mlr grows with its own logit, so the largest logit is the largest
        prediction, and a tie that clipping or rounding makes is broken by the logits.
        """
        return self.decide(logits).long()

    def decide(self, logits: Tensor) -> Tensor:
        """Return the classes in the type of the logits: floats compare faster than booleans."""
        outputs = logits.shape[-1]
        if outputs == 1 and self.middle is not None:
            return logits[..., 0].clone().ge_(self.middle)
        if outputs == 1:
            return self(logits)[..., 0].clone().ge_(0.5)
        # the first of equals, as argmax, at a tenth of its time for few classes; NaN: the last
        from_behind = outputs - logits.new_ones(outputs).cumsum(0)
        largest = logits.clone().eq_(logits.amax(-1, keepdim=True))
        return outputs - 1 - largest.mul_(from_behind).amax(-1)
