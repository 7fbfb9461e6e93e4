"""Runs commands in forks of itself, with a fault at each one's n-th change of the file system.

A process of its own, because it has to have no other threads. A line of JSON in, as in
`[17, "kill", ["data=moons", …]]`; a word out: killed, or the exit code. Faults are `kill`, `short`
(every write from there on takes one byte) and names of errno, from there on as a disk stays full.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from contextlib import redirect_stdout
from tempfile import TemporaryDirectory

from mlr.app.command import main
from mlr.training import keeper

CHANGES = (
    *("open", "write", "fsync", "sync", "replace", "rename", "unlink", "ftruncate", "close"),
    *("mkdir", "rmdir"),
)
FAILING = {"write", "open", "mkdir", "fsync", "replace"}
"""What a full or broken disk refuses."""


class Fault:
    """Comes at the n-th change of this process, of all that goes through Python's `os`."""

    def __init__(self, call: int, kind: str):
        self.call, self.kind, self.calls = call, kind, 0
        for name in CHANGES:
            setattr(os, name, self.counting(name, getattr(os, name)))

    def counting(self, name, real):
        def call(*arguments, **more):
            reads = name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR)
            self.calls += not reads
            if self.calls < self.call or reads:
                return real(*arguments, **more)
            if self.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if name == "write" and arguments[0] <= 2:
                return real(*arguments, **more)
            if self.kind == "short":
                if name == "write":
                    return real(arguments[0], bytes(arguments[1][:1]))
            elif name in FAILING:
                number = getattr(errno, self.kind)
                raise OSError(
                    number, os.strerror(number), None if name == "write" else arguments[0]
                )
            return real(*arguments, **more)

        return call


def child(call: int, fault: str, arguments: list[str], told: str | None) -> None:
    quiet = os.open(told or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    Fault(call, fault)
    keeper.SHARE = 1e9  # a run is kept as often as it may be
    sys.argv = sys.orig_argv = ["scripts/train.py", *arguments]
    code = 99
    try:
        code = main()
    finally:
        os._exit(code)


def warm() -> None:
    """Import all that a command imports, once for all."""
    with TemporaryDirectory() as folder, redirect_stdout(None):
        for line in (
            ("data=moons", "epochs=1", f"hydra.run.dir={folder}/run"),
            ("-m", "data=moons", "epochs=1", "seed=0,1", f"hydra.sweep.dir={folder}/sweep"),
        ):
            sys.argv = ["scripts/train.py", *line]
            assert main() == 0


if __name__ == "__main__":
    warm()
    for line in sys.stdin:
        call, fault, arguments, told = json.loads(line)
        pid = os.fork()
        if pid == 0:
            child(call, fault, arguments, told)
        _, status = os.waitpid(pid, 0)
        print("killed" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)
