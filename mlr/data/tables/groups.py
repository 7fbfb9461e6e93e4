"""Splits that keep the lines of a group together, such as those of one patient or one writer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlr.core.seeds import derive_seed
from mlr.data.faults import fault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def split_groups(
    where: str, groups: Sequence[str], shares: Sequence[float], seed: int, in_order: bool = False
) -> list[NDArray[np.int64]]:
    """Split N rows into a rest and one part for each share; no group is in two of them.

    Each part takes groups, in random order, as long as that brings it nearer to its share of the
    rows, and one at least. Classes may occur in other shares than in the whole.

    Args:
        where: name of the data, for messages.
        groups: name of the group of each row.
        shares: fraction of all N for each further part; 0 gives an empty one.
        seed: of the order.
        in_order: take groups in the order in which they begin, the last part from the end.

    Returns:
        The rows of the rest, then those of the parts, each in the order of the data.

    Raises:
        DataError: there are fewer groups than parts.
    """
    import numpy as np

    names = list(dict.fromkeys(groups))
    numbers = {name: number for number, name in enumerate(names)}
    member = np.array([numbers[name] for name in groups])
    sizes = np.bincount(member)
    wanted = 1 + sum(share > 0 for share in shares)
    if len(names) < wanted:
        raise fault(
            where,
            f"has {len(names)} groups, too few for {wanted} splits without a group in two of "
            "them; choose another data.groups, or data.val_fraction=0.",
        )
    rng = np.random.default_rng(derive_seed(seed, where, "groups"))
    free = list(range(len(names)))[::-1] if in_order else rng.permutation(len(names)).tolist()
    parts: list[NDArray[np.int64]] = [np.empty(0, np.int64)] * len(shares)
    left = wanted
    # from the end, so that in the order of the file the test is last
    for number in range(len(shares) - 1, -1, -1):
        if not shares[number]:
            continue
        left -= 1
        taken: list[int] = []
        count, goal = 0, shares[number] * len(groups)
        for group in list(free):
            nearer = abs(count + sizes[group] - goal) < abs(count - goal)
            if nearer and len(free) > left:
                taken.append(group)
                free.remove(group)
                count += sizes[group]
            elif in_order:
                break
        if not taken:  # even the smallest group is more than twice the share
            taken = [free[0] if in_order else min(free, key=lambda group: sizes[group])]
            free.remove(taken[0])
        parts[number] = np.flatnonzero(np.isin(member, taken))
    return [np.flatnonzero(np.isin(member, free)), *parts]
