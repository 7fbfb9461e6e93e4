"""The command explain: diagnose runs, and with --try train their remedies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlr.analysis.explain import command as without_trial
from mlr.analysis.explain import foreign_logs
from mlr.analysis.grouping import seed_groups
from mlr.core import console
from mlr.core.checks import InputError
from mlr.core.streams import write_utf8
from mlr.diagnosis.findings import Diagnosis
from mlr.records.reading import Recorded
from mlr.records.status import FINISHED
from mlr.records.tensorboard.logs import is_foreign

if TYPE_CHECKING:
    from mlr.app.remedies.rounds import Tried

MOST_GROUPS = without_trial.SCREENFUL
"""Most configurations whose remedies are tried: as many as diagnoses fit on a screen."""
NOTHING = "There is nothing to try."
NONE = "none of them helps"
NO_OVERRIDE = "There is nothing to try: no override mends it."


def main(
    place: str,
    words: Sequence[str] = (),
    as_json: bool = False,
    trial: bool = False,
    exit_code: bool = False,
    tags: Sequence[str] = (),
) -> int:
    """Explain a run, a sweep or all runs below a folder, or event files; returns the exit code.

    Args:
        place: the folder, or an event file.
        words: names that may be imported as remedies are trained, as `allow_targets=[my_parts]`.
        as_json: True to print one JSON object.
        trial: True to train the remedies.
        exit_code: True to return 1 if a fault is certain.
        tags: what tags of another program's event files are, as `loss/val=dev_cost`.

    Raises:
        InputError: the folder holds no run, or none of its runs can be trained again.
    """
    allowed = _allowed(place, words)
    if is_foreign(Path(place)):
        if trial:
            raise InputError("--try trains runs of mlr; leave it out for event files of others.")
        return foreign_logs.main(place, tags, as_json, exit_code)
    if tags:
        raise InputError("--tag is for event files of other programs; leave it out for mlr's runs.")
    if Path(place).is_file():
        place = str(Path(place).parent)
    if not trial:
        return without_trial.main(place, as_json, exit_code)
    runs, found = without_trial.diagnosed(place)
    attempts = Attempts(runs, found, allowed)
    attempts.run()
    if as_json:
        told = without_trial.as_object(runs, found)
        for row in told["diagnoses"]:
            row |= attempts.as_object(row["cell"])
        write_utf8(json.dumps(told, ensure_ascii=False, indent=2) + "\n")
    else:
        out = console.console()
        without_trial.print_in_full(out, runs, found, attempts.endings)
        if not found:
            console.print_lines(out, NOTHING)
    if attempts.ended:
        console.say(f"{attempts.ended}; what was known by then is printed.")
    return attempts.exit_code or (without_trial.code_of(found) if exit_code else 0)


def _allowed(place: str, words: Sequence[str]) -> list[str]:
    """Return the names that may be imported; refuse any other word."""
    if not words:
        return []
    from mlr.app.figures.command import parse_sources

    given = parse_sources([place, *words])
    others = [one for one in (*given.pairs, *given.folders) if one != place]
    if others:
        raise InputError(f"explain takes one folder; leave out {others[0]}.")
    return given.allowed


class Attempts:
    """Trial of the remedies of each configuration that has some.

    endings: lines on each configuration, by its name.
    ended: why the trial ended early; empty for one that came to its end.
    exit_code: of the command.
    """

    def __init__(
        self, runs: Sequence[Recorded], found: Sequence[Diagnosis], allowed: Sequence[str]
    ) -> None:
        """Take runs with their diagnoses, and names that may be imported."""
        self.found, self.allowed = found, allowed
        self.groups = _groups(runs, found)
        self.endings: dict[str, list[str]] = {}
        self.ended, self.exit_code = "", 0
        self._known: Mapping[str, Sequence[Tried]] = {}

    def run(self) -> None:
        """Train the remedies.

        Raises:
            InputError: none of the configurations can be trained again.
        """
        from mlr.analysis.explain.trial import candidates
        from mlr.app.remedies.jobs import Case, prepare
        from mlr.app.remedies.rounds import Rounds

        cases, refused = list[Case](), list[InputError]()
        for number, (cell, runs) in enumerate(self.groups.items()):
            remedies = candidates([one for one in self.found if one.cell == cell])
            if number >= MOST_GROUPS:
                text = f"not tried: more than {MOST_GROUPS} configurations; name a smaller folder"
            elif not remedies:
                text = NO_OVERRIDE
            else:
                text = "nothing is known yet"
                try:
                    cases.append(prepare(cell, runs, remedies, self.allowed))
                except InputError as error:
                    refused.append(error)
                    text = str(error)
            self.endings[cell] = [f"{'tried':<10}{text}" if remedies else text]
        rounds = Rounds(cases)
        rounds.run()
        self.ended, self.exit_code, self._known = rounds.ended, rounds.exit_code, rounds.known
        for cell, reason in rounds.failed.items():
            refused.append(InputError(reason))
            self.endings[cell] = [f"{'tried':<10}{reason}"]
        if refused and not rounds.known and not rounds.ended:
            raise refused[0]
        for cell, stages in rounds.known.items():
            line = without_trial.command(self.groups[cell][0], _best(stages))
            paste = [f"{'paste':<10}{line}"] if line else []
            self.endings[cell] = [
                *_lines(stages),
                f"{'best':<10}{_best(stages) or NONE}",
                *paste,
            ]

    def as_object(self, cell: str) -> dict[str, Any]:
        """Return what is known of a configuration, as plain values."""
        stages = self._known.get(cell)
        if stages is None:
            return {"tried": None, "best": None}
        about = [
            asdict(one.judgement) | {"updates": one.updates, "seeds": one.case.seeds}
            for one in stages
        ]
        best = _best(stages)
        line = without_trial.command(self.groups[cell][0], best)
        return {"tried": _plain(about), "best": best or None, "command": line}


def _best(stages: Sequence[Tried]) -> str:
    """Return the best remedy of all stages; empty for none."""
    return next((one.judgement.best for one in reversed(stages) if one.judgement.best), "")


def _lines(stages: Sequence[Tried]) -> Iterator[str]:
    """Write the lines on the remedies of each stage."""
    from mlr.analysis.explain.trial import listed, report

    first = stages[0]
    header = f"{'tried':<10}{first.length}, {listed(first.case.seeds)}"
    for one in stages:
        yield from report(one.judgement, header, one.case.base)
        if one.left:
            header = f"{'then':<10}with {one.then}: {one.left[0].rule} in {one.left[0].count}"


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: null for a number that is not finite."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _groups(runs: Sequence[Recorded], found: Sequence[Diagnosis]) -> dict[str, list[Recorded]]:
    """Return the runs of each configuration with a diagnosis, one that has it first."""
    if len(runs) == 1:
        return {"": list(runs)} if found else {}
    every = {one.name: one.runs for one in seed_groups([r for r in runs if r.status in FINISHED])}
    groups = {}
    for one in reversed(found):
        members = every[one.cell]
        first = next(run for run in members if run.name == one.runs[0])
        groups[one.cell] = [first, *(run for run in members if run is not first)]
    return {one.cell: groups[one.cell] for one in found}
