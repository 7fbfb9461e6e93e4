"""What is due on which step of a loop, whether or not its length is known."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from mlr.checks import known, whole
from mlr.probes.schedules import Schedule
from mlr.probes.settings import NAMES, HISTOGRAMS, ProbeSettings

Due = frozenset[str]
NOTHING: Due = frozenset()

PRESETS = {
    "off": ProbeSettings(points=0, histograms=0, figures=0),
    "basic": ProbeSettings(),
    "full": ProbeSettings(**dict.fromkeys(NAMES, True)),
}
"""As `configs/probes/` has them."""


def settings_of(settings: ProbeSettings | str, schedule: int | str | None) -> ProbeSettings:
    """Settings by name or as they are, with another schedule of all families that have none.

    Raises:
        InputError: an unknown name, or no schedule.
    """
    if not isinstance(settings, ProbeSettings):
        settings = PRESETS[known("settings", settings, PRESETS)]
    return settings if schedule is None else replace(settings, points=schedule)


class Plan:
    """Which families are due on which step.

    Args:
        settings: their schedules.
        first: the first step, on which everything is due, so that all of it is seen once.
        total: how many steps there will be; None if nobody knows. Later steps have nothing.
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
        # histograms stand at steps that have numbers too, unless they have a rhythm of their own
        self.alone = settings.schedules[HISTOGRAMS].kind != "evenly" or not self.all

    def due(self, step: int) -> Due:
        """Families, and histograms."""
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
