"""How many jobs a sweep has, before any of them is composed."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep

from mlr.core.checks import InputError

MOST_JOBS = 10_000
"""Of more, a person is asked: a zero too many in a range is easily typed."""


def check_count(overrides: Sequence[str], meant: bool) -> None:
    """Refuse a sweep that is large by mistake.

    Args:
        overrides: of the command line.
        meant: whether it is none.

    Raises:
        InputError: it has more than 10,000 jobs, which are not meant.
    """
    swept = OverridesParser.create().parse_overrides(list(overrides))
    jobs = prod(values_of(one) for one in swept if one.is_discrete_sweep())
    if jobs > MOST_JOBS and not meant:
        raise InputError(
            f"this sweep has {jobs:,} jobs, more than {MOST_JOBS:,}; "
            "if all of them are meant, add sweep.yes=true."
        )


def values_of(override: Override) -> int:
    """How many values an override takes; those of a glob are not known yet."""
    value: Any = override.value()
    if isinstance(value, RangeSweep):
        start, stop, step = (float(part or 0) for part in (value.start, value.stop, value.step))
        return max(0, ceil((stop - start) / step))
    return len(value.list) if isinstance(value, ChoiceSweep) else 1
