"""Families due on each step of a loop, whether or not its length is known."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from mlr.core.checks import known, whole
from mlr.probes.schedules import Schedule
from mlr.probes.settings import HISTOGRAMS, ProbeSettings, presets

Due = frozenset[str]
NOTHING: Due = frozenset()


def settings_of(settings: ProbeSettings | str, schedule: int | str | None) -> ProbeSettings:
    """Look up settings by name, and replace the schedule of families that have none of their own.

    Raises:
        InputError: an unknown name, or no schedule.
    """
    if not isinstance(settings, ProbeSettings):
        settings = presets()[known("settings", settings, presets())]
    return settings if schedule is None else replace(settings, points=schedule)


class DueSteps:
    """Families due on each step.

    Args:
        settings: with the schedules.
        first: the first step, on which everything is due, which shows what can be measured.
        total: number of steps; None if unknown. Later steps have nothing due.
    """

    def __init__(self, settings: ProbeSettings, first: int, total: int | None) -> None:
        self.first = whole("first_step", first, at_least=0)
        self.all = frozenset(settings.families)
        self.table: dict[int, Due] | None = None
        if total is not None:
            self.table = settings.due(whole("total_steps", total))
        families: dict[Schedule, set[str]] = defaultdict(set)
        for name in (*settings.families, HISTOGRAMS):
            families[settings.schedules[name]].add(name)
        self.families = [(schedule, frozenset(names)) for schedule, names in families.items()]
        # histograms are due on steps that have numbers too, unless they have their own schedule
        self.alone = settings.schedules[HISTOGRAMS].kind != "evenly" or not self.all

    def due(self, step: int) -> Due:
        """Return the due families and histograms."""
        if step == self.first:
            return self.all | self._found(step)
        return self._found(step)

    def _found(self, step: int) -> Due:
        if self.table is not None:
            return self.table.get(step, NOTHING)
        due = NOTHING
        for schedule, names in self.families:
            if schedule.due(step):
                due |= names
        return due if self.alone or due & self.all else NOTHING
