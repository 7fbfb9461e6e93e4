"""Costs of sweeps of many small runs: measured at two sizes, computed for those of a million.

Each cost is a line through the two sweeps: what the command costs once, and what each run adds.
CPU seconds are counted, since they do not depend on other programs. The memory of a program is
bounded, so that the memory that each run adds is what stays of it until the end of the sweep.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from mlr.benchmarks import commands
from mlr.benchmarks.memory import MIB, sweep_line
from mlr.benchmarks.rows import BenchmarkRow, duration

COUNTS = (512, 2048)
MANY = (10_000, 1_000_000)
BUDGET = 128 * MIB
"""Memory of a program, some hundred of these runs; mlr's own choice is half of what is free."""
WORK = (*commands.WORK, "loss=bce")
CASES = MappingProxyType({"default": (), "probes=off": ("probes=off",)})
WORKERS = 16
COMPARE = Path(__file__).parents[2] / "scripts" / "compare.py"


@dataclass(frozen=True)
class Costs:
    """Costs of one sweep.

    seconds: CPU seconds of the command, on all cores.
    comparing: CPU seconds of `compare` on its runs.
    memory: peak memory in bytes.
    files: number of files.
    folders: number of folders.
    content: bytes in the files.
    space: bytes that they take on the disk, in whole blocks.
    """

    seconds: float
    comparing: float
    memory: float
    files: float
    folders: float
    content: float
    space: float


def rows(
    repeats: int, counts: Sequence[int] = COUNTS, many: Sequence[int] = MANY
) -> Iterator[BenchmarkRow]:
    """Measure two sweeps of each case, then compute larger ones; ignores `repeats`."""
    few, more = counts
    for case, options in CASES.items():
        small, large = (sweep_costs(count, (*WORK, *options)) for count in counts)
        once, each = line(few, small, more, large)
        yield BenchmarkRow(f"{case}: {few:,} runs", *words(small))
        yield BenchmarkRow(f"{more:,} runs", *words(large))
        yield BenchmarkRow("each run adds", *words(each))
        for count in many:
            time, disk = words(scaled(once, each, count))
            shared = duration(scaled(once, each, count // WORKERS).seconds)
            workers = f"; {shared} CPU on each of {WORKERS} workers"
            yield BenchmarkRow(f"{count:,} runs, computed", time, f"{disk}{workers}")


def line(few: int, small: Costs, more: int, large: Costs) -> tuple[Costs, Costs]:
    """Return what a sweep costs once, and what each run adds, of two sweeps."""
    each = {}
    for field in fields(Costs):
        less, much = getattr(small, field.name), getattr(large, field.name)
        each[field.name] = (much - less) / (more - few)
    once = {name: getattr(small, name) - few * slope for name, slope in each.items()}
    return Costs(**once), Costs(**each)


def scaled(once: Costs, each: Costs, count: int) -> Costs:
    """Compute the costs of a sweep of `count` runs."""
    names = [field.name for field in fields(Costs)]
    return Costs(**{name: getattr(once, name) + count * getattr(each, name) for name in names})


def words(costs: Costs) -> tuple[str, str]:
    """Return time and memory, and files, as text."""
    return (
        f"{duration(costs.seconds)} CPU, {size(costs.memory)} memory",
        f"{costs.files:,.3g} files and {costs.folders:,.3g} folders, {size(costs.content)} in "
        f"{size(costs.space)} of the disk; compare {duration(costs.comparing)} CPU",
    )


def size(count: float) -> str:
    """Format bytes in a suitable unit."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if abs(count) >= 1 << power:
            return f"{count / (1 << power):.3g} {unit}"
    return f"{count:.3g} bytes"


def sweep_costs(count: int, work: Sequence[str] = WORK) -> Costs:
    """Run a sweep of `count` runs, and `compare` on it, each in its own process."""
    with TemporaryDirectory() as folder:
        printed, seconds = _cpu_seconds(sweep_line(count, BUDGET, work), folder)
        memory = int(printed.splitlines()[-1])
        found = sum(1 for _ in Path(folder).rglob("status.json"))
        if found != count:
            raise RuntimeError(f"{found} runs instead of {count}: {printed}")
        _, comparing = _cpu_seconds([sys.executable, str(COMPARE), "runs"], folder)
        return Costs(seconds, comparing, memory, *file_costs(Path(folder)))


def _cpu_seconds(line: Sequence[str], folder: str) -> tuple[str, float]:
    """Run a command; returns what it printed, and its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{' '.join(line)}: {done.stdout}{done.stderr}")
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return done.stdout, user + system


def file_costs(folder: Path) -> tuple[int, int, int, int]:
    """Count files and folders below `folder`, their bytes, and those that they take on the disk."""
    files = folders = content = space = 0
    for place, names, found in os.walk(folder):
        folders += len(names)
        files += len(found)
        for name in found:
            status = (Path(place) / name).lstat()
            content += status.st_size
            space += status.st_blocks * 512
        space += sum((Path(place) / name).lstat().st_blocks * 512 for name in names)
    return files, folders, content, space
