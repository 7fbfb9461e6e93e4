"""When a run is drawn, and which runs of a sweep are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mlr.app.sweep.sweep_job import SweepJob

MOST_DRAWN = 12
"""Runs of a sweep that are drawn: a person looks at no more, and each takes a moment."""
PARTS = ("head", "loss", "model", "data")


def moments(count: int, total_steps: int) -> tuple[int, ...]:
    """`count` numbers of updates: the start, the end, and others evenly on a logarithmic scale.

    Most is learnt at first. With one moment it is the end; short runs have fewer.

    Args:
        count: moments asked for, 0 for none.
        total_steps: updates of the whole run.
    """
    if count <= 1:
        return (total_steps,) * count
    between = (round(total_steps ** (place / (count - 1))) for place in range(1, count - 1))
    return tuple(sorted({0, *between, total_steps}))


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
