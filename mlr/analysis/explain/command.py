"""The command explain, and the lines at the end of a training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.text import Text

from mlr.analysis.explain.diagnose import explain, page
from mlr.analysis.explain.facts import Facts
from mlr.analysis.formatting import OUTPUTS, output_texts
from mlr.analysis.grouping import collected, seed_groups
from mlr.core import commandline, console
from mlr.core.streams import write_utf8
from mlr.core.text import approx_percent
from mlr.diagnosis.findings import OR, Diagnosis, sentence
from mlr.diagnosis.program import ENOUGH, HARDLY_BETTER
from mlr.records.reading import Recorded, left_out, read_runs
from mlr.records.status import FINISHED

MOST = 5
"""Most lines at the end of a training."""
SCREENFUL = 12
"""Most diagnoses that are printed in full."""
EARLY = 6
"""Fraction of the updates after which outputs are given: 50 of 300 in experiment=neuron."""
FAULT = 1
"""Exit code of a fault that is certain, with --exit-code."""
MOST_READ = 20
"""Most runs of a group whose outputs during training are read."""
HARDLY_FALLEN = 0.98
"""Share of the first batch's loss above which it has hardly fallen."""
UNJUDGED = "most rules need the final diagnostics, which"
"""Of runs of a loop of a user's own."""


def main(place: str, as_json: bool, exit_code: bool = False) -> int:
    """Explain a run, a sweep or all runs below a folder; returns the exit code."""
    runs, found = diagnosed(place)
    if as_json:
        write_utf8(json.dumps(as_object(runs, found), ensure_ascii=False, indent=2) + "\n")
    else:
        print_in_full(console.console(), runs, found)
    return code_of(found) if exit_code else 0


def code_of(found: Sequence[Diagnosis]) -> int:
    """Return the exit code for a check: `FAULT` if one of the diagnoses is certain."""
    return FAULT if any(one.certain for one in found) else 0


def diagnosed(place: str) -> tuple[list[Recorded], list[Diagnosis]]:
    """Read and diagnose the runs in a folder, and report those that cannot be read."""
    runs = read_runs(Path(place))
    if line := left_out(runs, [place]):
        console.refuse(line)
    return runs, explain(runs)


def as_object(runs: Sequence[Recorded], found: Sequence[Diagnosis]) -> dict[str, Any]:
    """Return diagnoses as plain values, or the reassurance as their summary."""
    rows = []
    for one in found:
        rows.append({key: value for key, value in vars(one).items() if key != "findings"})
        if len(runs) == 1:
            rows[-1]["command"] = command(runs[0], one.remedy)
    summary = None if found else reassurance(runs)
    return {"runs": len(runs), "diagnoses": rows, "summary": summary}


def print_in_full(
    out: Console,
    runs: Sequence[Recorded],
    found: Sequence[Diagnosis],
    tried: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Print sentence, evidence and remedy of each diagnosis, or a reassurance.

    Where remedies were tried, the lines on each configuration follow its last diagnosis instead.
    """
    if not found:
        console.print_lines(out, reassurance(runs))
    last = {one.cell: number for number, one in enumerate(found[:SCREENFUL])}
    for number, one in enumerate(found[:SCREENFUL]):
        title = Text(one.rule, style="bold yellow")
        title.append(f"  {one.cell}" if one.cell else "", style="bold")
        title.append(f"  in {one.count}" if one.total > 1 else "", style="dim")
        out.print(title, soft_wrap=True)
        _, said, evidence, *hints = written(runs, one)
        if tried is not None:
            lines = tried[one.cell] if last[one.cell] == number else ()
            hints = [f"  {line}" for line in lines]
        console.print_lines(out, said)
        console.print_lines(out, evidence, style="dim")
        console.print_lines(out, *hints)
    if len(found) > SCREENFUL:
        out.print(f"… and {len(found) - SCREENFUL} more; all of them by --json")


def written(runs: Sequence[Recorded], one: Diagnosis) -> list[str]:
    """Write a diagnosis in lines: rule, sentence, evidence, and what to do."""
    lines = [one.rule, f"  {one.sentence}", f"  {'evidence':<10}{one.evidence}"]
    return lines + [f"  {name:<10}{hint}" for name, hint in remedies(runs, one).items()]


def remedies(runs: Sequence[Recorded], one: Diagnosis) -> dict[str, str]:
    """Return what to `try`, and for a single run the line to `paste`, as far as there are any.

    Of a program of a user's own, the code to `write`, how sure it is, and the page that tells more.
    """
    if any(run.own_loop for run in runs):
        hints = {"write": one.remedy, "sure": "certain" if one.certain else "likely"}
        return {name: hint for name, hint in (hints | {"page": page(one.rule)}).items() if hint}
    line = command(runs[0], one.remedy) if len(runs) == 1 else None
    return {name: hint for name, hint in (("try", one.remedy), ("paste", line)) if hint}


def command(run: Recorded, remedy: str) -> str | None:
    """Return the command that trains the run again with the first choice of a remedy.

    None without a remedy, and for a loop of a user's own.
    """
    first = remedy.partition(OR)[0]
    known = bool(first) and run.entries.get("overrides") is not None
    return commandline.command("train", *repaired(run.overrides, first)) if known else None


def repaired(overrides: Sequence[str], remedy: str) -> list[str]:
    """Return overrides with those of a remedy in place of what they replace."""
    new = remedy.split()
    replaced = tuple(f"{word.partition('=')[0]}." for word in new)  # and options of the part
    old = [
        word
        for word in overrides
        if not f"{word.lstrip('+').partition('=')[0]}.".startswith(replaced)
    ]
    return [*old, *new]


def print_diagnosis(out: Console, runs: Sequence[Recorded], place: Path) -> None:
    """Print a few lines at the end of a training in `place`; none for runs without a fault."""
    found = explain(runs)
    if len(runs) == 1:
        lines = [f"diagnosis    {one.sentence}{_advice(one.remedy)}" for one in found]
    else:
        lines, outputs = _of_pairs(found), list(_of_outputs(runs))
        if lines or outputs:
            out.print()
        console.print_lines(out, *outputs[:MOST])
    console.print_lines(out, *lines[:MOST], style="yellow")
    if lines:
        more = f" ({len(lines) - MOST} more)" if len(lines) > MOST else ""
        line = commandline.command("explain", console.shown(place))
        console.print_lines(out, f"explain      {line}{more}")


def _of_pairs(found: Sequence[Diagnosis]) -> list[str]:
    """Write the first diagnosis of each group; groups of one pair may share a sentence."""
    first = reversed({one.cell: one for one in reversed(found)}.values())
    alike = collected(
        first, lambda one: (one.cell.partition(" ")[0], one.rule, one.findings[0].kind)
    )
    lines = []
    for (pair, *_), same in alike.items():
        runs, total = sum(len(one.runs) for one in same), sum(one.total for one in same)
        which = same[0].cell if len(same) == 1 else f"{pair} in {len(same)} configurations"
        text = sentence([each for one in same for each in one.findings])
        given = next((one for one in same if one.remedy), same[0])
        differ = len({one.remedy for one in same}) > 1
        advice = _advice(f"{given.remedy} for {given.cell}" if differ else given.remedy)
        count = f" ({runs} of {total} runs)" if total > 1 else ""
        lines.append(f"{which}{count}: {text}{advice}")
    return lines


def _advice(remedy: str) -> str:
    return f" Try {remedy}." if remedy else ""


def _of_outputs(runs: Sequence[Recorded]) -> Iterator[str]:
    """Write a line for each group with recorded outputs: their means over its runs."""
    for group in seed_groups([run for run in runs if output_texts(run.metrics)]):
        outputs = "; ".join(
            f"{_whose(tag)}{_on_the_way(group.runs, tag)}{fmean(ends):.4g} at the end"
            for tag in OUTPUTS
            if (ends := [run.metrics[tag] for run in group.runs if tag in run.metrics])
        )
        yield f"{group.name}: mean output y in training data: {outputs}"


def _whose(tag: str) -> str:
    """Write the target of an output; nothing where it has no class."""
    return f"{OUTPUTS[tag].strip()}, " if OUTPUTS[tag] else ""


def _on_the_way(runs: Sequence[Recorded], tag: str) -> str:
    """Write an output before the first update and early in training, if all runs have it."""
    if len(runs) > MOST_READ:
        return ""
    points = [dict(zip(*Facts(run).points(tag), strict=True)) for run in runs]
    common = sorted(set.intersection(*map(set, points)))
    if len(common) < 3:
        return ""
    early = min(common, key=lambda step: abs(step - common[-1] / EARLY))
    start, then = (fmean(one[step] for one in points) for step in (common[0], early))
    return f"{start:.4g} at the start, {then:.4g} after {early} updates, "


def reassurance(runs: Sequence[Recorded]) -> str:
    """Write one sentence on runs without a fault, or without final numbers."""
    programs = [facts for facts in map(Facts, runs) if facts.own]
    if programs and len(programs) == len(runs):
        return _of_programs(programs)
    judged = [Facts(run) for run in runs if run.status in FINISHED and run.metrics]
    if not judged:
        states = ", ".join(sorted({run.status for run in runs}))
        return f"There are no final numbers to judge ({states}); train to an end first."
    useless = sum(facts.unlearned for facts in judged)
    if useless:
        does = "does" if useless == 1 else "do"
        which = "the model" if len(judged) == 1 else f"{useless} of {len(judged)} runs"
        return (
            f"No rule explains it, but {which} {does} hardly better than a constant prediction; "
            "try another optimizer.lr or model, or look at the data."
        )
    if len(judged) == 1:
        return _of_one(judged[0])
    if not any(facts.run.anatomy for facts in judged):
        return f"No fault found in {len(judged)} runs, but {UNJUDGED} they lack."
    right = (facts.metric("accuracy/test") for facts in judged)
    known = [approx_percent(value) for value in sorted(filter(isfinite, right))]
    between = f"; accuracy/test from {known[0]} to {known[-1]}" if known else ""
    return f"No fault found in {len(judged)} runs{between}."


def _of_programs(every: Sequence[Facts]) -> str:
    """Write one sentence on programs of a user's own without a fault."""
    if len(every) > 1:
        count = sum(bool(_useless(facts)) for facts in every)
        hint = f" No rule explains it, but {count} of them learned next to nothing."
        return f"No fault found in {len(every)} programs." + hint * bool(count)
    program, wrong = every[0].program, every[0].wrong
    looked = f"{len(program.looks)} of {program.evidence.calls:,} batches were looked at"
    if not program.losses:
        return f"No fault found, but no loss was given to probe.watch; {looked}."
    course = f"loss from {program.first.loss:.3g} to {program.late_loss:.3g}"
    known = program.constant == program.constant
    of_constant = f" (of the best constant {program.constant:.3g})" if known else ""
    # a threshold of 0 is that of logits
    logits = program.is_loss("ce", "nll") or "bce_logits" in program.forms
    right = f", {approx_percent(1 - wrong)} right" if logits and wrong == wrong else ""
    over = ", means over the last quarter" if program.evidence.updates else ""
    if useless := _useless(every[0]):
        return f"No rule explains it, but {useless}: {course}{of_constant}{right}{over}; {looked}."
    return f"No fault found: {course}{of_constant}{right}{over}; {looked}."


def _useless(facts: Facts) -> str:
    """Say of a program of a user's own that it learned nothing; empty if it may have."""
    program, wrong = facts.program, facts.wrong
    if program.evidence.updates < ENOUGH or program.late_loss < HARDLY_BETTER * program.constant:
        return ""
    most = float(program.shares.max(initial=0))
    if most > 0 and wrong >= HARDLY_BETTER * (1 - most):
        return f"it is right in hardly more examples than the {approx_percent(most)} of one class"
    if 0 < HARDLY_FALLEN * program.first.loss <= program.late_loss:
        return "its loss has hardly fallen"
    return ""


def _of_one(facts: Facts) -> str:
    start, right = facts.anatomy("start", "loss"), facts.metric("accuracy/train")
    wrong, stuck = facts.metric("logit_grad/wrong"), facts.anatomy("stuck")
    examples, lacking = "training examples", ""
    if not facts.run.anatomy:  # a loop of a user's own
        stuck, examples = facts.metric("stuck/fraction"), "examples of the last batch"
        lacking = f", but {UNJUDGED} this run lacks"
    fell = f"the training loss went from {start:.3g} to " if start == start else "loss/train "
    parts = [f"{fell}{facts.metric('loss/train'):.3g}"]
    if right == right:
        parts.append(f"{approx_percent(right)} of the {examples} are right")
        if facts.held_out == facts.held_out:
            others = approx_percent(facts.held_out)
            parts[-1] += f" and {others} of the validation and test examples"
    if wrong == wrong:
        parts.append(f"the wrong ones have a mean ‖dL/dz‖ of {wrong:.3g}")
    if stuck == stuck:
        share = "none" if stuck == 0 else f"{approx_percent(stuck)} of all"
        parts.append(f"{share} are wrong without gradient")
    text = ", ".join(parts[:-1]) + (", and " if len(parts) > 1 else "") + parts[-1]
    return f"No fault found{lacking}: {text}."
