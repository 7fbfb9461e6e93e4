"""One mutant in a copy of the tree: written to disk, put to its tests, taken away again."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from functools import cached_property, partial
from pathlib import Path
from py_compile import PycInvalidationMode

from tests.mutants import child
from tests.mutants.operators import Mutant
from tests.mutants.picking import Pick, stages
from tests.mutants.recording import Lines, record

BUDGET = 120.0
"""Seconds of tests of other packages that a mutant has to survive."""


@dataclass
class Workplace:
    """A copy of the tree at `root` in a folder of its own, and what is recorded of its tests."""

    root: Path
    folder: Path
    records: Path
    budget: float = BUDGET
    recording: float = 0.0
    """Seconds that recording took."""

    @cached_property
    def tree(self) -> Path:
        """The copy: every file that git would take, compiled."""
        tree = self.folder / "tree"
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=self.root, capture_output=True, check=True).stdout
        for name in filter(None, names.decode().split("\0")):
            if (self.root / name).is_file():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self.root / name, tree / name)
        # judged by the source's hash: two mutants of one second may be of one length
        mode = PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(tree / "mlr", quiet=2, invalidation_mode=mode)
        return tree

    @cached_property
    def recorded(self) -> dict[str, Lines]:
        return {}

    def lines(self, name: str, path: str) -> Lines:
        """Recorded lines of a test file, recorded now where code or tests changed."""
        if name not in self.recorded or not self.recorded[name].fresh(self.tree, path):
            self.records.mkdir(parents=True, exist_ok=True)
            # two workers need the same test file at first
            with (self.records / name.replace("/", "-")).with_suffix(".lock").open("w") as lock:
                flock(lock, LOCK_EX)
                self.recorded[name] = self._read_or_record(name, path)
        return self.recorded[name]

    def _read_or_record(self, name: str, path: str) -> Lines:
        lines = Lines(self.records, name)
        if lines.fresh(self.tree, path):
            return lines
        begun = time.monotonic()
        lines = record(self.tree, self.records, name)
        self.recording += time.monotonic() - begun
        return lines

    def judge(self, mutant: Mutant) -> dict[str, object]:
        """Outcome of a mutant: noticed and by which test, survived, or reached by no test."""
        begun, tried = time.monotonic() - self.recording, 0
        outcome, by = "unreached", ""
        for pick in stages(self.tree, mutant, self.lines, self.budget):
            if pick:
                tried += sum(map(len, pick.values()))
                outcome, by = self._try(mutant, pick)
            if outcome not in ("survived", "unreached"):
                break
        seconds = round(time.monotonic() - self.recording - begun, 2)
        return {"outcome": outcome, "by": by, "tests": tried, "seconds": seconds}

    def _try(self, mutant: Mutant, pick: Pick) -> tuple[str, str]:
        file, answer = self.tree / mutant.path, self.folder / "answer"
        source = file.read_bytes()
        answer.unlink(missing_ok=True)
        file.write_bytes(mutant.apply(source.decode()).encode())
        try:
            seconds = 60 + 10 * sum(
                self.recorded[name].tests[test]["seconds"]
                for name, tests in pick.items() for test in tests
            )  # fmt: skip
            known = {test for name in pick for test in self.recorded[name].tests}
            asked = _Asked(pick, known)
            status = child.fork(self.tree, partial(_ask, pick, asked, answer), seconds)
        finally:
            file.write_bytes(source)
            shutil.rmtree(self.folder / "tests", ignore_errors=True)
        if status is None:
            return "timeout", ""
        if status == 71:
            raise RuntimeError((self.folder / "log").read_text())
        if status or not answer.exists():
            log = (self.folder / "log").read_text(errors="replace").splitlines()
            return "crashed", f"status {status} {log[-1:]}"
        return tuple(json.loads(answer.read_text()))


class _Asked(child.Inside):
    """Runs the picked tests, and those that have another name now; remembers the first that fails.

    A mutant may change a value that a test is named by.
    """

    def __init__(self, pick: Pick, known: set[str]) -> None:
        self.left = known - {test for tests in pick.values() for test in tests}
        self.by = ""

    def pytest_collection_modifyitems(self, config, items) -> None:
        items[:] = [item for item in items if item.nodeid not in self.left]

    def pytest_collectreport(self, report) -> None:
        if report.failed:
            self.by = self.by or f"{report.nodeid} (import)"

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.by = self.by or report.nodeid


def _ask(pick: Pick, asked: _Asked, answer: Path) -> None:
    code = child.pytest_main(list(pick), asked, "-x")
    outcome = {0: "survived", 5: "unreached"}.get(code, "noticed")
    answer.write_text(json.dumps([outcome, asked.by or f"exit {code}" * (outcome == "noticed")]))
    sys.stdout.flush()
    os.fsync(1)
