"""Options of an objective, checked when it is made."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlr.core.checks import InputError
from mlr.heads import Softmax
from mlr.heads.base import Head
from mlr.losses import SmoothedCrossEntropy
from mlr.losses.base import Loss
from mlr.objectives.kernels.kernel import Kernel
from mlr.objectives.weighting import Weighs, takes_pos_weight, weighs

Numbers = Tensor | Sequence[float]


def vector(name: str, values: Numbers, above: bool = False) -> Tensor:
    """Return numbers as a tensor (N,) of floats; a list has torch's default type.

    Args:
        name: of the option.
        values: numbers of at least 0.
        above: whether they must be above 0.

    Raises:
        InputError: they are no such list.
    """
    try:
        found = torch.as_tensor(values).detach()
        found = found if found.is_floating_point() else found.to(torch.get_default_dtype())
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}={values!r} must be a list of numbers.") from error
    if found.dim() != 1 or not len(found):
        raise InputError(
            f"{name} of shape {tuple(found.shape)} must be a list: one number for each class."
        )
    # a copy: the objective does not change with the list of its caller
    found = found.clone()
    if not (found.isfinite() & ((found > 0) if above else (found >= 0))).all():
        least = "above 0" if above else "of at least 0"
        raise InputError(f"{name}={found.tolist()} must hold finite numbers {least}.")
    return found


def check_options(
    head: Head,
    loss: Loss,
    kernel: Kernel,
    *,
    weight: Tensor | None,
    pos_weight: Tensor | None,
    smoothing: float,
    prior: Tensor | None,
) -> None:
    """Refuse options that mean nothing for this pair.

    Raises:
        InputError: names the option, and what does the same for the pair.
    """
    pair = f"head={head.name} loss={loss.name}"
    kind = weighs(head, loss, kernel)
    if weight is not None and kind is Weighs.NOTHING:
        raise InputError(
            f"weight has one number for each class, and {pair} has no classes; weigh examples by "
            "sample_weight in the call."
        )
    if pos_weight is not None and not takes_pos_weight(head, loss, kernel):
        raise InputError(
            f"pos_weight is the weight of target 1 of separate questions, as of head=sigmoid "
            f"loss=bce, which {pair} is not; use weight, one number for each class."
        )
    if smoothing:
        if isinstance(loss, SmoothedCrossEntropy):
            raise InputError(
                f"label_smoothing={smoothing:g} would smooth twice, for loss=smoothed_ce smooths "
                "by its epsilon already; use loss=ce."
            )
        if kind is not Weighs.CLASSES:
            raise InputError(
                f"label_smoothing={smoothing:g} needs a loss of one choice among classes, such as "
                f"loss=ce, which {pair} is not; pass soft targets instead."
            )
    if prior is not None and not isinstance(head, Softmax):
        raise InputError(
            f"prior is added to the logits of head=softmax as its logarithm, and head={head.name} "
            "is another; use weight or pos_weight."
        )


def check_lengths(
    weight: Tensor | None,
    pos_weight: Tensor | None,
    prior: Tensor | None,
    outputs: int,
    kind: Weighs,
    pairs: bool,
) -> None:
    """Refuse lists of another length than there are outputs; one output may have two classes.

    Raises:
        InputError: names the list, its length and the right one.
    """
    of_one = [2]
    if kind is Weighs.OUTPUTS:
        of_one = [1, 2] if pairs else [1]
    for name, values in (("weight", weight), ("pos_weight", pos_weight), ("prior", prior)):
        allowed = of_one if name == "weight" and outputs == 1 else [outputs]
        if values is not None and len(values) not in allowed:
            many = " or ".join(str(number) for number in allowed)
            pair = " (of the classes 0 and 1)" if 2 in allowed and outputs == 1 else ""
            raise InputError(
                f"{name} has {len(values)} numbers, but {outputs} "
                f"output{'s need' if outputs > 1 else ' needs'} {many}{pair}."
            )
