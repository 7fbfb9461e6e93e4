"""Updates at which a run is drawn."""

from __future__ import annotations


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
