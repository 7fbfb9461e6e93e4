"""The lines of mlr that each fast test executes, and its time; recorded once a test file."""

from __future__ import annotations

import json
import shutil
import sys
from collections import defaultdict
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData

from tests.mutants import child

IMPORT, FIXTURE = "", "fixture "
NEW = {"seconds": 0.0, "passed": True, "failed": False, "spawns": False}
LONGEST = 3600.0
Place = tuple[str, int, int]
"""A file of mlr, the first and the last line."""


class Lines:
    """Lines that one test file executes: the tests of each, and of each test the time."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        stem = folder / name.replace("/", "-").removesuffix(".py")
        self.notes, self.data = stem.with_suffix(".json"), stem.with_suffix(".lines")
        self.tests: dict[str, dict] = {}
        self.sources: dict[str, str] = {}
        self._by_line: dict[str, dict[int, list[str]]] = {}
        if self.notes.exists():
            kept = json.loads(self.notes.read_text())
            self.tests, self.sources = kept["tests"], kept["sources"]

    def fresh(self, root: Path, path: str) -> bool:
        """Recorded for the test file as it is now, and for `path` where it executes that."""
        recorded = self.sources.get(self.name) == digest(root / self.name)
        return recorded and self.sources.get(path, digest(root / path)) == digest(root / path)

    def reaching(self, own: Place, users: list[Place]) -> set[str]:
        """Tests that execute one of these lines.

        All of them where an import executes one of `users`, for what a test file computes at its
        import, or where nothing else executes `own`.
        """
        by_import, hit = IMPORT in self._executing(users), self._executing([own, *users])
        fixtures = {name.removeprefix(FIXTURE) for name in hit if name.startswith(FIXTURE)}
        tests = {
            test
            for test, seen in self.tests.items()
            if test in hit or not fixtures.isdisjoint(seen["fixtures"])
        }
        return set(self.tests) if by_import or (not tests and IMPORT in hit) else tests

    def _executing(self, places: list[Place]) -> set[str]:
        return {
            context
            for path, first, last in places
            if path in self.sources
            for line in range(first, last + 1)
            for context in self._contexts(path).get(line, ())
        }

    def _contexts(self, path: str) -> dict[int, list[str]]:
        if path not in self._by_line:
            data = CoverageData(basename=str(self.data))
            data.read()
            self._by_line[path] = data.contexts_by_lineno(path)
        return self._by_line[path]


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else ""


def record(tree: Path, folder: Path, name: str) -> Lines:
    """Run a test file once, in the unmutated copy `tree`."""
    lines = Lines(folder, name)
    status = child.fork(tree, partial(_trace, lines), LONGEST)
    if status:
        log = (tree.parent / "log").read_text()
        raise RuntimeError(f"{name} ended with {status} while it was recorded:\n{log}")
    lines = Lines(folder, name)
    failing = [test for test, seen in lines.tests.items() if seen["failed"]]
    if failing:
        print(f"\n{len(failing)} tests fail without a mutant: {failing[0]}", file=sys.stderr)
    return lines


class _Recorder(child.Inside):
    def __init__(self, coverage: Coverage) -> None:
        self.coverage, self.context = coverage, IMPORT
        self.tests: dict[str, dict] = defaultdict(lambda: dict(NEW))
        self.spawning = False

    def hear(self, event: str, _: object) -> None:
        if event in ("subprocess.Popen", "os.fork", "os.posix_spawn"):
            self.spawning = True

    def enter(self, context: str) -> str:
        before, self.context = self.context, context
        self.coverage.switch_context(context)
        return before

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        if fixturedef.scope == "function":
            return (yield)
        before = self.enter(FIXTURE + fixturedef.argname)
        try:
            return (yield)
        finally:
            self.enter(before)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.spawning = False
        self.enter(nodeid)

    def pytest_runtest_setup(self, item) -> None:
        self.tests[item.nodeid]["fixtures"] = item.fixturenames

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.tests[nodeid]["spawns"] = self.spawning
        self.enter(IMPORT)

    def pytest_runtest_logreport(self, report) -> None:
        test = self.tests[report.nodeid]
        test["seconds"] = round(test["seconds"] + report.duration, 4)
        test["passed"] &= report.passed
        test["failed"] |= report.failed


def _trace(lines: Lines) -> None:
    source = [str(Path.cwd() / "mlr")]
    measured = Coverage(data_file="../lines", source=source, config_file=False)
    measured.set_option("run:relative_files", True)
    measured.set_option("run:disable_warnings", ["no-data-collected", "module-not-measured"])
    recorder = _Recorder(measured)
    sys.addaudithook(recorder.hear)
    measured.start()
    child.pytest_main([lines.name], recorder)
    measured.stop()
    measured.save()
    files = [lines.name, *measured.get_data().measured_files()]
    sources = {name: digest(Path(name)) for name in files}
    tests = {name: seen for name, seen in recorder.tests.items() if "fixtures" in seen}
    # without the notes, the data count as not recorded
    lines.notes.unlink(missing_ok=True)
    shutil.move("../lines", lines.data)
    lines.notes.write_text(json.dumps({"tests": tests, "sources": sources}))
