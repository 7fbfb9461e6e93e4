"""Hostile artefacts, and a judge that observes the effects of a command on one of them.

Each is a `Case`: a folder of files, and the command that a person would type on them.
`evil_mod` can be imported wherever one of them asks for it, and leaves a mark when it is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SECRET = "hunter2-4711"
EVIL = (
    "import os\n"
    "open(os.environ['MLR_MARK'], 'w').close()\n"
    "class Mark:\n"
    "    def __init__(self, *a, **k): open(os.environ['MLR_MARK'], 'w').close()\n"
    "    def __call__(self, *a, **k): return self\n"
    "def mark(*a, **k): return Mark()\n"
)


@dataclass(frozen=True)
class Case:
    """One artefact.

    files: by path in its folder; `{folder}` in arguments is that folder.
    refused: whether the command must refuse it; others it may make the best of.
    writes: whether it may write into its folder before that.
    """

    name: str
    arguments: tuple[str, ...]
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    program: str = "train"
    refused: bool = True
    unguarded: bool = False
    writes: bool = False


class Judged(NamedTuple):
    """Effects of a case; `left` are files that were not there before."""

    code: int | str
    out: str
    err: str
    seen: list[str]
    marked: bool
    left: list[str]
    folder: Path


class Judge:
    """Runs cases, each in a fork of one process and in a folder of its own."""

    def __init__(self, folder: Path, *warm: str) -> None:
        self.folder = folder
        self.count = 0
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "MLR_SECRET": SECRET}
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "mlr" / "plugins")])
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.app.judge_server", *warm],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )

    def __call__(self, case: Case) -> Judged:
        self.count += 1
        top = self.folder / str(self.count)
        hostile, stand, evil = top / "hostile", top / "stand", top / "evil"
        for one in (hostile, stand, evil):
            one.mkdir(parents=True)
        (evil / "evil_mod.py").write_text(EVIL)
        for name, content in case.files.items():
            path = hostile / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        before = set(top.rglob("*"))
        mark = top / "mark"
        message = {
            "program": case.program,
            "arguments": [one.replace("{folder}", str(hostile)) for one in case.arguments],
            "cwd": str(stand),
            "path": [str(evil)],
            "hostile": str(top),
            "writes": [] if case.refused and not case.writes else [str(hostile), str(stand)],
            "environ": {"MLR_MARK": str(mark)},
            "printed": str(self.folder / f"{self.count}.printed"),
            "unguarded": case.unguarded,
        }
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(message) + "\n")
        self.server.stdin.flush()
        told = json.loads(self.server.stdout.readline())
        left = sorted(str(path.relative_to(top)) for path in set(top.rglob("*")) - before)
        return Judged(
            told["code"], told["out"], told["err"], told["seen"], mark.exists(), left, hostile
        )

    def close(self) -> None:
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.close()
        self.server.wait(30)
        self.server.stdout.close()


def raw(page: str) -> list[str]:
    """List names that reached a page unescaped, and resources that it would load."""
    marks = ("<script>alert", "<img src=x", "</script><script>alert", "src=http", 'href="http')
    found = [f"the page has {mark}" for mark in marks if mark in page]
    return found if "default-src 'none'" in page else [*found, "the page has no policy"]


def problems(case: Case, judged: Judged) -> list[str]:
    """List violations in the effects of a case."""
    found = list(judged.seen)
    if judged.marked:
        found.append("code was executed")
    if SECRET in judged.out + judged.err:
        found.append("the secret is printed")
    if "Traceback" in judged.err:
        found.append(judged.err[-400:])
    if "\x1b" in judged.out + judged.err:
        found.append("an escape sequence reaches the terminal")
    lines = [line for line in judged.err.splitlines() if line and "it continues after" not in line]
    if len(lines) > 1 or any(len(line) > 200 for line in lines):
        found.append(f"not one line of 200 characters: {judged.err[:300]!r}")
    if case.refused and (judged.code not in (1, 2, 3, 74) or not lines):
        found.append(f"exit code {judged.code}")
    page = judged.folder / "report.html"
    if page.exists():
        found += raw(page.read_text())
    if case.refused and not case.writes and judged.left:
        found.append(f"left {judged.left[:3]}")
    return found
