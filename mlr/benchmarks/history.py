"""History of the benchmark: a table of every recorded ratio, and what became worse since.

Ratios are compared on one machine only: another processor, number of cores or threads, torch or
Python changes them by more than a careless commit does.
"""

from __future__ import annotations

import csv
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from io import StringIO
from math import hypot, isfinite
from pathlib import Path

from mlr.benchmarks.rows import BenchmarkRow, Ratio
from mlr.core.checks import DataError
from mlr.core.durable import append

HISTORY = Path(__file__).with_name("history.csv")
FLOOR = 0.05
"""Smallest step back that is reported: one code differs by up to 4 % from process to process."""
NOISES = 3.0
"""Smallest step back, in standard errors of the difference of two ratios."""
NOISIEST = 0.05
"""Largest noise that is recorded: a busy machine's ratios would hide later steps back."""


@dataclass(frozen=True)
class HistoryEntry:
    """One recorded ratio: a line of the table.

    date: day and minute, UTC.
    commit: its short hash; with "+changes" if tracked files differed from it.
    machine: processor, cores, threads and versions.
    quantity: name of the ratio.
    ratio: median of the ratios of each round; the lower, the better.
    noise: its standard error, as a share of it.
    repeats: number of rounds.
    """

    date: str
    commit: str
    machine: str
    quantity: str
    ratio: float
    noise: float
    repeats: int

    def __str__(self) -> str:
        """Return the ratio with its noise."""
        return str(Ratio(self.ratio, self.noise, self.repeats))


COLUMNS = [field.name for field in fields(HistoryEntry)]


def read_entries(path: Path) -> list[HistoryEntry]:
    """Read the table, oldest line first; there is none yet if there is no file.

    Raises:
        DataError: a line is damaged; names it.
    """
    if not path.exists():
        return []
    try:
        text = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}. {_mend(path)}") from None
    lines = csv.reader(StringIO(text), strict=True)
    try:
        if next(lines, None) != COLUMNS:
            raise ValueError(f"the columns are {','.join(COLUMNS)}")
        entries = [_entry(cells) for cells in lines]
        if not text.endswith("\n"):
            raise ValueError("it is cut short")
    except (ValueError, csv.Error) as error:
        where = f"line {max(1, lines.line_num)}"
        raise DataError(f"{path}, {where}, is damaged: {error}. {_mend(path)}") from None
    return entries


def _mend(path: Path) -> str:
    return f"Restore it with git checkout {path.name}, or write to another table by --history FILE."


def _entry(cells: Sequence[str]) -> HistoryEntry:
    if len(cells) != len(COLUMNS):
        raise ValueError(f"it has {len(cells)} cells instead of {len(COLUMNS)}")
    if not all(cells):
        raise ValueError("a cell is empty")
    date, hash_, machine, quantity, ratio, noise, repeats = cells
    datetime.fromisoformat(date)
    found = HistoryEntry(date, hash_, machine, quantity, float(ratio), float(noise), int(repeats))
    if not (isfinite(found.ratio + found.noise) and found.ratio > 0 and found.noise >= 0):
        raise ValueError(f"ratio {ratio} and noise {noise} are none")
    return found


def append_entries(path: Path, entries: Iterable[HistoryEntry]) -> None:
    """Append lines to the table in one write, all or none; a new table begins with its columns.

    Raises:
        WriteError: the file cannot be written.
    """
    text = StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    if not path.exists():
        write(COLUMNS)
    for entry in entries:
        write(astuple(entry))
    append(path, text.getvalue().encode(), sync=True)


def entries_of(rows: Iterable[BenchmarkRow]) -> Iterator[HistoryEntry]:
    """Make a line of each row with a quantity whose noise is known."""
    date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    own = date, commit(), machine()
    for row in rows:
        ratio = row.value
        if row.quantity and isinstance(ratio, Ratio) and isfinite(ratio.noise):
            share = float(f"{ratio.noise:.2g}")
            yield HistoryEntry(*own, row.quantity, float(f"{ratio:.4g}"), share, ratio.repeats)


def recordable(entries: Iterable[HistoryEntry]) -> list[HistoryEntry]:
    """Leave out ratios that are too noisy to compare others with."""
    return [entry for entry in entries if entry.noise <= NOISIEST]


def latest(entries: Iterable[HistoryEntry], machine: str) -> dict[str, HistoryEntry]:
    """Return the last line of each quantity on this machine."""
    return {entry.quantity: entry for entry in entries if entry.machine == machine}


def steps_back(before: Sequence[HistoryEntry], now: Iterable[HistoryEntry]) -> Iterator[str]:
    """Say in a sentence each what is worse than the last line, or than the best one.

    Worse is a ratio that is higher by more than 5 %, and by more than three standard errors of
    the difference. The best line is compared, too, since many small steps back hide from the last.

    Args:
        before: lines of earlier measurements, of any machine.
        now: new lines.
    """
    for entry in now:
        own = [e for e in before if (e.machine, e.quantity) == (entry.machine, entry.quantity)]
        if not own:
            continue
        for earlier, words in ((own[-1], "last"), (min(own, key=lambda e: e.ratio), "best")):
            more, noise = entry.ratio / earlier.ratio - 1, hypot(entry.noise, earlier.noise)
            if more > max(FLOOR, NOISES * noise):
                yield (
                    f"{entry.quantity}: {entry.ratio:.3g} now, {earlier.ratio:.3g} at "
                    f"{earlier.commit} ({words}, {earlier.date}): {more:.0%} worse, with a noise "
                    f"of {100 * noise:.2g} %."
                )
                break


def machine() -> str:
    """Describe what ratios depend on, other than mlr."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{_processor()}, {cores} cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        text = information.read_text()
        # clouds call all of theirs by one name
        keys = ("model name", "cpu family", "model")
        found = [re.search(rf"^{key}\s*:\s*(.+)$", text, re.MULTILINE) for key in keys]
        if any(found):
            return " ".join(match[1] for match in found if match)
    return platform.processor() or platform.machine() or sys.platform


def commit() -> str:
    """Return the short hash of the checkout's commit, with a sign of changes; else "unknown"."""
    try:
        hash_ = _git("rev-parse", "--short=7", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":!history.csv")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{hash_}+changes" if changed else hash_


def _git(*words: str) -> str:
    line = ["git", "-C", str(HISTORY.parent), *words]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()
