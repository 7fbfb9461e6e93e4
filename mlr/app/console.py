"""What a person sees in the terminal: progress, the summary of a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from mlr.app import debugging
from mlr.app.text import printable
from mlr.commandline import command

if TYPE_CHECKING:
    from mlr.app.outcome import Outcome
    from mlr.training.loop import Progress

SPLITS = ("train", "val", "test")
WIDE = 200
"""Columns of a table that goes into a file: nothing needs to be cut there."""


class Output(Console):
    """Standard output; a reader who leaves, as `head` does, ends the printing, not the jobs.

    Names of runs may be those of others: what a terminal would obey in them is shown instead.
    """

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

    def on_broken_pipe(self) -> None:
        """Print into the void from now on."""
        close_output()


def console() -> Console:
    """Standard output, without rich's guesses about what is a number or a path."""
    return Output(highlight=False, width=None if sys.stdout and sys.stdout.isatty() else WIDE)


def close_output() -> None:
    """Let what is still printed go nowhere, the flush at exit included."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


LONGEST = 200
"""Characters of a refusal, for nobody reads more; --debug shows all of it."""
LONGEST_PATH = 30


def refuse(message: str) -> None:
    """One sentence on standard error."""
    line = printable(" ".join(f"mlr: {message}".split()))
    print(line if debugging.asked else shortened(line), file=sys.stderr)


def shortened(line: str) -> str:
    """At most `LONGEST` characters of a line: of its paths the ends, then without its midst."""
    words = line.split(" ")
    paths = [number for number, word in enumerate(words) if "/" in word]
    for number in sorted(paths, key=lambda number: -len(words[number])):
        name, equals, path = words[number].partition("=")
        if "/" in name:  # no option's value, but a run's folder, as in a+b,seed=0
            name, equals, path = "", "", words[number]
        if len(" ".join(words)) > LONGEST and len(path) > LONGEST_PATH:
            words[number] = f"{name}{equals}…{path[1 - LONGEST_PATH :]}"
    line = " ".join(words)
    half = LONGEST // 2 - 2
    return line if len(line) <= LONGEST else f"{line[:half].rstrip()} … {line[-half:].lstrip()}"


def say(message: str) -> None:
    """What has to be read, or copied, as a whole, on standard error."""
    print(printable(f"mlr: {message}"), file=sys.stderr)


@contextmanager
def progress_bar(label: str) -> Iterator[Progress]:
    """A bar over updates that vanishes when the run ends; silent when no one watches."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("updates"),
        TimeRemainingColumn(),
    )
    out = Console(stderr=True)
    with Bar(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
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
    for split in SPLITS:
        table.add_column(split, justify="right")
    for name, label in (("loss", "loss"), ("predicted_std", "predicted std")):
        if f"{name}/test" in metrics:
            table.add_row(label, *(f"{metrics[f'{name}/{split}']:.4g}" for split in SPLITS))
    if "accuracy/test" in metrics:
        table.add_row("accuracy", *(f"{metrics[f'accuracy/{split}']:.2%}" for split in SPLITS))
    out.print(table)
    if "logit_grad/wrong" in metrics:
        wrong, right = (_size(metrics, side) for side in ("wrong", "right"))
        out.print(f"mean |dL/dz| in training data: {wrong} where wrong, {right} where right")


def _print_diagnosis(out: Console, folder: Path) -> None:
    from mlr.app.explain import print_diagnosis
    from mlr.records.folder import read_status
    from mlr.records.reading import Recorded

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
