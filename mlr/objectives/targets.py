"""Reading of an objective's inputs: class numbers, one-hot or soft rows, along any axis."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from mlr.core.checks import InputError
from mlr.core.domains import OPEN_UNIT, REALS, SIMPLEX, Levels
from mlr.heads.base import Head
from mlr.losses.base import Loss
from mlr.objectives import validation
from mlr.objectives.compatibility import check_pair, target_region

FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
HALVES = {torch.float16, torch.bfloat16}


class ReadTargets(NamedTuple):
    """Logits with their targets, of which one kind is given, or both of ordered classes.

    Attributes:
        logits: z (…, K), the outputs moved to the last axis.
        rows: t (…, K), or None.
        numbers: classes c (…) in 0 … K − 1 (0 and 1 for one output, 0 … K for levels), or None;
            those without a label are any of them.
        given: these as they came; None if all are seen to have a label.
        ignore_index: the number of examples without one.
        counts: weights of the examples by their class, 0 without a label (…), if classes have
            weights or some labels are missing, and values may be looked at.
        hard: True if all targets are known to be 0 or 1, one-hot if they must sum to 1.
        looked: whether values may be looked at.
    """

    logits: Tensor
    rows: Tensor | None
    numbers: Tensor | None
    given: Tensor | None
    ignore_index: int
    counts: Tensor | None
    hard: bool
    looked: bool

    @property
    def has_label(self) -> Tensor | None:
        """False for examples without a label (…); None if all are seen to have one."""
        return None if self.given is None else self.given != self.ignore_index

    @property
    def labelled(self) -> Tensor | int:
        """Number of examples with a label; a tensor where values may not be looked at."""
        has_label = self.has_label
        if has_label is None:
            return self.logits.shape[:-1].numel()
        # a sum of integers is divided in float32, whatever the logits are
        return (
            int(has_label.count_nonzero())
            if self.looked
            else has_label.sum(dtype=self.logits.dtype)
        )

    @property
    def all_rows(self) -> Tensor:
        """t (…, K), one-hot if they are class numbers; of one output these themselves."""
        if self.rows is not None:
            return self.rows
        assert self.numbers is not None
        z, at = self.logits, self.numbers.unsqueeze(-1)
        if z.shape[-1] == 1:
            return at.to(z.dtype)
        # not in place, which vmap would refuse where only one of both is mapped
        return torch.zeros_like(z.detach()).scatter(-1, at, torch.ones_like(at, dtype=z.dtype))


class Reader:
    """Judge of the logits and targets that one objective is called with.

    It knows the pair and the options that say how inputs are read, and no kernel. What depends
    on the width of the logits is found once and not at every step.
    """

    def __init__(
        self,
        head: Head,
        loss: Loss,
        *,
        outputs: int | None,
        strict: bool,
        axis: int | None,
        ignore_index: int,
    ) -> None:
        """Find what the pair asks of its inputs.

        Args:
            head: of a legal pair.
            loss: of it.
            outputs: as of `Objective`, like the others.
            strict: see there.
            axis: see there.
            ignore_index: see there.
        """
        self.head, self.loss, self.axis = head, loss, axis
        self.outputs, self.strict, self.ignore_index = outputs, strict, ignore_index
        region = target_region(head, loss)
        self._per_target = head.range.per_target
        self._refused = [self._refuses(count * self._per_target) for count in (1, 2)]
        self._any_target = region == REALS
        self._looks_for_hard = not loss.of_head and not isinstance(region, Levels)
        self._sum_to_1 = region.least_outputs > 1
        self._squashes = head.range in (OPEN_UNIT, SIMPLEX)
        alone = head.range.least_outputs == 1
        self._unsure_of_axis = axis == -1 and outputs is None and alone
        self._calls = 0

    def read(
        self, logits: Tensor, targets: Tensor, weight: Tensor | None = None
    ) -> tuple[ReadTargets, torch.dtype]:
        """Judge logits and targets; both in the type of kernels, and the type of the results.

        Args:
            logits: z, with the outputs along the axis.
            targets: class numbers, or rows.
            weight: of each class (K,), for `ReadTargets.counts`.

        Raises:
            InputError: shapes differ, K does not suit the pair, or targets are none of the loss.
        """
        z, t = self._outputs_last(logits, targets)
        if is_integer(t) and t.shape == z.shape[:-1]:
            return self._read_numbers(z, t, weight)
        z, t, dtype, hard = self.read_rows(z, t)
        if self.ignore_index >= 0:
            raise InputError(validation.no_numbers(self.ignore_index, targets))
        unused = None, None, self.ignore_index, None
        return ReadTargets(z, t, *unused, hard, _is_looked_at(z)), dtype

    def read_rows(
        self, logits: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor, torch.dtype, bool]:
        """Judge logits and rows with the outputs last; True if all rows are seen to be hard.

        Raises:
            InputError: as `read`.
        """
        count, types = self._per_target, (logits.dtype, targets.dtype)
        same = logits.shape == targets.shape if count == 1 else False
        if not same or not FLOATS.issuperset(types):
            validation.check_shapes(logits, targets, count)
        self._check_width(logits)
        hard = _is_looked_at(logits) and self._check_values(logits, targets)
        return *computed(logits, targets), hard

    def _read_numbers(
        self, z: Tensor, c: Tensor, weight: Tensor | None
    ) -> tuple[ReadTargets, torch.dtype]:
        """Judge logits (…, K) and class numbers (…)."""
        width, ordered = self._check_width(z), self.head.ordered
        real = self._any_target and width == 1 and not ordered
        if self.loss.of_head or self._per_target > 1 or real:
            raise InputError(validation.no_classes(self.loss, c))
        looked = _is_looked_at(z)
        classes = width + 1 if ordered else max(width, 2)
        z, _, dtype = computed(z, z)
        if weight is not None:  # of another length it is refused by the objective
            weight = weight.to(z.dtype) if len(weight) == classes else None
        c = c.long()
        if looked:
            inside, counts, all_labelled = read_numbers(
                c, width, classes, self.ignore_index, weight, z.dtype
            )
        else:
            inside, counts, all_labelled = c.masked_fill(c == self.ignore_index, 0), None, False
        if looked:
            self._look_at(z)
        rows = self.head.encode(inside, width).to(z.dtype) if ordered else None
        given = None if all_labelled else c
        return ReadTargets(z, rows, inside, given, self.ignore_index, counts, True, looked), dtype

    def _outputs_last(self, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Move the outputs of logits, and of targets that have them, to the last axis: views."""
        axis = self.axis
        if axis is None:
            # a class number needs no output axis
            return logits.unsqueeze(-1), targets if is_integer(targets) else targets.unsqueeze(-1)
        if axis in (-1, logits.dim() - 1):
            return logits, targets
        if not -logits.dim() <= axis < logits.dim():
            raise InputError(
                f"axis={axis} must be an axis of the logits, which have shape "
                f"{tuple(logits.shape)}."
            )
        last, given = logits.movedim(axis, -1), targets.shape
        if targets.dim() == logits.dim():
            targets = targets.movedim(axis, -1)
            fits = targets.shape[:-1] == last.shape[:-1]
        else:
            fits = given == last.shape[:-1] and is_integer(targets)
        if not fits:
            raise InputError(
                f"targets of type {targets.dtype} and shape {tuple(given)} do not fit logits of "
                f"shape {tuple(logits.shape)} with axis={axis}: class numbers must have shape "
                f"{tuple(last.shape[:-1])}, and other targets that of the logits."
            )
        return last, targets

    def _refuses(self, width: int) -> bool:
        """Tell if logits of this width are illegal."""
        try:
            check_pair(self.head, self.loss, width, self.strict)
        except InputError:
            return True
        return False

    def _check_width(self, logits: Tensor) -> int:
        """Judge the number of outputs, and return it."""
        width = logits.shape[-1] if logits.dim() else 0
        if width == 0 or (self.outputs is not None and width != self.outputs):
            self._refuse_width(logits)
        if self._refused[width > self._per_target]:
            check_pair(self.head, self.loss, width, self.strict)
        return width

    def _refuse_width(self, logits: Tensor) -> None:
        if logits.dim() == 0:
            raise InputError("logits of shape () have no output axis; use shape (…, K).")
        raise InputError(
            f"logits of shape {tuple(logits.shape)} have {logits.shape[-1]} outputs, but this "
            f"objective was made for outputs={self.outputs or 'at least 1'}."
        )

    def _check_values(self, logits: Tensor, targets: Tensor) -> bool:
        """Refuse targets that are none of the loss, warn of logits that are probabilities.

        Returns:
            Whether all targets are hard: 0 or 1, and one-hot where they must sum to 1.
        """
        self._look_at(logits)
        if self._any_target or not targets.numel():
            return False
        if self._looks_for_hard and _is_hard(targets, self._sum_to_1 and targets.shape[-1] > 1):
            return True
        validation.check_targets(self.head, self.loss, targets)
        return False

    def _look_at(self, logits: Tensor) -> None:
        """Warn of logits that are probabilities, or examples without an output axis."""
        self._calls += 1
        # at calls 1, 2, 4, 8 …: who passes probabilities does so from the first
        if self._calls.bit_count() > 1:
            return
        if self._squashes and validation.warn_of_probabilities(self.head, logits):
            self._squashes = False
        if self._unsure_of_axis and validation.warn_of_one_example(logits):
            self._unsure_of_axis = False


def is_integer(targets: Tensor) -> bool:
    """Tell if targets are whole numbers by their type."""
    kind = targets.dtype
    return not (kind.is_floating_point or kind.is_complex or kind is torch.bool)


def read_numbers(
    numbers: Tensor,
    outputs: int,
    classes: int,
    ignore_index: int,
    weight: Tensor | None,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor | None, bool]:
    """Look at class numbers (…) of int64.

    Args:
        numbers: c (…).
        outputs: K.
        classes: how many classes these outputs have.
        ignore_index: the number of examples without a label.
        weight: of each class (K,), in `dtype`.
        dtype: of the weights of examples.

    Returns:
        The numbers, within the classes where there is no label; `counts` as in `ReadTargets`; and
        whether all have a label.

    Raises:
        InputError: a number is no class of these.
    """
    is_outside = False
    if numbers.numel():
        low, high = torch.aminmax(numbers)
        is_outside = low.item() < 0 or high.item() >= classes
    if not (is_outside or 0 <= ignore_index < classes):
        # an index in brackets takes three times as long
        own = None if weight is None else weight.index_select(0, numbers.reshape(-1))
        return numbers, None if own is None else own.view(numbers.shape), True
    try:
        # torch's own reading of labels and weights takes half the time of comparisons
        counts = nll_loss(
            MINUS[dtype].expand(numbers.numel(), classes),
            numbers.reshape(-1),
            weight,
            ignore_index=ignore_index,
            reduction="none",
        )
    except IndexError:
        _refuse(numbers[numbers != ignore_index], outputs, classes)
    # a fill by a mask takes ten times as long as limits
    inside = numbers.clamp(0, classes - 1) if is_outside else numbers
    return inside, counts.view(numbers.shape), False


MINUS = {
    kind: torch.full((1, 1), -1.0, dtype=kind, device="cpu")
    for kind in (torch.float32, torch.float64)
}


def _refuse(numbers: Tensor, outputs: int, classes: int) -> NoReturn:
    number = int(numbers[(numbers < 0) | (numbers >= classes)][0])
    owner = "one output has" if outputs == 1 else f"{outputs} outputs have"
    remedy = (
        f"{number} marks examples without a label: use ignore_index={number}"
        if number in validation.NO_LABEL
        else "other targets than classes must be floating point, in the shape of the logits"
    )
    raise InputError(
        f"targets hold the class {number}, but {owner} the classes 0 to {classes - 1}; {remedy}."
    )


def computed(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, torch.dtype]:
    """Logits and targets in the type that kernels compute in, and the type of the results."""
    dtype = logits.dtype
    if targets.dtype == dtype and dtype not in HALVES:
        return logits, targets, dtype
    if dtype in HALVES:
        autocast = torch.is_autocast_enabled(logits.device.type)
        return logits.float(), targets.float(), torch.float32 if autocast else dtype
    return logits, targets.to(dtype), dtype


def is_transformed() -> bool:
    """Return True inside a transform of torch.func, where values are not to be looked at."""
    return torch._C._are_functorch_transforms_active()


def _is_looked_at(logits: Tensor) -> bool:
    return logits.is_cpu and not (torch.compiler.is_compiling() or is_transformed())


def _is_hard(targets: Tensor, sum_to_1: bool) -> bool:
    """Tell if all targets are 0 or 1, and sum to 1 over the outputs where they must."""
    targets = targets.detach()
    low, high = torch.aminmax(torch.addcmul(targets, targets, targets, value=-1))
    if low.item() != 0.0 or high.item() != 0.0:
        return False
    if not sum_to_1:
        return True
    # as exact for zeros and ones as a sum over the outputs, which takes half as long again
    low, high = torch.aminmax(targets.matmul(_ones(targets.shape[-1], targets.dtype)))
    return low.item() == 1.0 and high.item() == 1.0


@lru_cache(maxsize=64)
def _ones(count: int, dtype: torch.dtype) -> Tensor:
    return torch.ones(count, dtype=dtype, device="cpu")
