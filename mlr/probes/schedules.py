"""Schedules of measured steps, written as 200, every:10 or log_spaced:200.

The module is free of torch: configurations are checked before torch is imported. Hydra parses
`every(10)` on its command line as one of its functions, so it is written with a colon there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf, log10

from mlr.core.checks import InputError, typed

_DECADES = 6  # of steps over which log-spaced points are spread if the length is unknown
_SPARSE = 8  # of so many steps at most one is selected, after the first, if the length is unknown
_FORM = re.compile(r"(every|log_spaced)[:(]\s*(\d+)\s*\)?")
_ALLOWED = "200 (about so many points), every:10 (each tenth step), log_spaced:200, or 0 for never"


@dataclass(frozen=True)
class Schedule:
    """Selection of a run's steps.

    kind: evenly (about `number` steps), every (each `number`-th) or log_spaced.
    number: 0 for never.
    """

    kind: str
    number: int

    @classmethod
    def of(cls, name: str, value: int | str) -> Schedule:
        """Parse a number of points, `every:n` or `log_spaced:n`; `every(n)` is the same.

        Raises:
            InputError: the value is none of these; says so of the setting `name`.
        """
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls("evenly", value)
        form = _FORM.fullmatch(value.strip()) if isinstance(value, str) else None
        if form is None or int(form[2]) == 0:
            raise InputError(f"{name}={typed(value)} must be a schedule: {_ALLOWED}.")
        return cls(form[1], int(form[2]))

    def steps(self, total: int) -> list[int]:
        """Select from the steps 0 … total − 1, in ascending order and with both ends.

        The spacing of `evenly` is a whole number, so that runs of one length are measured at
        equal steps; that of `log_spaced` grows by equal factors.
        """
        if self.number == 0 or total == 0:
            return []
        last = total - 1
        if self.kind == "log_spaced":
            factor = total ** (1 / max(1, self.number - 1))
            chosen = {min(last, round(factor**point) - 1) for point in range(self.number)}
            return sorted({0, last} | chosen)
        spacing = self.number if self.kind == "every" else -(-total // self.number)
        steps = list(range(0, total, spacing))
        return steps if steps[-1] == last else [*steps, last]

    def due(self, step: int) -> bool:
        """Tell if `step` is selected when the number of steps is unknown.

        evenly: each of the first `number`/25 steps, so that a short run costs little too, then
        every eighth; from 2 · `number` on every sixteenth, then every 32nd, …: each doubling of
        the steps adds `number`/8 points, so that 200 gives 32 points in 200 steps, 64 in 500, 147
        in 5,000 and 231 in 50,000. log_spaced: `number` points in a million steps.
        """
        if self.number == 0:
            return False
        if self.kind == "every":
            return step % self.number == 0
        if self.kind == "log_spaced":
            before, after = (self.number * log10(n) / _DECADES for n in (step or 0.1, step + 1))
            return step == 0 or int(after) > int(before)
        if step < -(-self.number // 25):
            return True
        return step % max(_SPARSE, 1 << (step // -(-self.number // 4)).bit_length()) == 0

    def following(self, step: int) -> float:
        """Return the first step after `step` that is selected; ∞ if there is none."""
        if self.number == 0:
            return inf
        later, stride = step + 1, 1
        if self.kind == "every":
            return later + -later % self.number
        if self.kind == "evenly" and self.number <= 4:
            return inf  # the first step alone
        if self.kind == "evenly" and later >= -(-self.number // 25):
            later, stride = later + -later % _SPARSE, _SPARSE
        while not self.due(later):
            later += stride
        return later
