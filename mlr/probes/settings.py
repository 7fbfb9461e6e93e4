"""Settings of the probes and their schedules, checked before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from functools import cached_property, lru_cache
from math import inf
from typing import TYPE_CHECKING

from mlr.core.checks import positive, whole
from mlr.probes.families import FAMILIES, families_on, probe_class
from mlr.probes.schedules import Schedule

if TYPE_CHECKING:
    from mlr.probes.base import Probe, Subject

NAMES = tuple(family.name for family in FAMILIES)
HISTOGRAMS = "histograms"
_ALONE, _NOTHING = frozenset({HISTOGRAMS}), frozenset[str]()

_Families = make_dataclass(
    "_Families",
    [(family.name, "bool | int | str", family.basic) for family in FAMILIES],
    frozen=True,
)


@dataclass(frozen=True)
class ProbeSettings(_Families):  # type: ignore[misc, valid-type]
    """Options that say what is measured and on which steps.

    Each family of `FAMILIES` is an option: true (as often as `points` says), false, or a
    schedule of its own: a number of points, every:n or log_spaced:n, see `Schedule`. A step on
    which nothing is due costs nothing.

    Args:
        performance, prediction, …: one option per family, with its default from `FAMILIES`.
        points: the schedule of all families that are true.
        histograms: the schedule of histograms of logits and dL/dz.
        figures: number of steps of a run with figures, including the last.
        threshold: slopes and gradients below it count as saturated and stuck.

    Raises:
        InputError: an invalid schedule, or a number out of range.
    """

    points: int | str = 200
    histograms: bool | int | str = 50
    figures: int = 1
    threshold: float = 0.01

    def __post_init__(self) -> None:
        Schedule.of("probes.points", self.points)
        assert self.schedules  # parsing them checks them
        whole("probes.figures", self.figures, at_least=0)
        positive("probes.threshold", self.threshold)

    @cached_property
    def schedules(self) -> dict[str, Schedule]:
        """The schedule of each family, and of the histograms."""
        found = {}
        for name in (*NAMES, HISTOGRAMS):
            value = getattr(self, name)
            if isinstance(value, bool):
                value = self.points if value else 0
            found[name] = Schedule.of(f"probes.{name}", value)
        return found

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Names of the families that are measured on any step."""
        return tuple(name for name in NAMES if self.schedules[name].number)

    @cached_property
    def _by_schedule(self) -> dict[Schedule, frozenset[str]]:
        found: dict[Schedule, frozenset[str]] = {}
        for name, schedule in self.schedules.items():
            if schedule.number:
                found[schedule] = found.get(schedule, frozenset()) | {name}
        return found

    def due_at(self, step: int) -> frozenset[str]:
        """Families and histograms due on a step of a run of unknown length."""
        due = _NOTHING
        for schedule, names in self._by_schedule.items():
            if schedule.due(step):
                due |= names
        # histograms stand at steps that have numbers too, unless they have their own schedule
        if due == _ALONE and self.families and self.schedules[HISTOGRAMS].kind == "evenly":
            return _NOTHING
        return due

    def following(self, step: int) -> float:
        """Return the first step after `step` on which something may be due; ∞ if there is none."""
        return min((schedule.following(step) for schedule in self._by_schedule), default=inf)

    def due(self, total_steps: int) -> dict[int, frozenset[str]]:
        """Families and histograms due on each of the steps 0 … total_steps − 1, in order.

        Steps with nothing due are left out. Histograms stand at steps that have numbers too, if
        there are any.
        """
        numbers: dict[int, set[str]] = {}
        for name in self.families:
            for step in self.schedules[name].steps(total_steps):
                numbers.setdefault(step, set()).add(name)
        found = {step: numbers[step] for step in sorted(numbers)}
        bars = self.schedules[HISTOGRAMS]
        if bars.kind == "evenly" and bars.number and found:
            chosen = list(found)[:: -(-len(found) // bars.number)]
        else:
            chosen = bars.steps(total_steps)
        for step in chosen:
            found.setdefault(step, set()).add(HISTOGRAMS)
        return {step: frozenset(found[step]) for step in sorted(found)}

    def most_steps(self, total_steps: int) -> int:
        """Upper bound of the number of measured steps, up to a few."""
        numbers = [
            total_steps // schedule.number if schedule.kind == "every" else schedule.number
            for schedule in self.schedules.values()
            if schedule.number
        ]
        return min(total_steps, max(numbers, default=0))


@lru_cache(maxsize=1)
def presets() -> dict[str, ProbeSettings]:
    """Settings by name, as `configs/probes/` has them."""
    return {
        "off": ProbeSettings(**families_on("off"), points=0, histograms=0, figures=0),
        "basic": ProbeSettings(),
        "full": ProbeSettings(**families_on("full"), figures=6),
    }


def make_probes(settings: ProbeSettings, subject: Subject) -> dict[str, Probe]:
    """Make the probe of each family that is measured and has something to measure, by name."""
    made = {name: probe_class(name)(subject, settings.threshold) for name in settings.families}
    return {name: probe for name, probe in made.items() if probe.tags}
