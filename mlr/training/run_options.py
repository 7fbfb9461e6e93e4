"""Check of the options of a run that belong to no part; torch is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlr.core.checks import known, positive, whole

DTYPES = ("float32", "float64")


def check_run_options(options: Mapping[str, Any]) -> None:
    """Check `epochs`, `steps`, `batch_size`, `dtype`, `max_grad_norm` and `patience`.

    Raises:
        InputError: naming the first that is out of range.
    """
    for name in ("epochs", "batch_size", "steps", "patience"):
        if options[name] is not None or name in ("epochs", "batch_size"):
            whole(name, options[name])
    if options["max_grad_norm"] is not None:
        positive("max_grad_norm", options["max_grad_norm"])
    known("dtype", options["dtype"], DTYPES)
