"""Time mlr and other programs that do the same, and print each promise with its measurement.

mlr benchmark
mlr benchmark own-loop sweep --repeats 5

Ratios are appended to mlr/benchmarks/history.csv and compared with its last lines of this machine;
if one is worse by more than the noise, the exit code is 1.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter

from rich.console import Console

from mlr.benchmarks.history import (
    HISTORY,
    append_entries,
    entries_of,
    latest,
    machine,
    read_entries,
    recordable,
    steps_back,
)
from mlr.benchmarks.rows import BenchmarkRow, duration, table
from mlr.core.checks import PlaceError, known, whole

WIDTH_OF_FILES = 130


@dataclass(frozen=True)
class Section:
    """Some promises that are measured together.

    name: name on the command line.
    title: one line of help.
    home: module and function that measure it; takes the repeats, yields rows.
    """

    name: str
    title: str
    home: tuple[str, str]

    def rows(self, repeats: int) -> Iterable[BenchmarkRow]:
        """Measure the section."""
        module, function = self.home
        rows: Iterable[BenchmarkRow] = getattr(import_module(module), function)(repeats)
        return rows


def _section(name: str, title: str, module: str, function: str = "rows") -> Section:
    return Section(name, title, (f"mlr.benchmarks.{module}", function))


BY_DEFAULT = {
    section.name: section
    for section in (
        _section("start", "whole commands: one run, and 512, start-up and all files", "commands"),
        _section(
            "works", "one run with its default logging, compared with a loop by hand", "workloads"
        ),
        _section("sweep", "N logistic regressions, computed in this process", "sweep"),
        _section("jax", "the same logistic regressions by JAX: vmap, jit, lax.scan", "jax_sweep"),
        _section("objectives", "losses and dL/dz of one batch, compared with torch", "objectives"),
        _section("networks", "CNNs, and whole commands on MNIST: time and memory", "networks"),
    )
}
"""Sections that hold the ratios of the history, and take some minutes together."""
SECTIONS = BY_DEFAULT | {
    section.name: section
    for section in (
        _section("own-loop", "a GradientProbe in a plain PyTorch loop, and others", "own_loop"),
        _section("mlps", "64 MLPs 64-32-10 on digits, computed in this process", "sweep", "mlps"),
        _section(
            "runs", "512 runs from the shell, by the launchers of Hydra, too", "commands", "sweeps"
        ),
        _section("probes", "one run with and without its probes", "probes"),
        _section("numerics", "errors of losses and dL/dz, z from −200 to 200", "numerics"),
        _section(
            "explain",
            "faults named first, planted and in programs; sound ones not",
            "explain",
            "every",
        ),
        _section("check", "mlr.check of one batch, compared with a step", "preflight"),
        _section("remedies", "planted faults cured by the best of explain --try", "remedies"),
        _section(
            "try-remedies", "faulty PyTorch programs cured by try_remedies", "program_remedies"
        ),
        _section(
            "faults", "checkpointing once a second: its share of a run's time", "checkpointing"
        ),
        _section("writer", "a million scalars written, and read back", "writer"),
        _section("memory", "peak memory of sweeps of up to 10,000 runs", "memory"),
        _section("scale", "costs of 10,000 and a million runs, from 512 and 2,048", "scale"),
    )
}


def select_sections(names: Sequence[str]) -> list[Section]:
    """Select sections by name, or those of the default.

    Raises:
        InputError: There is no section of that name.
    """
    if not names:
        return list(BY_DEFAULT.values())
    return [SECTIONS[known("section", name, SECTIONS)] for name in dict.fromkeys(names)]


def measure_sections(sections: Sequence[Section], repeats: int, history: Path) -> int:
    """Measure the sections, print the table of each once it is complete, and record its ratios.

    Returns:
        The number of ratios that became worse.

    Raises:
        DataError: the history is damaged; nothing is measured then.
        WriteError: the history cannot be written.
    """
    before = read_entries(history)
    worse: list[str] = []
    last = latest(before, machine())
    console = Console()
    if not console.is_terminal:  # 80 columns would break most lines
        console = Console(width=WIDTH_OF_FILES)

    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    say(f"{machine()}, {_load()}; medians ± standard error; mlr and the others in turn")
    if before and not last:
        say(f"{history} has no line of this machine: nothing to compare with.")
    for number, section in enumerate(sections, start=1):
        say(f"\n{section.name} ({number} of {len(sections)}): {section.title}", "bold")
        began = perf_counter()
        # no spinner: it would take CPU time from the measurement
        rows = list(section.rows(repeats))
        console.print(table(rows, {name: str(entry) for name, entry in last.items()}))
        new = list(entries_of(rows))
        worse += steps_back(before, new)
        kept = recordable(new)
        if kept:  # at once: a limit of the shell may end the command
            append_entries(history, kept)
        say(f"{duration(perf_counter() - began)}; {len(kept)} ratios recorded in {history}")
        for entry in new:
            if entry not in kept:
                say(f"too noisy to be recorded: {entry.quantity}, {entry}")
    say(f"\nat the end: {_load()}")
    for sentence in worse:
        say(f"worse: {sentence}", "bold red")
    return len(worse)


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.1f}"


def add_options(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    width = max(map(len, SECTIONS))
    lines = [f"  {section.name:{width}}  {section.title}" for section in SECTIONS.values()]
    parser.epilog = "\n".join(["sections:", *lines])
    parser.add_argument("section", nargs="*", help=f"default: {' '.join(BY_DEFAULT)}")
    parser.add_argument(
        "--repeats",
        type=int,
        default=11,
        help="measurements of each, of which the median counts (default: 11); commands fewer",
    )
    parser.add_argument(
        "--history",
        type=Path,
        default=HISTORY,
        help="table that ratios are compared with and appended to (default: that of the checkout)",
    )


def run(section: list[str], repeats: int, history: Path) -> int:
    """Measure the sections; returns the exit code, 1 if a ratio became worse."""
    sections = select_sections(section)
    folder = history.parent
    if not folder.is_dir() or not os.access(history if history.exists() else folder, os.W_OK):
        raise PlaceError(f"--history={history} cannot be written: give a file of your own.")
    return int(measure_sections(sections, whole("--repeats", repeats), history) > 0)
