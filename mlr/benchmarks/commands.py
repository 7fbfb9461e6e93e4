"""Whole commands: one run, and a sweep in one program, in turn, and in several processes.

The last two are measured on fewer jobs and extrapolated: another command with one job per process
measures the start, and the time that each further job adds is counted for all jobs of the sweep.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from mlr.benchmarks.rows import BenchmarkRow, Measure, Ratio, duration, in_turn, rounds, timed
from mlr.benchmarks.sweep import train_unrecorded
from mlr.benchmarks.workloads import LOGISTIC, experiment
from mlr.data import Blobs

REPEATS = 3
MOST_COMMANDS = 7
"""Most rounds of the commands whose ratios are recorded; fewer would hide a tenth in the noise."""
JOBS, FEW, PROCESSES = 512, 32, 2
# 1,000 examples to train on
WORK = (
    *("data=blobs", "data.n=1250", "data.val_fraction=0.1", "data.test_fraction=0.1"),
    *("batch_size=32", "epochs=20", "head=sigmoid"),
)
TRAIN = (str(Path(__file__).parents[2] / "scripts" / "train.py"),)
# one job after the other, as in hydra/launcher=basic, but for launchers of other processes
ALONE = ("-m", "mlr.benchmarks.one_by_one")
BASIC = ("hydra/launcher=basic",)
JOBLIB = ("hydra/launcher=joblib", f"hydra.launcher.n_jobs={PROCESSES}")


def rows(repeats: int, jobs: int = JOBS, work: Sequence[str] = WORK) -> Iterator[BenchmarkRow]:
    """Measure one command next to the import of torch, and a sweep next to one run of it."""
    with TemporaryDirectory() as folder:
        here = Path(folder)
        torch, short, one, whole = rounds(
            [
                program(here, ("-c", "import torch"), 0),
                program(here, (*TRAIN, "head=sigmoid", "loss=se"), 1),
                sweep_command(here, TRAIN, work, 1),
                sweep_command(here, TRAIN, work, jobs),
            ],
            min(repeats, MOST_COMMANDS),
            warm_up=False,
        )
    for own, other, words, most, quantity in (
        (short, torch, "import torch", 1.5, "`head=sigmoid loss=se`, whole command ÷ import torch"),
        (whole, one, "one run", 1.6, f"{jobs} runs whole command ÷ one run whole command"),
    ):
        yield BenchmarkRow(
            quantity.partition(" ÷ ")[0],
            duration(median(own)),
            f"{duration(median(other))} {words}",
            Ratio.of(own, other),
            most=most,
            quantity=quantity,
        )


def sweeps(
    repeats: int, jobs: int = JOBS, few: int = FEW, work: Sequence[str] = WORK
) -> Iterator[BenchmarkRow]:
    """Measure the sweep, and the same by Hydra's own launchers."""
    repeats = min(repeats, REPEATS)
    joblib = find_spec("hydra_plugins.hydra_joblib_launcher") is not None
    with TemporaryDirectory() as folder:
        here = Path(folder)
        commands = [
            sweep_command(here, TRAIN, work, jobs),
            sweep_command(here, TRAIN, work, 1),
            sweep_command(here, TRAIN, (*work, *BASIC), 1),
            sweep_command(here, TRAIN, (*work, *BASIC), few),
        ]
        if joblib:
            commands.append(sweep_command(here, ALONE, (*work, *JOBLIB), PROCESSES))
            commands.append(sweep_command(here, ALONE, (*work, *JOBLIB), few))
        computing = compute(jobs)
        whole, start, *others, computed = in_turn([*commands, computing], repeats, warm_up=False)
    yield BenchmarkRow(f"{jobs} jobs", duration(whole), value=whole, unit=" s", most=12)
    basic = scaled(others[0], others[1], 1, few, jobs)
    other = f"{duration(basic)} by hydra/launcher=basic, of {few} jobs in {duration(others[1])}"
    yield BenchmarkRow(
        "compared with one job after the other", duration(whole), other, basic / whole, least=8
    )
    name = f"hydra/launcher=joblib, {PROCESSES} processes"
    if joblib:
        both = scaled(others[2], others[3], PROCESSES, few, jobs)
        other = f"{duration(both)} by {name}, of {few} jobs in {duration(others[3])}"
        yield BenchmarkRow(
            "compared with several processes", duration(whole), other, both / whole, least=5
        )
    else:
        yield BenchmarkRow(name, other="not installed: pip install '.[benchmark]'")
    parts = (
        f"{duration(whole)} − one job {duration(start)} − data and computing {duration(computed)}"
    )
    each = (whole - start - computed) / jobs
    yield BenchmarkRow(
        "files and composition of a run", duration(each), parts, each * 1e3, " ms", most=5
    )


def scaled(start: float, measured: float, least: int, few: int, jobs: int) -> float:
    """Extrapolate to `jobs`, where `least` took `start` seconds and `few` took `measured`."""
    return start + (measured - start) * (jobs - least) / (few - least)


def sweep_command(here: Path, start: Sequence[str], work: Sequence[str], jobs: int) -> Measure:
    """Build the measure of a sweep of `jobs` in a folder below `here`.

    The folder is not removed: ext4 creates files several times as slowly for minutes after a
    removal.
    """
    losses = "se,bce" if jobs > 1 else "bce"
    choices = (f"loss={losses}", f"seed=range(0,{max(1, jobs // 2)})")
    return program(here, (*start, "--multirun", *work, *choices), jobs)


def program(here: Path, words: Sequence[str], runs: int) -> Measure:
    """Build the measure of a program of Python that leaves `runs` runs in a folder below `here`."""
    line = [sys.executable, *words]

    def measure() -> float:
        folder = here / token_hex(8)
        folder.mkdir()
        started = perf_counter()
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
        seconds = perf_counter() - started
        found = len(list(folder.rglob("status.json")))
        if done.returncode or found != runs:
            raise RuntimeError(f"{' '.join(line)}: {found} runs\n{done.stdout}{done.stderr}")
        return seconds

    return measure


def compute(jobs: int) -> Measure:
    """Build the measure of the same sweep's data and training, without composition and files."""
    losses = ("se", "bce") if jobs > 1 else ("bce",)

    def sweep() -> None:
        source = Blobs(n=1250, val_fraction=0.1, test_fraction=0.1)
        datasets = [source.load(seed) for seed in range(max(1, jobs // 2))]
        experiments = [
            experiment(LOGISTIC, data, seed, loss)
            for loss in losses
            for seed, data in enumerate(datasets)
        ]
        train_unrecorded(experiments)

    sweep()  # warm-up: imports and loading belong to the start of a command
    return timed(sweep)
