"""Colours of TensorBoard's lines: one for each value of a setting that varies between runs."""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST = 7
"""Colours that TensorBoard has; of more values two share one."""
BY_RUN = "run"
BY_PAIR = r"regex:(\w+\+\w+|^[^+]+$)"
"""By head and loss, which begin the name of a run; a run of another name has its own colour."""
BY_CELL = r"regex:^(?:(.*?)(?:^|[,/])seed=[^,/]*(.*)|(.*))$"
"""By the whole name but the seed."""
_PAIR = re.compile(r"\w+\+\w+")
_SEED = re.compile(r"(^|[,/])seed=[^,/]*")
_SETTING = re.compile(r"(?:^|[,/])([\w.+]+)=(\[[^\]]*\]|[^,/]*)")


def colouring(names: Sequence[str]) -> str:
    """Choose the colouring of runs, in the syntax of TensorBoard's address.

    By head and loss where they vary. Otherwise by all that varies but the seed; where that has
    more values than there are colours, by the option with the most values that has not.

    Args:
        names: of the runs, as TensorBoard shows them.
    """
    if len({found[0] for name in names if (found := _PAIR.search(name))}) > 1:
        return BY_PAIR
    cells = {_SEED.sub(r"\1", name) for name in names}
    if 1 < len(cells) <= MOST:
        return BY_CELL
    values: dict[str, set[str]] = {}
    for name in names:
        for key, value in _SETTING.findall(name):
            values.setdefault(key, set()).add(value)
    fitting = {
        key: len(own) for key, own in values.items() if key != "seed" and 1 < len(own) <= MOST
    }
    if len(cells) == 1 or not fitting:
        return BY_RUN
    key = max(fitting, key=lambda key: fitting[key])
    return rf"regex:(?:^|[,/]){re.escape(key)}=(\[[^\]]*\]|[^,/]*)"
