"""The sections of the benchmark by name, and the report of those chosen."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module

from rich.console import Console
from rich.markup import escape

from mlr.benchmarks.rows import Row, table
from mlr.core.checks import known

WIDTH_OF_FILES = 130


@dataclass(frozen=True)
class Section:
    """Some promises that are measured together.

    name: as it is typed.
    title: what is measured.
    home: the module and function that measure it, which take the repeats and yield rows.
    by_default: whether it is measured when none is named.
    """

    name: str
    title: str
    home: tuple[str, str]
    by_default: bool = True

    def rows(self, repeats: int) -> Iterable[Row]:
        """Measure."""
        module, function = self.home
        rows: Iterable[Row] = getattr(import_module(module), function)(repeats)
        return rows


def _section(name: str, title: str, module: str, function: str = "rows", **more: bool) -> Section:
    return Section(name, title, (f"mlr.benchmarks.{module}", function), **more)


SECTIONS = {
    section.name: section
    for section in (
        _section(
            "works", "one run with its default logging, compared with a loop by hand", "works"
        ),
        _section("own-loop", "a GradientProbe in a plain PyTorch loop, and others", "own_loop"),
        _section("sweep", "N logistic regressions, computed in this process", "sweep"),
        _section("mlps", "64 MLPs 64-32-10 on digits, computed in this process", "sweep", "mlps"),
        _section("jax", "the same logistic regressions by JAX: vmap, jit, lax.scan", "with_jax"),
        _section("runs", "512 runs from the shell, start-up and all files included", "commands"),
        _section("probes", "one run with and without its probes", "probes"),
        _section("numerics", "errors of losses and dL/dz, z from −200 to 200", "numerics"),
        _section("objectives", "losses and dL/dz of one batch, compared with torch", "objectives"),
        _section("explain", "planted faults named first, healthy runs left alone", "explain"),
        _section("faults", "checkpointing once a second: its share of a run's time", "keeping"),
        _section("writer", "a million scalars written, and read back", "writer"),
        _section(
            "memory", "peak memory of sweeps of up to 10,000 runs", "memory", by_default=False
        ),
    )
}


def chosen(names: Sequence[str]) -> list[Section]:
    """The sections of these names, or those of the default.

    Raises:
        InputError: a name that none has.
    """
    if not names:
        return [section for section in SECTIONS.values() if section.by_default]
    return [SECTIONS[known("section", name, SECTIONS)] for name in dict.fromkeys(names)]


def measure(sections: Iterable[Section], repeats: int) -> None:
    """Measure section after section, and print the table of each once it is complete."""
    console = Console()
    if not console.is_terminal:  # 80 columns would break most lines
        console = Console(width=WIDTH_OF_FILES)
    console.print(f"{os.cpu_count()} cores, {_load()}; medians; mlr and the others in turn")
    for section in sections:
        console.print(f"\n[bold]{section.name}[/]: {escape(section.title)}")
        # without a spinner: it would take part of a core from what is measured
        console.print(table(section.rows(repeats)))
    console.print(f"at the end: {_load()}")


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.1f}"
