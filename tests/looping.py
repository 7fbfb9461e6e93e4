"""Loop over cases inside one test: an item of pytest for each costs more than most cases."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import pytest


def looped(names: str, cases: Iterable[Any]) -> Callable[[Callable], Callable]:
    """Call the test for every case as pytest.mark.parametrize does, but within one item.

    Every case is tried; those that fail are raised together, each with its values in a note.
    Fixtures are set up once for all cases.

    Args:
        names: names of the arguments that a case gives, separated by a comma and a space.
        cases: a value each, or for several names a tuple.
    """
    taken, given = names.split(", "), [*cases]
    assert given, "a test of no case cannot fail"

    def decorate(test: Callable) -> Callable:
        signature = inspect.signature(test)

        @wraps(test)
        def over_all(**fixtures: Any) -> None:
            failures, skipped = [], None
            for case in given:
                values = dict(zip(taken, case if len(taken) > 1 else [case], strict=True))
                try:
                    test(**values, **fixtures)
                except pytest.skip.Exception as reason:
                    skipped = reason
                # that of pytest.raises is no Exception
                except (Exception, pytest.fail.Exception) as failure:
                    failure.add_note("with " + ", ".join(f"{k}={v}" for k, v in values.items()))
                    failures.append(failure)
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} of {len(given)} cases", failures)
            if skipped is not None:
                raise skipped

        rest = [one for name, one in signature.parameters.items() if name not in taken]
        over_all.__signature__ = signature.replace(
            parameters=[one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in rest]
        )
        return over_all

    return decorate
