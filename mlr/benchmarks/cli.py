"""Time mlr and other programs that do the same, and print each promise with its measurement.

mlr benchmark
mlr benchmark own-loop sweep --repeats 5
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module

from rich.console import Console
from rich.markup import escape

from mlr.benchmarks.rows import BenchmarkRow, table
from mlr.core.checks import known, whole

WIDTH_OF_FILES = 130


@dataclass(frozen=True)
class Section:
    """Some promises that are measured together.

    name: name on the command line.
    title: one line of help.
    home: module and function that measure it; takes the repeats, yields rows.
    by_default: True if it is measured when no section is named.
    """

    name: str
    title: str
    home: tuple[str, str]
    by_default: bool = True

    def rows(self, repeats: int) -> Iterable[BenchmarkRow]:
        """Measure the section."""
        module, function = self.home
        rows: Iterable[BenchmarkRow] = getattr(import_module(module), function)(repeats)
        return rows


def _section(name: str, title: str, module: str, function: str = "rows", **more: bool) -> Section:
    return Section(name, title, (f"mlr.benchmarks.{module}", function), **more)


SECTIONS = {
    section.name: section
    for section in (
        _section(
            "works", "one run with its default logging, compared with a loop by hand", "workloads"
        ),
        _section("own-loop", "a GradientProbe in a plain PyTorch loop, and others", "own_loop"),
        _section("sweep", "N logistic regressions, computed in this process", "sweep"),
        _section("mlps", "64 MLPs 64-32-10 on digits, computed in this process", "sweep", "mlps"),
        _section("jax", "the same logistic regressions by JAX: vmap, jit, lax.scan", "jax_sweep"),
        _section("runs", "512 runs from the shell, start-up and all files included", "commands"),
        _section("probes", "one run with and without its probes", "probes"),
        _section("numerics", "errors of losses and dL/dz, z from −200 to 200", "numerics"),
        _section("objectives", "losses and dL/dz of one batch, compared with torch", "objectives"),
        _section("explain", "planted faults named first, healthy runs left alone", "explain"),
        _section(
            "faults", "checkpointing once a second: its share of a run's time", "checkpointing"
        ),
        _section("writer", "a million scalars written, and read back", "writer"),
        _section(
            "memory", "peak memory of sweeps of up to 10,000 runs", "memory", by_default=False
        ),
    )
}


def select_sections(names: Sequence[str]) -> list[Section]:
    """Select sections by name, or those of the default.

    Raises:
        InputError: There is no section of that name.
    """
    if not names:
        return [section for section in SECTIONS.values() if section.by_default]
    return [SECTIONS[known("section", name, SECTIONS)] for name in dict.fromkeys(names)]


def measure_sections(sections: Iterable[Section], repeats: int) -> None:
    """Measure the sections and print the table of each once it is complete."""
    console = Console()
    if not console.is_terminal:  # 80 columns would break most lines
        console = Console(width=WIDTH_OF_FILES)
    console.print(f"{os.cpu_count()} cores, {_load()}; medians; mlr and the others in turn")
    for section in sections:
        console.print(f"\n[bold]{section.name}[/]: {escape(section.title)}")
        # no spinner: it would take CPU time from the measurement
        console.print(table(section.rows(repeats)))
    console.print(f"at the end: {_load()}")


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.1f}"


def add_options(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    width = max(map(len, SECTIONS))
    lines = [f"  {section.name:{width}}  {section.title}" for section in SECTIONS.values()]
    parser.epilog = "\n".join(["sections:", *lines])
    parser.add_argument(
        "section", nargs="*", help="default: all but memory, which takes many minutes"
    )
    parser.add_argument(
        "--repeats",
        type=int,
        default=11,
        help="measurements of each, of which the median counts (default: 11); commands 3 at most",
    )


def run(section: list[str], repeats: int) -> int:
    """Measure the sections; returns the exit code."""
    measure_sections(select_sections(section), whole("--repeats", repeats))
    return 0
