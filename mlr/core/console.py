"""The terminal: progress, refusals, the summary of a run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite, nan
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mlr.core import debugging
from mlr.core.checks import CHOOSE, listed
from mlr.core.commandline import command
from mlr.core.text import printable

if TYPE_CHECKING:
    from mlr.records.outcome import Outcome
    from mlr.training.loop import Progress

SPLITS = ("train", "val", "test")
WIDE = 200
"""Columns of a table that goes into a file: nothing needs to be cut there."""
NARROW = 40
"""Columns of the narrowest terminal: in fewer, its own broken lines read better than cut words."""


class Output(Console):
    """Standard output, on which names that others gave are shown, never obeyed."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The pieces that are printed."""
        for piece in super().render(renderable, options):
            lines = piece.text.split("\n")
            if piece.control or all(line.isprintable() for line in lines):
                yield piece
            else:
                yield Segment("\n".join(map(printable, lines)), piece.style)


def console() -> Console:
    """Standard output, without rich's guesses about what is a number or a path."""
    width = WIDE
    if sys.stdout and sys.stdout.isatty():  # COLUMNS, where it is a number above 0
        width = max(NARROW, shutil.get_terminal_size().columns)
    return Output(highlight=False, width=width)


def is_watched() -> bool:
    """Return True if standard error is a terminal that can redraw a line."""
    return bool(sys.stderr) and sys.stderr.isatty() and Console(stderr=True).is_interactive


LONGEST = 200
"""Characters of a refusal, for nobody reads more; --debug shows all of it."""
LONGEST_PATH = 30


def refuse(message: str) -> None:
    """One sentence on standard error."""
    line = printable(" ".join(f"mlr: {message}".split()))
    print(line if debugging.asked else shortened(line), file=sys.stderr)


def shortened(line: str) -> str:
    """At most `LONGEST` characters of a line: fewer choices, the ends of paths, then no middle."""
    line = _fewer_choices(line)
    words = line.split(" ")
    paths = [number for number, word in enumerate(words) if "/" in word]
    for number in sorted(paths, key=lambda number: -len(words[number])):
        name, equals, path = words[number].partition("=")
        if "/" in name:  # no option's value, but a run's folder, as in a+b,seed=0
            name, equals, path = "", "", words[number]
        if len(" ".join(words)) > LONGEST and len(path) > LONGEST_PATH:
            words[number] = f"{name}{equals}…{path[1 - LONGEST_PATH :]}"
    line = " ".join(words)
    return line if len(line) <= LONGEST else _without_middle(line)


def _fewer_choices(line: str) -> str:
    """The list that ends a line that is too long, shortened by whole items."""
    start = line.rfind(CHOOSE) + len(CHOOSE)
    if len(line) <= LONGEST or start < len(CHOOSE):
        return line
    choices = line[start:].removesuffix(".").split(", ")
    return f"{line[:start]}{listed(choices, LONGEST - start - 1)}."


def _without_middle(line: str) -> str:
    """The two ends of a line, in whole words where these are not longer than the ends."""
    half = LONGEST // 2 - 2
    begin, end = line[:half], line[-half:]
    begin = begin.rpartition(" ")[0] or begin
    end = end.partition(" ")[2] or end
    return f"{begin.rstrip()} … {end.lstrip()}"


def say(message: str) -> None:
    """Print to standard error, never shortened."""
    print(printable(f"mlr: {message}"), file=sys.stderr)


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """A bar over updates that vanishes when the run ends; silent when no one watches."""
    if not is_watched():
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("updates"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def shown(path: Path) -> str:
    """`path` relative to where the person stands, if it lies below; never taken for an option."""
    found = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    if found == ".":  # which is no folder for a run
        return str(Path.cwd())
    return f"./{found}" if found.startswith("-") else found


def print_run(outcome: Outcome) -> None:
    """The summary of one finished run."""
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


OUTPUTS = {
    "prediction/target_1": " for target 1",
    "prediction/target_0": " for target 0",
    "prediction/mean": "",
}
"""What follows a mean output in a sentence, by its tag."""


def output_texts(metrics: Mapping[str, float]) -> list[str]:
    """Mean outputs by target, as in `0.2028 for target 0`; none where none was measured."""
    found = {tag: metrics[tag] for tag in OUTPUTS if metrics.get(tag, nan) == metrics.get(tag, nan)}
    return [f"{value:.4g}{OUTPUTS[tag]}" for tag, value in found.items()]


def _print_diagnosis(out: Console, folder: Path) -> None:
    from mlr.analysis.explain import print_diagnosis
    from mlr.records.reading import Recorded
    from mlr.records.run_folder import read_status

    # its files were written by this process just now, and need no look at their checksums
    print_diagnosis(out, [Recorded(folder, read_status(folder))], folder)


def _size(metrics: Mapping[str, float], side: str) -> str:
    value = metrics[f"logit_grad/{side}"]
    return "none" if value != value else f"{value:.3g}"


def print_job(label: str, outcome: Outcome) -> None:
    """One line for a job of a sweep as it ends."""
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
