"""Train the chunks of a sweep in several processes of this machine, this one among them.

The others are forked before torch is imported here: they import it while this one composes jobs.
Each trains a chunk at a time, all of them with as many threads as a run alone has, on which the
last bits of wide products depend. What they report and print passes through this process.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlr.app.config.run_spec import make_run_spec
from mlr.app.run.job import Job, ProgressReport, Report
from mlr.app.run.signals import Signals
from mlr.core import console
from mlr.records.identity import data_key
from mlr.records.outcome import Outcome

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from mlr.app.sweep.packing import DataCache

Chunk = Sequence[Job]
ENOUGH = 128
"""Runs from which on a second process is forked, which costs an import of torch on its core."""
PER_PROCESS = 64
"""Fewest runs for each process."""
TOGETHER = ("mlr.models.Linear", "mlr.models.Mlp")
"""Models whose runs one program computes together; those of others are worth a process each."""
MOST_APART = 4
"""Most processes for such models: each computes on the threads of all cores."""
CHUNKS = 2
"""Chunks for each process: who is faster takes more of them, and programs are large."""
ACCELERATORS = ("nvidia[0-9]*", "dxg", "kfd")
"""Files in /dev of the devices that torch would choose before the CPU."""
PR_SET_PDEATHSIG = 1


def worth(jobs: int, config: Mapping[str, Any], apart: int | None = None) -> int:
    """Return the number of processes for a sweep, 1 where others cannot be forked or do not pay.

    Args:
        jobs: their number, or an estimate.
        config: of one of them.
        apart: number of jobs computed run by run; None if all are like the one of `config`.
    """
    asked, device = config["sweep"].get("processes"), config["device"]
    # a fork would take over neither torch's threads nor those of others
    forks = sys.platform == "linux" and "torch" not in sys.modules
    if not forks or threading.active_count() > 1:
        return 1
    if device not in ("auto", "cpu") or (device == "auto" and _accelerated()):
        return 1
    if apart is None:
        apart = 0 if computed_together(config) else jobs
    most = min(jobs, len(os.sched_getaffinity(0)))
    worthwhile = max(min(apart, MOST_APART), jobs // PER_PROCESS if jobs >= ENOUGH else 1)
    return max(1, min(most, worthwhile if asked is None else asked))


def computed_together(config: Mapping[str, Any]) -> bool:
    """Return True if one program computes many runs of this kind as fast as few."""
    return config["model"].get("_target_") in TOGETHER


def _accelerated() -> bool:
    return any(any(Path("/dev").glob(name)) for name in ACCELERATORS)


def chunks_of(groups: Sequence[Chunk], processes: int) -> list[Chunk]:
    """Split large groups, so that every process has work; jobs of the same data stay together."""
    if processes == 1:
        return list(groups)
    size = -(-sum(map(len, groups)) // (CHUNKS * processes))
    chunks: list[Chunk] = []
    for group in groups:
        same: dict[str, list[Job]] = {}
        for job in group:
            same.setdefault(data_key(job.config["data"], job.config["seed"]), []).append(job)
        jobs = [job for own in same.values() for job in own]
        parts = -(-len(jobs) // size)
        each = -(-len(jobs) // parts)
        chunks += [jobs[start : start + each] for start in range(0, len(jobs), each)]
    return chunks


def train_here(
    chunk: Chunk,
    report: Report,
    progress: ProgressReport,
    signals: Signals | None,
    cache: DataCache | None = None,
    processes: int = 1,
) -> DataCache:
    """Train a chunk in this process; returns the data that were read for it.

    Args:
        chunk: jobs.
        report: called with each outcome.
        progress: called as a program proceeds.
        signals: that end a program after its present step.
        cache: data that were read for chunks before.
        processes: that share the memory.
    """
    drawn = next((job for job in chunk if job.drawn), None)
    if drawn is not None:
        from mlr.figures.record import prepare_figures  # numpy, which a refusal is without

        prepare_figures(make_run_spec(drawn.config).probes)
    from mlr.app.sweep import packing  # torch: not before there is something to train

    cache = packing.DataCache() if cache is None else cache
    packing.run_chunk(chunk, report, progress, signals, cache, processes)
    return cache


class Workers:
    """The further processes; none before `start`."""

    def __init__(self) -> None:
        self.running: list[_Worker] = []

    def start(self, processes: int) -> None:
        """Fork until there are so many processes, this one counted."""
        if len(self.running) + 1 >= processes or sys.platform == "win32":
            return
        from multiprocessing import get_context  # not at the start of a single run

        # threads that spin while they wait take the core from those of other processes
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        context = get_context("fork")
        while len(self.running) + 1 < processes:
            line, end = context.Pipe()
            ours = [line, *(one.line for one in self.running)]
            process = context.Process(target=_serve, args=(end, ours, os.getpid()), daemon=True)
            process.start()
            end.close()
            self.running.append(_Worker(process, line))

    def train(
        self,
        groups: Sequence[Chunk],
        report: Report,
        progress: ProgressReport,
        signals: Signals | None,
    ) -> None:
        """Train all groups; the arguments are those of `run_chunks`."""
        from concurrent.futures import ThreadPoolExecutor

        work = _Work(groups, 1 + len(self.running), report, progress)
        first = work.queue.popleft()  # with the runs that are drawn, most often
        with ThreadPoolExecutor(1 + len(self.running)) as pool:
            feeding = [pool.submit(work.feed, worker) for worker in self.running]
            try:
                work.train(first, signals)
                while (chunk := work.next()) is not None:
                    work.train(chunk, signals)
                for one in feeding:
                    one.result()
                for worker, unfinished in work.lost:
                    self.running.remove(worker)
                    console.say(f"{worker.end()}; what it has not finished is trained here.")
                    work.train(unfinished, signals)
            except BaseException:
                work.queue.clear()
                for worker in self.running:
                    worker.process.terminate()
                pool.shutdown()
                for outcome in work.interrupted:
                    report(outcome)
                raise

    def close(self) -> None:
        """End all processes; nothing is left that they train."""
        while self.running:
            worker = self.running.pop()
            worker.line.close()
            worker.process.kill()
            worker.process.join()


class LostError(Exception):
    """A worker has ended before its chunk."""


class _Worker(NamedTuple):
    """A process, and the connection to it."""

    process: Any
    line: Connection

    def messages(self, chunk: Chunk, processes: int) -> Iterator[Any]:
        """Have a chunk trained, and yield what comes of it.

        Raises:
            LostError: the process has ended.
        """
        try:
            self.line.send((chunk, processes))
            while (message := self.line.recv()) is not None:
                yield message
        except Exception as error:  # perhaps in the midst of a message
            raise LostError from error

    def end(self) -> str:
        """Wait for the end of the process, and describe it."""
        self.process.join()
        code = self.process.exitcode
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return f"a process of the sweep ended {how}"


class _Work:
    """Chunks that are waiting, and what has come of the others.

    lost: workers that ended, and the chunk that each had.
    interrupted: outcomes of runs that a worker was told to stop.
    """

    def __init__(
        self, groups: Sequence[Chunk], processes: int, report: Report, progress: ProgressReport
    ) -> None:
        self.queue = deque(chunks_of(groups, processes))
        self.processes, self._report, self._progress = processes, report, progress
        self.lost: list[tuple[_Worker, Chunk]] = []
        self.interrupted: list[Outcome] = []
        self._cache: DataCache | None = None
        self._done: dict[_Worker | None, float] = {}
        self._lock = threading.Lock()

    def next(self) -> Chunk | None:
        """Return the next chunk of this process; None if no chunk is left."""
        try:
            return self.queue.popleft()
        except IndexError:  # a worker was faster
            return None

    def train(self, chunk: Chunk, signals: Signals | None) -> None:
        """Train a chunk in this process."""
        take = partial(self._take, None)
        self._cache = train_here(chunk, take, take, signals, self._cache, self.processes)

    def feed(self, worker: _Worker) -> None:
        """Have a worker train chunks, one after the other, until none is left or it has ended."""
        while True:
            try:
                chunk = self.queue.pop()
            except IndexError:
                return
            try:
                for message in worker.messages(chunk, self.processes):
                    self._take(worker, message)
            except LostError:
                self.lost.append((worker, chunk))
                return

    def _take(self, worker: _Worker | None, message: Outcome | float | Printed) -> None:
        """Take an outcome, the progress of a program, or a line from a worker, or from here."""
        with self._lock:
            if isinstance(message, Printed):
                message.show()
            elif isinstance(message, float):
                self._done[worker] = message
                self._progress(sum(self._done.values()))
            elif worker is not None and message.status == "interrupted":
                self.interrupted.append(message)  # unless this process is, too, it goes on here
            else:
                self._done[worker] = 0.0
                self._report(message)


class Printed(NamedTuple):
    """A line for standard output (1) or error (2)."""

    stream: int
    line: str

    def show(self) -> None:
        """Print the line in this process, a warning about data unless it was printed before."""
        if self.stream == 1:
            print(self.line)
        else:
            console.pass_on(self.line)


class _Lines(io.TextIOBase):
    """Standard output or error of a worker: sends whole lines."""

    def __init__(self, stream: int, send: Callable[[Any], None]) -> None:
        self.stream, self.send, self.rest = stream, send, ""

    def write(self, text: str) -> int:
        """Send the lines that are whole now."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.send(Printed(self.stream, line))
        return len(text)


def _serve(end: Connection, ours: Sequence[Connection], parent: int) -> None:
    """Train the chunks that come on a connection, until it ends or a signal comes.

    Args:
        end: of the connection.
        ours: ends of the parent's, which this process has as well.
        parent: the process to end with.
    """
    lock = threading.Lock()

    def send(message: Any) -> None:
        with lock:
            end.send(message)

    with suppress(KeyboardInterrupt, EOFError), Signals() as signals:
        _end_with(parent)
        for one in ours:
            one.close()
        sys.stdout, sys.stderr = _Lines(1, send), _Lines(2, send)
        import mlr.app.sweep.packing  # noqa: F401  torch, while the jobs are composed

        cache = None
        while True:
            chunk, processes = end.recv()
            cache = train_here(chunk, send, send, signals, cache, processes)
            send(None)


def _end_with(parent: int) -> None:
    """Let the system kill this process when its parent ends: nobody else holds the sweep's lock."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended before
        os._exit(1)
