"""Runs commands in forks of itself, and kills each at its n-th durable system call.

A process of its own, because it has to have no other threads. A line of JSON in, as in
`[17, ["data=moons", …]]`; a word out: killed, or the exit code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import redirect_stdout
from tempfile import TemporaryDirectory

from mlr import durable
from mlr.app.command import main
from mlr.training import keeper


class Counted:
    """`os` as durable sees it, whose n-th changing call is the last of the process."""

    CHANGES = ("open", "write", "fsync", "replace", "unlink", "ftruncate", "close")

    def __init__(self, last: int):
        self.last, self.calls = last, 0

    def __getattr__(self, name):
        real = getattr(os, name)
        if name not in self.CHANGES:
            return real

        def call(*arguments, **more):
            self.calls += 1
            if self.calls == self.last:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **more)

        return call


def child(call: int, arguments: list[str]) -> None:
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    durable.os = Counted(call)
    keeper.SHARE = 1e9  # a run is kept as often as it may be
    sys.argv = ["scripts/train.py", *arguments]
    code = 99
    try:
        code = main()
    finally:
        os._exit(code)


def warm() -> None:
    """Import all that a command imports, once for all."""
    with TemporaryDirectory() as folder, redirect_stdout(None):
        sys.argv = ["scripts/train.py", "data=moons", "epochs=1", f"hydra.run.dir={folder}/run"]
        assert main() == 0


if __name__ == "__main__":
    warm()
    for line in sys.stdin:
        call, arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            child(call, arguments)
        _, status = os.waitpid(pid, 0)
        print("killed" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), flush=True)
