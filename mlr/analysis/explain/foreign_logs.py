"""The command explain on TensorBoard event files of any program: what their curves show."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from mlr.analysis.explain.command import FAULT, SCREENFUL
from mlr.core import console
from mlr.core.streams import write_utf8
from mlr.core.text import approx_percent
from mlr.diagnosis.curves import REMARKS, curve_findings
from mlr.diagnosis.findings import Finding
from mlr.records.tensorboard.logs import LoggedRun, read_logs
from mlr.records.tensorboard.roles import ROLES, parse_given

PAGE = "mlr/docs/foreign_logs.md"
LIMITS = (
    "Curves cannot show whether the outputs fit the loss, which parameters are trained, or where "
    "gradients vanish; three lines of GradientProbe in the loop do: mlr/docs/own_loop.md."
)
MOST_LISTS = 3
"""Most lists of tags that are printed, each for the runs that share it."""


class LogFinding(NamedTuple):
    """A finding in one logged training."""

    run: LoggedRun
    rule: str
    finding: Finding

    @property
    def sure(self) -> str:
        """Certain or likely; remark for what sound trainings may have too."""
        if self.rule in REMARKS:
            return "remark"
        return "certain" if self.finding.certain else "likely"


def main(place: str, tags: Sequence[str], as_json: bool, exit_code: bool = False) -> int:
    """Explain the event files in a folder, or one of them; returns the exit code.

    Args:
        place: folder or file.
        tags: what a person said of tags, as `loss/val=dev_cost`.
        as_json: True to print one JSON object.
        exit_code: True to return 1 if a fault is certain.
    """
    every = read_logs(Path(place), parse_given(tags))
    runs = [run for run in every if run.has_loss]
    found = [LogFinding(run, *one) for run in runs for one in curve_findings(run).items()]
    notes = [note for run in every for note in run.notes]
    if lossless := [run.name for run in every if not run.has_loss]:
        known = ", ".join(lossless[:SCREENFUL])
        notes.append(f"{len(lossless)} of {len(every)} runs have no loss and are left out: {known}")
    if as_json:
        told = as_object(runs, found) | {"notes": notes}
        write_utf8(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    else:
        for note in notes:
            console.say(note)
        print_in_full(console.console(), runs, found)
    return FAULT if exit_code and any(one.sure == "certain" for one in found) else 0


def as_object(runs: Sequence[LoggedRun], found: Sequence[LogFinding]) -> dict[str, Any]:
    """Return findings, and the tags that they are drawn from, as plain values."""
    rows = [
        {
            "rule": one.rule,
            "sentence": one.finding.sentence,
            "evidence": one.finding.evidence,
            "remedy": one.finding.remedy,
            "sure": one.sure,
            "runs": [one.run.name],
        }
        for one in found
    ]
    return {
        "runs": len(runs),
        "diagnoses": rows,
        "summary": " ".join(reassurance(runs, found)) or None,
        "tags": {run.name: {role: curve.tag for role, curve in run.curves.items()} for run in runs},
        "unused": sorted({tag for run in runs for tag in run.unused}),
        "limits": LIMITS,
    }


def print_in_full(out: Console, runs: Sequence[LoggedRun], found: Sequence[LogFinding]) -> None:
    """Print each finding, the runs without a fault, the tags, and what curves cannot show."""
    for one in found[:SCREENFUL]:
        title = Text(one.rule, style="bold cyan" if one.sure == "remark" else "bold yellow")
        title.append(f"  {one.run.name}" if len(runs) > 1 else "", style="bold")
        out.print(title, soft_wrap=True)
        console.print_lines(out, f"  {one.finding.sentence}")
        console.print_lines(out, f"  {'evidence':<10}{one.finding.evidence}", style="dim")
        hints = {"write": one.finding.remedy, "sure": one.sure, "page": PAGE}
        console.print_lines(out, *(f"  {name:<10}{hint}" for name, hint in hints.items() if hint))
    if len(found) > SCREENFUL:
        out.print(f"… and {len(found) - SCREENFUL} more; all of them by --json")
    console.print_lines(out, *reassurance(runs, found))
    lists = dict.fromkeys(map(_tags, runs))
    console.print_lines(out, *list(lists)[:MOST_LISTS], style="dim")
    console.print_lines(out, LIMITS)


def reassurance(runs: Sequence[LoggedRun], found: Sequence[LogFinding]) -> Iterator[str]:
    """Write a sentence on the trainings without a fault, if there are any."""
    faulty = {one.run.name for one in found if one.sure != "remark"}
    sound = [run for run in runs if run.name not in faulty]
    if len(runs) > 1 and sound:
        yield f"No fault found in the curves of {len(sound)} of {len(runs)} runs."
    elif sound:
        yield f"No fault found in the curves: {'; '.join(_courses(sound[0]))}."


def _courses(run: LoggedRun) -> Iterator[str]:
    for role in ROLES[:4]:
        if (curve := run.curves.get(role)) is not None:
            first, final = (curve.values[at] for at in (0, -1))
            of_loss = role.startswith("loss")
            ends = [f"{one:.3g}" if of_loss else approx_percent(one) for one in (first, final)]
            yield f"{curve.tag} from {ends[0]} to {ends[1]}"


def _tags(run: LoggedRun) -> str:
    """Write which tag was read as what, and which were not."""
    read = ", ".join(f"{role}={run.curves[role].tag}" for role in ROLES if role in run.curves)
    left = f"; not used: {', '.join(run.unused)}" if run.unused else ""
    return f"{'tags':<10}{read}{left} (--tag {ROLES[0]}=TAG says otherwise)"
