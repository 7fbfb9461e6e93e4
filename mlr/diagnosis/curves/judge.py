"""The rules for logged curves in their order, and the findings of a training."""

from __future__ import annotations

from collections.abc import Callable

from mlr.diagnosis.curves import endings as end
from mlr.diagnosis.curves import failures as fail
from mlr.diagnosis.curves.course import CurveCourse
from mlr.diagnosis.findings import Finding
from mlr.records.tensorboard.logs import LoggedRun

Rule = Callable[[CurveCourse], Finding | None]
RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        *(fail.not_finite, fail.no_rate, fail.below_zero, fail.rises, fail.rate_gone),
        *(end.cut_short, fail.one_class, fail.chance, fail.flat, fail.leaps),
        *(end.rate_jump, end.overfits),
    )
}
"""Faults, causes before their effects."""
REMARKS: dict[str, Rule] = {
    rule.__name__: rule for rule in (end.val_better, end.late_drop, end.negative)
}
"""Oddities that sound trainings may have."""


def curve_findings(run: LoggedRun) -> dict[str, Finding]:
    """Find the first fault that the curves of a training show, and what is to be remarked."""
    course, found = CurveCourse(run), dict[str, Finding]()
    for name, rule in (*RULES.items(), *REMARKS.items()):
        faulty = any(one in RULES for one in found)
        if (name in REMARKS or not faulty) and (one := rule(course)):
            found[name] = one
    return found
