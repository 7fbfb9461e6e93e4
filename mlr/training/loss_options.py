"""Options of the group `loss` that are the objective's: weights, smoothing, prior, temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

from mlr.core.checks import InputError, fraction, positive, typed
from mlr.data.base import Dataset
from mlr.heads.base import Head
from mlr.losses.base import Loss

if TYPE_CHECKING:
    from mlr.objectives import Objective

BALANCED = "balanced"
"""Of weight, n/(K · n_c) of a class with n_c of the n training examples: all classes weigh the
same, and the mean weight of the training examples is 1. Of pos_weight, the number of training
examples with target 0 of an output, divided by that with target 1."""
DATA = "data"
"""Prior of the shares of the classes in the training split."""


@dataclass(frozen=True)
class LossOptions:
    """The options as they are given; None leaves one out.

    Attributes:
        weight: of each class: a list, or balanced.
        pos_weight: of target 1: a number, a list of one for each output, or balanced.
        label_smoothing: ε in [0, 1).
        prior: of each class: a list, or data.
        temperature: T > 0.
    """

    weight: Any = None
    pos_weight: Any = None
    label_smoothing: Any = None
    prior: Any = None
    temperature: Any = None

    def check(self, one_class: bool, labelled: bool, classes: int | None) -> None:
        """Refuse values that are never allowed, and options that data of this kind cannot have.

        Args:
            one_class: whether each example may have one class.
            labelled: whether targets may be classes or yes/no labels.
            classes: K, if it is known.

        Raises:
            InputError: says what is allowed.
        """
        if self.label_smoothing is not None:
            fraction("loss.label_smoothing", self.label_smoothing)
        if self.temperature is not None:
            positive("loss.temperature", self.temperature)
        for name, kind in (("weight", BALANCED), ("prior", DATA)):
            _check_list(name, getattr(self, name), kind, one_class, classes)
        given = self.pos_weight
        if given is None:
            return
        shown = _shown("pos_weight", given)
        if not labelled:
            raise InputError(
                f"{shown} needs classes or labels, but the data are a regression; leave it out: "
                "loss.pos_weight=null."
            )
        every = given if isinstance(given, list) else [given]
        if given != BALANCED and not (every and all(_is_number(one) and one > 0 for one in every)):
            raise InputError(
                f"{shown} must be balanced, a number above 0, or a list of one for each output, as "
                "in loss.pos_weight=3."
            )

    def class_weights(self, data: Dataset) -> tuple[float, ...] | None:
        """Return the weights of the classes of these data; None if there are none.

        Raises:
            InputError: as `check`, or a class to be balanced has no training example.
        """
        classes = data.classes
        self.check(classes is not None, classes is not None or data.multilabel, classes)
        if self.weight is None:
            return None
        if self.weight != BALANCED:
            return tuple(float(one) for one in self.weight)
        counts = _counts("weight", BALANCED, data)
        return tuple(sum(counts) / (len(counts) * count) for count in counts)

    def objective(
        self, head: Head, loss: Loss, outputs: int, strict: bool, data: Dataset
    ) -> Objective:
        """Make the objective of these data, with all options but the weights of classes.

        Raises:
            InputError: an option means nothing for the pair, or does not fit the data.
        """
        self._check_pair(head, loss)  # what is refused needs no counts
        prior = self.prior
        if prior == DATA:
            prior = _counts("prior", DATA, data)
        pos_weight = self.pos_weight
        if pos_weight == BALANCED:
            pos_weight = _negatives_per_positive(data, head, outputs)
        return self.of_numbers(head, loss, outputs, strict, pos_weight, prior)

    def of_numbers(
        self,
        head: Head,
        loss: Loss,
        outputs: int,
        strict: bool,
        pos_weight: Sequence[float] | float | None,
        prior: Sequence[float] | None,
    ) -> Objective:
        """Make the objective with these numbers of target 1 and of the classes.

        Raises:
            InputError: an option means nothing for the pair, or is of another number of outputs.
        """
        import torch

        from mlr.objectives import Objective

        self._check_pair(head, loss)
        if isinstance(pos_weight, Sequence) and len(pos_weight) != outputs:
            count = len(pos_weight)
            raise InputError(
                f"{_shown('pos_weight', self.pos_weight)} has {count} number{'s' * (count != 1)}, "
                f"but head={head.name} has {outputs} output{'s' * (outputs != 1)}; give one for "
                "each, or one number for all."
            )
        if isinstance(pos_weight, (int, float)):
            pos_weight = [pos_weight] * outputs
        exact = partial(torch.tensor, dtype=torch.float64)
        return Objective(
            head,
            loss,
            outputs=outputs,
            strict=strict,
            pos_weight=None if pos_weight is None else exact(pos_weight),
            prior=None if prior is None else exact(prior),
            label_smoothing=self.label_smoothing or 0.0,
            temperature=1.0 if self.temperature is None else self.temperature,
        )

    def _check_pair(self, head: Head, loss: Loss) -> None:
        """Refuse options that mean nothing for the pair; `Weighting` knows which do."""
        if self.label_smoothing is None and self.pos_weight is None and self.prior is None:
            return
        from mlr.heads import Softmax
        from mlr.losses import SmoothedCrossEntropy
        from mlr.objectives.kernels.table import kernel_of
        from mlr.objectives.weighting import Weighs, Weighting

        weighting = Weighting(head, loss, kernel_of(head, loss)[0])
        pair = f"head={head.name} loss={loss.name}"
        if self.label_smoothing:
            shown = _shown("label_smoothing", self.label_smoothing)
            if isinstance(loss, SmoothedCrossEntropy):
                raise InputError(
                    f"{shown} would smooth twice, for loss=smoothed_ce smooths by loss.epsilon "
                    "already; use loss=ce."
                )
            if weighting.weighs is not Weighs.CLASSES:
                raise InputError(
                    f"{shown} needs a loss of one choice among classes, such as head=softmax "
                    f"loss=ce, which {pair} is not; leave it out: loss.label_smoothing=null."
                )
        if self.pos_weight is not None and not weighting.asks:
            raise InputError(
                f"{_shown('pos_weight', self.pos_weight)} needs outputs that are a question each, "
                f"as of head=sigmoid loss=bce, which {pair} are not; use loss.weight."
            )
        if self.prior is not None and not isinstance(head, Softmax):
            raise InputError(
                f"{_shown('prior', self.prior)} is added to the logits of head=softmax as its "
                f"logarithm, and head={head.name} is another; use loss.weight or loss.pos_weight."
            )


def _check_list(name: str, given: Any, word: str, one_class: bool, classes: int | None) -> None:
    """Check a list of one number for each class, or the word for one that is counted."""
    if given is None:
        return
    shown = _shown(name, given)
    if not one_class:
        raise InputError(
            f"{shown} needs one class for each example, which these data do not have; leave it "
            f"out: loss.{name}=null."
        )
    if given == word:
        return
    prior = name == "prior"
    if not isinstance(given, list) or not all(
        _is_number(one) and (one > 0 or (one == 0 and not prior)) for one in given
    ):
        least = "above 0" if prior else "of at least 0"
        raise InputError(
            f"{shown} must be {word}, or a list of one number {least} for each class, as in "
            f"loss.{name}=[1,5]."
        )
    if not any(given):
        raise InputError(f"{shown} must hold a number above 0, or nothing would be learnt.")
    if classes is not None and len(given) != classes:
        raise InputError(
            f"{shown} has {len(given)} number{'s' * (len(given) != 1)}, but there are {classes} "
            f"classes; give one for each, or loss.{name}={word}."
        )


def _counts(name: str, word: str, data: Dataset) -> list[int]:
    """Count the training examples of each class, of which none may be without."""
    assert data.classes is not None
    counts: list[int] = data.train.targets.flatten().bincount(minlength=data.classes).tolist()
    if 0 in counts:
        raise InputError(
            f"loss.{name}={word} needs training examples of each class, and class "
            f"{counts.index(0)} has none; give a list, as in loss.{name}=[1,5]."
        )
    return counts


def _negatives_per_positive(data: Dataset, head: Head, outputs: int) -> list[float]:
    """Divide, for each output, training examples with target 0 by those with target 1."""
    import torch

    from mlr.training.examples import targets_of

    targets, count = data.train.targets, len(data.train)
    positives = targets_of(head, targets, data.classes, outputs, torch.float64).sum(0).tolist()
    for output, own in enumerate(positives):
        if own in (0, count):
            raise InputError(
                f"loss.pos_weight=balanced needs training examples with and without label "
                f"{output if outputs > 1 else 1}, and {'none' if own == 0 else 'every one'} has "
                "it; give a number, as in loss.pos_weight=3."
            )
    return [(count - own) / own for own in positives]


def _shown(name: str, value: Any) -> str:
    return f"loss.{name}={typed(value)}".replace(" ", "")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
