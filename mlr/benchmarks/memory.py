"""Peak memory of whole sweeps, each in its own process, as N grows and within a budget.

`python -m mlr.benchmarks.memory BUDGET --multirun seed=0,1` runs scripts/train.py and prints its
peak memory in bytes at the end. BUDGET is the size of a batch in bytes, 0 for mlr's own choice.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from unittest.mock import patch

from mlr.benchmarks.commands import WORK
from mlr.benchmarks.rows import BenchmarkRow, duration
from mlr.benchmarks.workloads import LOGISTIC, experiment, make_data
from mlr.training.memory import bytes_per_run

COUNTS = (1000, 2000, 4000)
MANY = 10_000
BUDGET = 1 << 30
# short runs of one dataset, so that memory grows by that of the runs
SMALL = (*WORK, "epochs=2", "data.seed=0", "loss=bce")
MIB = 1 << 20


def rows(
    repeats: int, counts: Sequence[int] = COUNTS, many: int = MANY, budget: int = BUDGET
) -> Iterator[BenchmarkRow]:
    """Measure the memory of each further run, and of a sweep with a budget; ignores `repeats`."""
    alone, _ = peak_memory(1)
    yield BenchmarkRow("one run", f"{alone / MIB:.0f} MiB")
    peaks = {}
    for count in counts:
        peaks[count], took = peak_memory(count)
        yield BenchmarkRow(f"N = {count:,}", f"{peaks[count] / MIB:.0f} MiB in {duration(took)}")
    stated = bytes_of_a_run()
    slopes = [(peaks[b] - peaks[a]) / (b - a) for a, b in pairwise(counts)]
    for (before, after), slope in zip(pairwise(counts), slopes, strict=True):
        what = f"each run from N = {before:,} to {after:,}"
        kib = f"{slope / 1024:.0f} KiB"
        other = f"{stated / 1024:.0f} KiB stated, as memory is planned"
        yield BenchmarkRow(what, kib, other, slope / stated, most=1)
    taken, took = peak_memory(many, budget)
    yield BenchmarkRow(
        f"N = {many:,} in a budget of {budget / MIB:.0f} MiB",
        f"{taken / MIB:.0f} MiB in {duration(took)}",
        f"{alone / MIB:.0f} MiB of one run",
        (taken - alone) / budget,
        most=1,
    )


def bytes_of_a_run() -> int:
    """Compute the bytes that mlr plans for a run of `SMALL`."""
    return bytes_per_run(experiment(replace(LOGISTIC, epochs=2), make_data(LOGISTIC)))


def peak_memory(count: int, budget: int = 0, work: Sequence[str] = SMALL) -> tuple[int, float]:
    """Measure peak bytes and seconds of a sweep; with budget 0, mlr uses the free memory."""
    line = sweep_line(count, budget, work)
    with TemporaryDirectory() as folder:
        started = perf_counter()
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
        took = perf_counter() - started
        found = sum(1 for _ in Path(folder).rglob("status.json"))
    if done.returncode or found != count:
        raise RuntimeError(f"{' '.join(line)}: {found} runs\n{done.stdout}{done.stderr}")
    return int(done.stdout.splitlines()[-1]), took


def sweep_line(count: int, budget: int, work: Sequence[str]) -> list[str]:
    """Return the command line of a sweep over `count` seeds that prints its peak memory."""
    program = [sys.executable, "-m", "mlr.benchmarks.memory", str(budget)]
    return [*program, "--multirun", *work, f"seed=range(0,{count})"]


def train_within(budget: int) -> int:
    """Run the command line as if the free memory allowed batches of `budget` bytes."""
    from mlr.app.cli.command import main
    from mlr.app.sweep.packing import SHARE_OF_FREE_MEMORY

    if not budget:
        return main()
    free = budget / SHARE_OF_FREE_MEMORY
    with patch("mlr.app.sweep.packing.free_bytes", lambda _: free):
        return main()


def peak_bytes() -> int:
    """Read the peak memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would include the process that started this one
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS counts in bytes


if __name__ == "__main__":
    code = train_within(int(sys.argv.pop(1)))
    print(peak_bytes())
    sys.exit(code)
