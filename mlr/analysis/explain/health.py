"""One sentence about runs in which no rule found a fault, with the numbers that show it."""

from __future__ import annotations

from collections.abc import Sequence

from mlr.analysis.explain.facts import Facts, percent, short
from mlr.records.outcome import FINISHED
from mlr.records.reading import Recorded


def reassurance(runs: Sequence[Recorded]) -> str:
    """Say that all is well, or that there is nothing to judge."""
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
    right = [facts.metric("accuracy/test") for facts in judged]
    known = sorted(value for value in right if value == value)
    between = f"; accuracy/test from {percent(known[0])} to {percent(known[-1])}" if known else ""
    return f"No fault found in {len(judged)} runs{between}."


def _of_one(facts: Facts) -> str:
    start, end = facts.anatomy("start", "loss"), facts.metric("loss/train")
    fell = f"the training loss went from {short(start)} to " if start == start else "loss/train "
    parts = [f"{fell}{short(end)}"]
    if facts.metric("accuracy/train") == facts.metric("accuracy/train"):
        known = percent(facts.metric("accuracy/train"))
        parts.append(f"{known} of the training examples are right")
        if facts.held_out == facts.held_out:
            parts[-1] += f" and {percent(facts.held_out)} of the validation and test examples"
    wrong = facts.metric("logit_grad/wrong")
    if wrong == wrong:
        parts.append(f"the wrong ones have a mean ‖dL/dz‖ of {short(wrong)}")
    stuck = facts.anatomy("stuck")
    if stuck == stuck:
        share = "none" if stuck == 0 else f"{percent(stuck)} of all"
        parts.append(f"{share} are wrong without gradient")
    told = ", ".join(parts[:-1]) + (", and " if len(parts) > 1 else "") + parts[-1]
    return f"No fault found: {told}."
