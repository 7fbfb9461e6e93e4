"""Choose the runs of a sweep that are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlr.app.sweep.sweep_job import SweepJob

MOST_DRAWN = 12
"""Runs of a sweep that are drawn: a person looks at no more, and each takes a moment."""
PARTS = ("head", "loss", "model", "data")


def drawn_jobs(jobs: Iterable[SweepJob], seen: set[Sequence[str]]) -> set[int]:
    """Numbers of the jobs that are drawn: the first of each head, loss, model and data.

    Args:
        jobs: of a sweep, in the order of their numbers.
        seen: what was drawn of the sweep before; what is chosen now is added.
    """
    chosen = set()
    for job in jobs:
        kind = tuple(str(job.config[part].get("_target_")) for part in PARTS)
        if kind not in seen and len(seen) < MOST_DRAWN:
            seen.add(kind)
            chosen.add(job.number)
    return chosen
