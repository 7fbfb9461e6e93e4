"""Runs commands in forks of itself, with a fault at each one's n-th change of the file system.

A process of its own, because it has to have no other threads. Composing a command takes longer
than such a run, so each command line has a *template*: a fork that went as far as where the
first job begins, before the run writes anything; what is asked of that line is a fork of it.

A line of JSON in, a `Request`; a line of JSON out: code (None: killed), calls (changes of the
file system), cpu and seconds. Faults are `kill`, `short` (every write takes one byte) and names
of errno; each comes from its call on, as a disk stays full, or with `once` at that call alone.
"""

from __future__ import annotations

import errno
import gc
import json
import mmap
import os
import resource
import signal
import socket
import sys
import time
import traceback
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from mlr.app.cli.command import main
from mlr.app.run import job, single
from mlr.app.sweep import summary as ranking
from mlr.app.sweep.sweep import Sweep
from mlr.training import checkpointing, loop
from tests.app.killing import RUN, TRUSTED
from tests.quick import replaced

CHANGES = (
    *("open", "write", "fsync", "sync", "replace", "rename", "unlink", "ftruncate", "close"),
    *("mkdir", "rmdir"),
)
FAILING = {"write", "open", "mkdir", "fsync", "replace"}
"""Refused by a full or broken disk."""
CRASHED = 99
"""Exit code of a command with a traceback."""


@dataclass(frozen=True)
class Request:
    """One command.

    call: at which the fault comes; 0 is never.
    told: file for its output.
    plain: not by its template; its changes are then counted from its very beginning.
    often: kept after every step.
    signals: seconds after its start, and name.
    times: how often, one after the other; and beside: by how many processes at once.
    limits: of the process, as in {"FSIZE": 4096}; of AS, beyond what it has.
    uid: whose the process is.
    cwd: where it stands.
    """

    line: list[str]
    call: int = 0
    fault: str = "kill"
    once: bool = False
    told: str | None = None
    plain: bool = False
    often: bool = False
    signals: list[tuple[float, str]] = field(default_factory=list)
    times: int = 1
    beside: int = 1
    limits: dict[str, int] = field(default_factory=dict)
    uid: int | None = None
    cwd: str | None = None


class Fault:
    """Comes at the n-th change of this process, of all that goes through Python's `os`."""

    def __init__(self, request: Request, calls: mmap.mmap):
        self.first, self.kind, self.once = request.call, request.fault, request.once
        self.count, self.calls = 0, calls
        for name in CHANGES:
            setattr(os, name, self.counting(name, getattr(os, name)))

    def counting(self, name, real):
        def call(*arguments, **more):
            reads = name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR)
            if reads or (name in ("write", "close") and arguments[0] <= 2):
                return real(*arguments, **more)
            self.count += 1
            self.calls[:8] = self.count.to_bytes(8, "little")
            due = self.count == self.first if self.once else self.count >= self.first > 0
            return self.failing(name, real, arguments, more) if due else real(*arguments, **more)

        return call

    def failing(self, name, real, arguments, more):
        if self.kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "short":
            if name == "write":
                return real(arguments[0], bytes(arguments[1][:1]))
        elif name in FAILING:
            number = getattr(errno, self.kind)
            path = None if name in ("write", "fsync") else arguments[0]
            raise OSError(number, os.strerror(number), path)
        return real(*arguments, **more)


def begin(request: Request, calls: mmap.mmap) -> None:
    """In the fork that is to be the command."""
    quiet = os.open(request.told or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    os.close(quiet)
    for name, most in request.limits.items():
        if name == "AS":
            most += int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (most, most))
    if request.cwd is not None:
        os.chdir(request.cwd)
    if request.uid is not None:
        os.setuid(request.uid)
    # by the clock, changes would come at other calls each time
    loop.PROGRESS_SECONDS = 0.0 if request.often else 1e9
    Fault(request, calls)


def end_of_command() -> None:
    """Run `main`, and end as a command does."""
    code = CRASHED
    try:
        code = main()
    except Exception:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def forked(request: Request, work) -> dict:
    """`work` in a fork, and how it ended."""
    calls = mmap.mmap(-1, 8)
    pids = []
    for _ in range(request.beside):
        pid = os.fork()
        if pid == 0:
            begin(request, calls)
            return work()
        pids.append(pid)
    told_at = started = time.perf_counter()
    for after, name in request.signals:
        time.sleep(max(0.0, started + after - time.perf_counter()))
        with suppress(ProcessLookupError):
            os.kill(pids[0], getattr(signal, name))
        told_at = time.perf_counter()
    codes, cpu = set(), 0.0
    for pid in pids:
        _, status, used = os.wait4(pid, 0)
        codes.add(os.waitstatus_to_exitcode(status))
        cpu += used.ru_utime + used.ru_stime
    (code,) = codes
    return {
        "code": None if code == -signal.SIGKILL else code,
        "calls": int.from_bytes(calls[:8], "little"),
        "cpu": cpu,
        "seconds": time.perf_counter() - told_at,
    }


class Template:
    """A fork that waits where a command's first job begins."""

    def __init__(self, line: list[str]):
        ours, own = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 1)
            os.dup2(quiet, 2)
            wait_at_first_job(own.makefile("rw"))
            sys.argv = sys.orig_argv = ["scripts/train.py", *line]
            end_of_command()
        own.close()
        self.channel = ours.makefile("rw")

    def ask(self, request: str) -> str:
        self.channel.write(request)
        self.channel.flush()
        return self.channel.readline()


def wait_at_first_job(channel) -> None:
    """Let the first job answer requests by forks of itself, which do it."""
    waited = []

    def waiting(real):
        def call(own, *arguments):
            if not waited:
                waited.append(True)
                own.watched = False
                if real.__name__ == "train":  # its texts are the same in every fork
                    texts = job.hydra_files(*arguments)
                    job.hydra_files = lambda *_: texts
                serve()
            return real(own, *arguments)

        return call

    def serve():
        gc.freeze()
        for text in channel:
            answer = forked(Request(**json.loads(text)), lambda: None)
            if answer is None:
                return
            print(json.dumps(answer), file=channel, flush=True)
        os._exit(0)

    single.SingleRun.train = waiting(single.SingleRun.train)
    Sweep.batch = waiting(Sweep.batch)


def plainly(request: Request) -> dict:
    """A command from its beginning on."""

    def work():
        sys.argv = sys.orig_argv = ["scripts/train.py", *request.line]
        for _ in range(request.times - 1):
            assert main() == 0
        end_of_command()

    return forked(request, work)


def warm() -> None:
    """Import all that a command imports, once for all."""
    with TemporaryDirectory() as folder, redirect_stdout(None):
        for line in (
            (*RUN, "epochs=1", f"hydra.run.dir={folder}/run"),
            (f"resume={folder}/run", "epochs=2", TRUSTED),
            ("-m", *RUN, "epochs=1", "seed=0,1", f"hydra.sweep.dir={folder}/sweep"),
        ):
            sys.argv = ["scripts/train.py", *line]
            assert main() == 0


if __name__ == "__main__":
    for place in replaced():
        setattr(*place)
    checkpointing.SHARE = 1e9  # a run is kept as often as it may be
    warm()
    # all is written by then
    single.print_run = ranking.print_sweep = lambda *_: None
    gc.collect()
    gc.freeze()
    templates: dict[tuple[str, ...], Template] = {}
    for text in sys.stdin:
        request = Request(**json.loads(text))
        if request.plain:
            answer = json.dumps(plainly(request)) + "\n"
        else:
            key = tuple(request.line)
            if key not in templates:
                templates[key] = Template(request.line)
            answer = templates[key].ask(text)
        sys.stdout.write(answer)
        sys.stdout.flush()
