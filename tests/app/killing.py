"""Commands with a fault in their midst, and whether what follows is what undisturbed ones give."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mlr.core.checks import DataError
from mlr.records.checkpoint_file import read

ROOT = Path(__file__).parents[2]
TRUSTED = "allow_targets=[tests]"
LIGHT = ("data=custom", "data._target_=tests.app.points.Points", TRUSTED)
KEPT = (
    *("epochs=4", "steps=26", "probes.points=20", "seed=3"),
    *("checkpoint.seconds=0.000001", "probes.figures=0"),
)
"""Options of a run that is kept at every opportunity, and ends in the midst of an epoch."""
RUN = (*LIGHT, *KEPT)
CHECKPOINTS = ("checkpoint.safetensors", "checkpoint-previous.safetensors")


class Answer(NamedTuple):
    """End of a command.

    code: None where it was killed.
    calls: changes of the file system that it made, or that the fault met.
    cpu: seconds.
    seconds: that it took; since the last signal, if it was sent any.
    told: what it printed.
    """

    code: int | None
    calls: int
    cpu: float
    seconds: float
    told: str


class Server:
    """A process that runs commands in forks."""

    def __init__(self, process: subprocess.Popen, told: Path):
        self.process, self.told = process, told
        self.cases, self.cpu = 0, 0.0

    def run(self, *line: str, **request) -> Answer:
        """A command as `kill_server.Request` describes it."""
        asked = {"line": [str(one) for one in line], "told": str(self.told), **request}
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the server died of {line} {request}"
        found = Answer(**json.loads(answer), told=self.told.read_text(errors="replace"))
        self.cases, self.cpu = self.cases + 1, self.cpu + found.cpu
        assert "Traceback" not in found.told, found.told
        return found


@contextmanager
def kill_server(told: Path) -> Iterator[Server]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.app.kill_server"],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield Server(process, told)
        process.stdin.close()


@dataclass
class Command:
    """A command that is begun and continued, always in one folder.

    line: as typed, without the folder.
    """

    server: Server
    folder: Path
    line: Sequence[str]
    often: bool = False
    expected: dict = field(default_factory=dict)

    def __post_init__(self):
        sweep = self.line[0] == "-m"
        self.beginning = [*self.line, f"hydra.{'sweep' if sweep else 'run'}.dir={self.folder}"]
        # who trusts a package says so each time
        trusted = [one for one in self.line if one.startswith("allow_targets=")]
        self.going_on = [f"resume={self.folder}", *trusted]
        if sweep:
            self.going_on = [*self.line, f"sweep.resume={self.folder}"]
        self.answer = self.begin()
        assert self.answer.code == 0, self.answer.told
        self.expected = self.came_to()

    def begin(self, **request) -> Answer:
        self.clear()
        return self.server.run(*self.beginning, often=self.often, **request)

    def go_on(self, **request) -> Answer:
        return self.server.run(*self.going_on, often=self.often, **request)

    def again(self, **request) -> Answer:
        """Go on with what is there, or begin it.

        A run that was killed before its first checkpoint may be refused; then the same command
        begins it anew.
        """
        if not self.begun():
            return self.begin(**request)
        answer = self.go_on(**request)
        if answer.code in (2, 3):  # killed before its first checkpoint
            assert len(answer.told.strip().splitlines()) == 1, answer.told
            assert not any((self.folder / name).exists() for name in CHECKPOINTS), answer.told
            return self.begin(**request)
        return answer

    def clear(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def keep(self, there: Path) -> Path:
        """Copy the folder."""
        return Path(shutil.copytree(self.folder, there))

    def bring(self, there: Path) -> None:
        """Take the folder back as it was kept."""
        self.clear()
        shutil.copytree(there, self.folder)

    def came_to(self) -> dict:
        return {path.parent.name: came_to(path.parent) for path in self.folder.rglob("status.json")}

    def begun(self) -> bool:
        """Return True if there is anything to continue."""
        return (self.folder / ("runs.csv" if self.line[0] == "-m" else "status.json")).exists()

    def end(self) -> None:
        """Go on to the end, and see that it is the undisturbed one."""
        answer = self.again()
        assert answer.code == 0, answer.told
        assert self.came_to() == self.expected


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


def newest_step(folder: Path) -> int:
    """Updates of the newest intact checkpoint; 0 without any."""
    steps = [0]
    for name in CHECKPOINTS:
        with suppress(DataError):
            steps.append(read(folder / name).about["step"])
    return max(steps)


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
