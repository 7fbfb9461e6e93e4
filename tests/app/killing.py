"""Commands with a fault in their midst, and whether what follows is what undisturbed ones give."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlr.records.container import read

ROOT = Path(__file__).parents[2]
RUN = (
    *("data=moons", "epochs=4", "steps=26", "probes.points=20", "seed=3"),
    *("checkpoint.seconds=0.000001", "probes.figures=0"),
)
"""A run that is kept at every opportunity, and ends in the midst of an epoch."""


class Server:
    """A process that runs commands in forks."""

    def __init__(self, process: subprocess.Popen):
        self.process = process

    def run(self, *arguments: str, call: int = 0, fault: str = "kill", told: Path | None = None):
        """A command whose `call`-th change of the file system meets a fault; "killed" or its code.

        A call of 0 is none.
        """
        line = [call or 1 << 60, fault, [str(one) for one in arguments], told and str(told)]
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        return answer if answer == "killed" else int(answer)


@contextmanager
def kill_server() -> Iterator[Server]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.app.kill_server"],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield Server(process)
        process.stdin.close()


def series(folder):
    """Every scalar that TensorBoard shows of a run: tag → steps and values."""
    seen = EventAccumulator(str(folder), {"scalars": 0})
    seen.Reload()
    return {
        tag: [(one.step, repr(one.value)) for one in seen.Scalars(tag)]
        for tag in seen.Tags()["scalars"]
    }


def weights(folder):
    arrays, about = read(folder / "checkpoint.safetensors")
    return {name: own.tobytes() for name, own in arrays.items()}, about["step"]


def came_to(folder: Path):
    """All of a run that has to be the same, however often it was ended on its way."""
    status = json.loads((folder / "status.json").read_text())
    numbers = ("status", "steps", "metrics", "config_hash", "anatomy")
    return (
        weights(folder),
        (folder / "metrics.csv").read_bytes(),
        series(folder),
        {name: status[name] for name in numbers},
    )
