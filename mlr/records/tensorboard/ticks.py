"""Choice of the runs that TensorBoard ticks: of more than 40 its older pages tick none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import zip_longest

from mlr.records.tensorboard.layout import MOST_TICKED

_PAIR = re.compile(r"\w+\+\w+")
_SEED = re.compile(r"(?:^|[,/])seed=(-?\d+)(?:,|$)")


def ticked(names: Iterable[str], seed: str = "") -> str | None:
    """Build a regular expression of `MOST_TICKED` runs at most; None where there are no more.

    It takes the runs of one seed; if even these are too many, some of each head and loss.

    Args:
        names: of all runs, relative to the folder that TensorBoard opens, as in
            `sweep/sigmoid+se,lr=0.1,seed=3`.
        seed: the one whose runs have figures, as in `3`; the lowest if it is not known.
    """
    every = sorted(set(names))
    if len(every) <= MOST_TICKED:
        return None
    seeds = [found[1] for name in every if (found := _SEED.search(name))]
    first = seed or min(seeds, key=int, default="")
    pattern = rf"(^|[,/])seed={first}(,|$)" if first else ""
    shown = [name for name in every if re.search(pattern, name)] or every
    if len(shown) <= MOST_TICKED:
        return pattern
    pairs: dict[str, list[str]] = {}
    for name in shown:
        found = _PAIR.search(name.rpartition("/")[2])
        pairs.setdefault(found[0] if found else "", []).append(name)
    in_turn = [name for turn in zip_longest(*pairs.values()) for name in turn if name is not None]
    return f"^({'|'.join(map(re.escape, in_turn[:MOST_TICKED]))})$"
