"""Runs whose seal is sound and whose entries are anything: each command says so, or goes on."""

from __future__ import annotations

import copy
import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mlr.analysis.compare.command import main as compare
from mlr.analysis.explain.command import main as explain
from mlr.analysis.report.command import main as report
from mlr.analysis.verify.command import main as verify
from mlr.app.cli.main import exit_code_of
from mlr.records import load
from mlr.records.status import check_entries
from tests.app.hostile_runs import forged
from tests.fuzzing import FACTOR

CODES = {0, 2, 3, 74}
SEED = 9
SWEEP = ("data=digits", "model=linear", "head=sigmoid,softmax", "loss=se", "seed=0,1,2", "epochs=6")
FILES = ("metrics.csv", ".hydra/config.yaml", ".hydra/hydra.yaml")
TABLES = ("runs.csv", "sweep.yaml")
VALUES: list[Any] = [
    *(None, True, False, 0, -0.0, 1, -1, 3, 0.5, 1e-320, 1e308, -1e308, 1.7e308, 2**53, 2**63 - 1),
    *(2**63, -(2**63), 2**64, 10**30, 10**400, -(10**400), float("nan"), float("inf")),
    *("", " ", "x", "nan", "inf", "-inf", "NaN", "Infinity", "1e308", "1e400", "9" * 400),
    *("done", "diverged", "failed", "running", "interrupted", "Done"),
    *("sigmoid", "+", "+se", "sigmoid+", "a+b+c", "softmax+ce", "linear+se", "é+ü"),
    *("\ud800", "\x00", "\x1b[31m", "a\nb", "[red]x", "{x}", "{", "%s", "<b>", "😀" * 50),
    *([], {}, [[]], [{}], [None], [1], [-1], ["x"], [1e308] * 3, [10**400], [float("nan")] * 3),
    *({"": 1}, {"x": {}}, {"loss/train": 1e308}, {"a": [{"b": None}]}, [0, 0], [0, 0, 0], [1] * 10),
    *(["head=1", "head=2"], ["=", "a=", "=b", "~x=1"], ["optimizer.lr=" + "9" * 5000], ["x=1e999"]),
    *(["optimizer.lr=nan"], ["optimizer.lr=-inf"], ["seed=abc"], ["+a=1", "++a=2"], ["data=[1]"]),
]
NUMBERS: list[Any] = [
    *(0, -0.0, 1, -1, 0.5, 1e-320, -1e-320, 1e154, 1e200, 1e308, -1e308, 1.797e308, 1e39, 1e-46),
    *(2**53 + 1, 2**62, 2**63 - 1, -(2**62), None, "nan", "inf", "-inf"),
]
"""Numbers that can be in a status.json, so that they come to be computed with."""
SETTINGS = [
    *("optimizer.lr", "seed", "data.n", "data", "head", "loss", "loss.gamma", "model.widths"),
    *(
        "hydra.x",
        "",
        "é",
        "resume",
        "a.b.c",
        "model",
        "epochs",
        "data.label_noise",
        "head._target_",
    ),
]
SET = [
    *("", "0", "-1", "1e308", "-1e308", "1e999", "nan", "inf", "9" * 400, "9" * 5000, "1_0", "٣"),
    *("null", "true", "[", "[1,[2]]", "'", "''", "{a: 1}", "\ud800", "\x00", "a\nb", "1e-400"),
]
"""Of an override."""
CELLS = [
    *(b"", b"0", b"-1", b"nan", b"inf", b"-inf", b"1e308", b"-1e308", b"1e39", b"1e999", b"x"),
    *(b"9" * 400, b"0x10", b" 1", b"1 2", b"\xff", b"\xc3\xa9", b"1_0", b"--", b"1,2", b"\n", b'"'),
]
LINES = [
    *("", "a: 1", "[]", "data: 3", "model: null", "optimizer: {lr: 1e400}", "optimizer: {lr: []}"),
    *("optimizer: {lr: .nan}", "optimizer: {lr: -.inf}", "head: [1]", "loss: {_target_: 3}"),
    *("schedule: {warmup_steps: .inf}", "schedule: {warmup_steps: 1" + "0" * 400 + "}"),
    *("model: {widths: [.nan, 1], _target_: []}", "? [a]\n: b", "\ufeffx: 1", "1: 2", "true: 1"),
    *("data: {n: 2026-01-01}", "optimizer: {lr: 1" + "0" * 400 + "}", "seed: []", "data: {1: 2}"),
]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """Three seeds of two cells, so that there are tests between them."""
    from mlr.app.cli.command import main

    folder = tmp_path_factory.mktemp("forged") / "sweep"
    line = ("-m", *SWEEP, f"hydra.sweep.dir={folder}")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
        patch.setattr("mlr.figures.record.PICTURES", ())
        patch.setattr("sys.argv", ["train.py", *line])
        assert main() == 0
    return folder


def copied(sweep: Path, folder: Path, what: str) -> Path:
    """All of the sweep, or a run of it, to be forged."""
    from_ = sweep if what == "sweep" else sorted(sweep.glob("*/status.json"))[0].parent
    return Path(shutil.copytree(from_, folder / what))


def paths(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every entry, and of some items of lists."""
    if isinstance(node, dict):
        items = list(node.items())
    else:
        items = [(at, node[at]) for at in sorted({0, len(node) - 1})] if node else []
    for key, value in items:
        yield (*above, key)
        if isinstance(value, (dict, list)):
            yield from paths(value, (*above, key))


class Forger:
    """Changes one run at a time, under a seal that fits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.whole = {name: (folder / name).read_bytes() for name in (*FILES, "status.json")}
        self.status = json.loads(self.whole["status.json"])
        del self.status["seal"]

    def write(self, status: dict[str, Any], files: dict[str, bytes] | None = None) -> None:
        """Write all, as it was but for the changes."""
        for name, content in {**self.whole, **(files or {})}.items():
            (self.folder / name).write_bytes(content)
        for name, content in (files or {}).items():
            status = copy.deepcopy(status)
            entry = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
            status["files"][name] = entry
        (self.folder / "status.json").write_bytes(forged(json.dumps(status)))

    def entry(self, draw: random.Random) -> str:
        """Change entries of status.json; returns what was done."""
        status, done = copy.deepcopy(self.status), []
        for _ in range(draw.choice((1, 1, 1, 2, 3))):
            *above, last = draw.choice(list(paths(status)))
            node: Any = status
            for key in above:
                node = node[key]
            kind = draw.random()
            if kind < 0.05:
                del node[last]
            elif kind < 0.4 and isinstance(node[last], (int, float)):
                node[last] = draw.choice(NUMBERS)
            elif kind < 0.16 and isinstance(node[last], list):
                node[last] = node[last] * 2
            else:
                node[last] = copy.deepcopy(draw.choice(VALUES))
            left = repr(node[last])[:60] if isinstance(node, dict) and last in node else "…"
            done.append(f"{(*above, last)} → {left}")
        self.write(status)
        return "; ".join(done)

    def numbers(self, draw: random.Random) -> str:
        """Change many numbers of status.json."""
        status, done, share = copy.deepcopy(self.status), [], draw.choice((0.05, 0.3, 1))
        few = draw.sample(NUMBERS, draw.choice((1, 2, 5)))
        for *above, last in paths(status):
            node: Any = status
            for key in above:
                node = node[key]
            if type(node[last]) in (int, float) and last != "format" and draw.random() < share:
                was, node[last] = node[last], draw.choice(few)
                try:
                    check_entries(status)
                except ValueError:
                    node[last] = was
                else:
                    done.append(f"{'.'.join(map(str, (*above, last)))}={node[last]}")
        self.write(status)
        return f"{len(done)} numbers: {', '.join(done)[:200]}"

    def settings(self, draw: random.Random) -> str:
        """Type other overrides."""
        count = draw.choice((1, 1, 2, 4))
        typed = [f"{draw.choice(SETTINGS)}={draw.choice(SET)}" for _ in range(count)]
        typed = draw.choice(([], self.status["overrides"])) + typed
        self.write({**self.status, "overrides": typed})
        return f"typed {str(typed)[:200]!r}"

    def cell(self, draw: random.Random) -> str:
        """Change a cell, a head or a row of metrics.csv."""
        rows = [line.split(b",") for line in self.whole["metrics.csv"].splitlines()]
        row, value = draw.choice((0, 1, draw.randrange(len(rows)), len(rows) - 1)), b""
        column, value = draw.randrange(len(rows[row])), draw.choice(CELLS)
        kind = draw.random()
        if kind < 0.1:
            del rows[row]
        elif kind < 0.2:
            rows[row] = rows[row] * 2
        elif kind < 0.3:
            rows = [line[:column] for line in rows]
        else:
            rows[row][column if draw.random() < 0.7 else 0] = value
        content = b"\n".join(map(b",".join, rows)) + b"\n"
        self.write(self.status, {"metrics.csv": content})
        return f"metrics.csv, row {row}, column {column}: {value[:60]!r}, {kind:.2f}"

    def config(self, draw: random.Random) -> str:
        """Write another configuration, or a line of it otherwise."""
        name, new, said = draw.choice(FILES[1:]), draw.choice(LINES), ""
        lines = self.whole[name].decode().splitlines()
        if draw.random() < 0.5:
            at = draw.randrange(len(lines))
            key, colon, _ = lines[at].partition(":")
            said = f"{key}{colon} {json.dumps(draw.choice(VALUES))}"
            new = "\n".join([*lines[:at], said, *lines[at + 1 :]])
        self.write(self.status, {name: (new + "\n").encode("utf-8", "surrogatepass")})
        return f"{name}: {(said or new)[:100]!r}"


def problems(place: Path, out: Path) -> list[str]:
    """Return the faults of each command that reads a folder."""
    found = []
    for name, task in tasks(place, out).items():
        printed, refused = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        try:
            with redirect_stdout(printed), redirect_stderr(refused):
                code = exit_code_of(task)
        except Exception as error:
            at = error.__traceback__
            while at is not None and at.tb_next is not None:
                at = at.tb_next
            where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else ""
            found.append(f"{name}: {error!r:.200} {where}")
            continue
        refused.flush()
        lines = refused.buffer.getvalue().decode().splitlines()
        if code not in CODES or (code and name != "verify" and len(lines) != 1):
            found.append(f"{name}: {code} {lines}")
    return found


def tasks(place: Path, out: Path) -> dict[str, Callable[[], int]]:
    """All that reads runs."""
    here = str(place)

    def loaded() -> int:
        table = load(here)
        assert len(table) == len(list(place.rglob("status.json")))
        table.to_csv(io.StringIO())
        load(here, series=True)
        return 0

    return {
        "compare": lambda: compare([here], "head,loss", None, None, "-", str(out / "x.json")),
        "compare, shown": lambda: compare([here], "head,loss"),
        "explain": lambda: explain(here, as_json=False),
        "explain, JSON": lambda: explain(here, as_json=True),
        "report": lambda: report(here, str(out / "x.html")),
        "load": loaded,
        "verify": lambda: verify([here]),
    }


def forged_tables(folder: Path, draw: random.Random) -> str:
    """Change a byte or two of what a sweep's own files say."""
    name = draw.choice(TABLES)
    whole = (folder / name).read_bytes()
    at, new = draw.randrange(len(whole)), draw.choice(CELLS)
    (folder / name).write_bytes(whole[:at] + new + whole[at + draw.choice((0, 1, 50, 10**6)) :])
    return f"{name}, byte {at}: {new[:60]!r}"


def judged(place: Path, out: Path, seed: int, count: int) -> dict[str, list[str]]:
    """Return the faults over `count` forgeries, of one run or of all."""
    draw, found = random.Random(seed), {}
    forgers = [Forger(path.parent) for path in sorted(place.rglob("status.json"))]
    tables = {path: path.read_bytes() for path in place.glob("*") if path.name in TABLES}
    for _ in range(count):
        kind, done = draw.choice(("entry", "entry", "numbers", "settings", "cell", "config")), []
        for forger in draw.choice((forgers[:1], forgers)):
            done.append(getattr(forger, kind)(draw))
        if len(forgers) > 1 and draw.random() < 0.1:
            done.append(forged_tables(place, draw))
        if wrong := problems(place, out):
            found[" AND ".join(done)] = wrong
        for forger in forgers:
            forger.write(forger.status)
        for path, content in tables.items():
            path.write_bytes(content)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("what", ["run", "sweep"])
def test_no_forged_run_ends_a_command(sweep, tmp_path, what):
    assert judged(copied(sweep, tmp_path, what), tmp_path, SEED, 15) == {}


@pytest.mark.faults
@pytest.mark.fuzz
@pytest.mark.parametrize("what", ["run", "sweep"])
def test_many_forged_runs(sweep, tmp_path, what):
    assert judged(copied(sweep, tmp_path, what), tmp_path, SEED + 1, 20 * FACTOR) == {}
