"""Choices for many runs in TensorBoard's address: colours, ticked runs, pinned pictures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any

from mlr.records.run_folder import EVENTS
from mlr.records.tensorboard.layout import BY_PAIR, MOST_TICKED

COLOURS = 7
"""Colours of TensorBoard; of more values two share one."""
PINNED = 4
"""Pictures pinned: two rows of a wide window."""
BY_RUN = "run"
BY_SEED_GROUP = r"regex:^(?:(.*?)(?:^|[,/])seed=[^,/]*(.*)|(.*))$"
"""By the whole name but the seed."""
_PAIR = re.compile(r"\w+\+\w+")
_SEED = re.compile(r"(^|[,/])seed=[^,/]*")
_SETTING = re.compile(r"(?:^|[,/])([\w.+]+)=(\[[^\]]*\]|[^,/]*)")
_EXPERIMENT = "defaultExperimentId"  # TensorBoard's, of any logdir


def colouring(names: Sequence[str]) -> str:
    """Choose how lines of runs are coloured, as TensorBoard's address has it.

    That is by head and loss if they vary. Otherwise by all that varies but the seed; if that has
    more values than there are colours, by the option with the most values that has not.

    Args:
        names: of the runs, as TensorBoard shows them.
    """
    if len({_pair(name) for name in names} - {""}) > 1:
        return BY_PAIR
    groups = {_SEED.sub(r"\1", name) for name in names}
    if 1 < len(groups) <= COLOURS:
        return BY_SEED_GROUP
    values: dict[str, set[str]] = {}
    for name in names:
        for key, value in _SETTING.findall(name):
            values.setdefault(key, set()).add(value)
    fitting = {
        key: len(own) for key, own in values.items() if key != "seed" and 1 < len(own) <= COLOURS
    }
    if len(groups) == 1 or not fitting:
        return BY_RUN
    key = max(fitting, key=lambda key: fitting[key])
    return rf"regex:(?:^|[,/]){re.escape(key)}=(\[[^\]]*\]|[^,/]*)"


def ticked(names: Iterable[str], seed: str = "") -> str | None:
    """Choose the runs that TensorBoard's older pages tick: of more than 40 they tick none.

    Args:
        names: of all runs, relative to the folder that TensorBoard opens, as in
            `sweep/sigmoid+se,lr=0.1,seed=3`.
        seed: whose runs have figures, as in `3`; the lowest if it is not known.

    Returns:
        Regular expression of the runs of one seed; of some of each pair if these are too many
        as well; None if no choice is needed.
    """
    every = sorted(set(names))
    if len(every) <= MOST_TICKED:
        return None
    seeds = [one for name in every if (one := seed_of(name))]
    first = seed or min(seeds, key=int, default="")
    pattern = rf"(^|[,/])seed={first}(,|$)" if first else ""
    shown = [name for name in every if re.search(pattern, name)] or every
    if len(shown) <= MOST_TICKED:
        return pattern
    pairs: dict[str, list[str]] = {}
    for name in shown:
        pairs.setdefault(_pair(name.rpartition("/")[2]), []).append(name)
    in_turn = [name for turn in zip_longest(*pairs.values()) for name in turn if name is not None]
    return f"^({'|'.join(map(re.escape, in_turn[:MOST_TICKED]))})$"


def pinned_pictures(folder: Path, runs: Iterable[Path], tag: str) -> list[dict[str, Any]]:
    """Build entries of `pinnedCards` in TensorBoard's address, for the first runs with a picture.

    Args:
        folder: that TensorBoard opens.
        runs: folders in or below it, in the order of preference.
        tag: of the picture, as in `figure/course`.
    """
    found: list[dict[str, Any]] = []
    for run in runs:
        if len(found) == PINNED:
            break
        if _has(run, tag.encode()):
            name = run.relative_to(folder).as_posix()
            card = {"plugin": "images", "tag": tag, "runId": f"{_EXPERIMENT}/{name}", "sample": 0}
            found.append(card)
    return found


def seed_of(name: str) -> str:
    """Return the seed in a run's name as text; empty for none."""
    found = re.search(r"(?:^|[,/])seed=(-?\d+)(?:,|$)", name)
    return found[1] if found else ""


def _pair(name: str) -> str:
    found = _PAIR.search(name)
    return found[0] if found else ""


def _has(run: Path, tag: bytes) -> bool:
    for path in sorted(run.glob(f"{EVENTS}*")):
        with suppress(OSError):
            if tag in path.read_bytes():
                return True
    return False
