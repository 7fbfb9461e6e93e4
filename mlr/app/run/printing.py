"""Print how a run ended."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlr.analysis.formatting import output_texts
from mlr.core.commandline import command
from mlr.core.console import console, shown
from mlr.data.base import SPLITS
from mlr.records.outcome import Outcome


def print_run(outcome: Outcome) -> None:
    """Print the summary of a finished run."""
    assert outcome.folder is not None
    out, settings, metrics = console(), outcome.settings, outcome.metrics
    title = " ".join(f"{key}={settings[key]}" for key in ("head", "loss", "model", "data"))
    out.print()
    out.print(Text(title, style="bold"), Text(f"({outcome.seconds:.1f} s)", style="dim"))
    if any(isfinite(number) for number in metrics.values()):  # none where an update was refused
        _print_numbers(out, metrics)
    if outcome.reason:
        out.print(Text(f"{outcome.status}: {outcome.reason}", style="yellow"))
    _print_diagnosis(out, outcome.folder)
    out.print(Text(f"run folder   {shown(outcome.folder)}"), soft_wrap=True)
    out.print(Text(f"look at it   {command('board', shown(outcome.folder))}"), soft_wrap=True)


def _print_numbers(out: Console, metrics: Mapping[str, float]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    splits = [split for split in SPLITS if f"loss/{split}" in metrics]  # not all have validation
    for split in splits:
        table.add_column(split, justify="right")
    for name, label in (("loss", "loss"), ("predicted_std", "predicted std")):
        if f"{name}/test" in metrics:
            table.add_row(label, *(f"{metrics[f'{name}/{split}']:.4g}" for split in splits))
    if "accuracy/test" in metrics:
        table.add_row("accuracy", *(f"{metrics[f'accuracy/{split}']:.2%}" for split in splits))
    out.print(table)
    if "logit_grad/wrong" in metrics:
        wrong, right = (_size(metrics, side) for side in ("wrong", "right"))
        out.print(f"mean ‖dL/dz‖ in training data: {wrong} where wrong, {right} where right")
    if outputs := output_texts(metrics):
        out.print(f"mean output y in training data: {', '.join(outputs)}")


def _print_diagnosis(out: Console, folder: Path) -> None:
    from mlr.analysis.explain import print_diagnosis
    from mlr.records.reading import Recorded
    from mlr.records.run_folder import read_status

    # this process has just written its files: no checksums are needed
    print_diagnosis(out, [Recorded(folder, read_status(folder))], folder)


def _size(metrics: Mapping[str, float], side: str) -> str:
    value = metrics[f"logit_grad/{side}"]
    return "none" if value != value else f"{value:.3g}"


def print_job(label: str, outcome: Outcome) -> None:
    """Print a line about a job of a sweep as it ends."""
    line = Text(f"{label} {' '.join(outcome.overrides) or 'default'}: ")
    if outcome.status == "done":
        line.append(_headline(outcome.metrics))
    else:
        style = "yellow" if outcome.status == "refused" else "red"
        line.append(f"{outcome.status}: {outcome.reason}", style=style)
    console().print(line, soft_wrap=True)


def _headline(metrics: Mapping[str, float]) -> str:
    if "accuracy/test" in metrics:
        return f"test accuracy {metrics['accuracy/test']:.2%}, loss {metrics['loss/test']:.4g}"
    return f"test loss {metrics['loss/test']:.4g}"
