"""Peak memory of whole sweeps, each in a process of its own, as N grows and within a budget."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from mlr.benchmarks.commands import WORK
from mlr.benchmarks.rows import Row, duration
from mlr.benchmarks.works import LOGISTIC, experiment, make_data
from mlr.training.memory import bytes_per_run

COUNTS = (1000, 2000, 4000)
MANY = 10_000
BUDGET = 1 << 30
# short runs of one dataset: what grows is what a run takes
SMALL = (*WORK, "epochs=2", "data.seed=0", "loss=bce")
MIB = 1 << 20


def rows(
    repeats: int, counts: Sequence[int] = COUNTS, many: int = MANY, budget: int = BUDGET
) -> Iterator[Row]:
    """How much each further run takes, and what is taken of a budget; `repeats` is not needed."""
    alone, _ = peak(1)
    yield Row("one run", f"{alone / MIB:.0f} MiB")
    peaks = {}
    for count in counts:
        peaks[count], took = peak(count)
        yield Row(f"N = {count:,}", f"{peaks[count] / MIB:.0f} MiB in {duration(took)}")
    stated = bytes_of_a_run()
    slopes = [(peaks[b] - peaks[a]) / (b - a) for a, b in pairwise(counts)]
    for (before, after), slope in zip(pairwise(counts), slopes, strict=True):
        what = f"each run from N = {before:,} to {after:,}"
        kib = f"{slope / 1024:.0f} KiB"
        other = f"{stated / 1024:.0f} KiB stated, as memory is planned"
        yield Row(what, kib, other, slope / stated, most=1)
    taken, took = peak(many, budget)
    yield Row(
        f"N = {many:,} in a budget of {budget / MIB:.0f} MiB",
        f"{taken / MIB:.0f} MiB in {duration(took)}",
        f"{alone / MIB:.0f} MiB of one run",
        (taken - alone) / budget,
        most=1,
    )


def bytes_of_a_run() -> int:
    """What mlr plans for a run of `SMALL`."""
    from dataclasses import replace

    return bytes_per_run(experiment(replace(LOGISTIC, epochs=2), make_data(LOGISTIC)))


def peak(count: int, budget: int = 0) -> tuple[int, float]:
    """Peak bytes and seconds of a sweep; 0 as a budget leaves it to the free memory."""
    program = [sys.executable, "-m", "mlr.benchmarks.peak"]
    line = [*program, str(budget), "--multirun", *SMALL, f"seed=range(0,{count})"]
    with TemporaryDirectory() as folder:
        started = perf_counter()
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
        took = perf_counter() - started
        found = sum(1 for _ in Path(folder).rglob("status.json"))
    if done.returncode or found != count:
        raise RuntimeError(f"{' '.join(line)}: {found} runs\n{done.stdout}{done.stderr}")
    return int(done.stdout.splitlines()[-1]), took
