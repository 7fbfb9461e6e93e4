"""Lists of numbers that are options of an objective, checked when it is made."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mlr.core.checks import InputError

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
