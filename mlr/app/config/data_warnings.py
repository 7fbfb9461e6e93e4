"""Warnings about data, said in one line each and once, however many runs of a sweep load them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mlr.core import console
from mlr.data.faults import DataWarning

_said: set[str] = set()


@contextmanager
def told() -> Iterator[None]:
    """Say what is warned of data on standard error; other warnings go their way."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        yield
    for one in caught:
        text = str(one.message)
        if not issubclass(one.category, DataWarning):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        elif text not in _said:
            _said.add(text)
            console.say(text)
