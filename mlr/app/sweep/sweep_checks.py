"""Refuse commands of sweeps that are mistakes, before anything is composed or written."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, RangeSweep

from mlr.core.checks import InputError
from mlr.records.run_folder import STORY

MOST_JOBS = 10_000
"""Of more, a person is asked: a zero too many in a range is easily typed."""


def check_count(overrides: Sequence[str], meant: bool) -> None:
    """Refuse a sweep that is large by mistake.

    Args:
        overrides: of the command line.
        meant: True if that many jobs are meant.

    Raises:
        InputError: it has more than 10,000 jobs, which are not meant.
    """
    swept = OverridesParser.create().parse_overrides(list(overrides))
    jobs = prod(_values_of(one.value()) for one in swept if one.is_discrete_sweep())
    if jobs > MOST_JOBS and not meant:
        raise InputError(
            f"this sweep has {jobs:,} jobs, more than {MOST_JOBS:,}; "
            "if all of them are meant, add sweep.yes=true."
        )


def _values_of(value: Any) -> int:
    """Return the number of values of a sweep; those of a glob are not known yet."""
    if isinstance(value, RangeSweep):
        start, stop, step = (float(part or 0) for part in (value.start, value.stop, value.step))
        return max(0, ceil((stop - start) / step))
    return len(value.list) if isinstance(value, ChoiceSweep) else 1


def check_command(typed: Sequence[str], params: bool, resume: str | None) -> None:
    """Refuse a command that would train other runs than are meant.

    Args:
        typed: overrides of the command line.
        params: True if the sweeper has jobs of its own.
        resume: the folder to continue in.

    Raises:
        InputError: `resume` of a single run; or a folder of a sweep without any of its jobs.
    """
    keys = [one.lstrip("+~").partition("=")[0] for one in typed]
    if "resume" in keys:
        raise InputError(
            "resume=… continues one run: leave -m out; a sweep is continued by sweep.resume=…"
        )
    jobs = [key for key in keys if not key.startswith(("sweep.", "allow"))]
    if resume is not None and not jobs and not params:
        raise InputError(
            f"sweep.resume={resume} needs the options of the sweep, too: "
            f"give its command again, which is in {Path(resume, STORY)}."
        )


def check_resume(path: Path, resume: str | None) -> None:
    """Refuse two folders for one sweep.

    Raises:
        InputError: hydra.sweep.dir is another one than the sweep to resume.
    """
    if resume is not None and Path(resume).resolve() != path.resolve():
        raise InputError(
            f"sweep.resume={resume} and hydra.sweep.dir={path} are different folders; "
            "leave hydra.sweep.dir out to resume."
        )
