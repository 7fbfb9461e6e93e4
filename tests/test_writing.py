"""Files are written in one place, so that what holds there holds everywhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WRITING = {"write_text", "write_bytes", "savefig", "savez", "to_csv", "copyfile", "copy2", "move"}
NOT_OURS = {
    "core/durable.py",  # the place
    "core/locks.py",  # who holds a folder; nothing that has to last
}
APART = ("benchmarks/", "docs/")  # in temporary folders


def writes(source: str) -> Iterator[str]:
    """Yield each call in `source` that writes a file by other means than `mlr.core.durable`."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        owner = getattr(getattr(called, "value", None), "id", "")
        texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant)]
        modes = [text for text in texts if isinstance(text, str) and len(text) <= 3]
        if name == "open" and any(set(mode) & set("wax+") for mode in modes):
            yield f"line {node.lineno}: open"
        drawn = name == "savefig" and any(one.arg == "format" for one in node.keywords)
        if name in WRITING and not drawn:  # a figure may be drawn into memory
            yield f"line {node.lineno}: {name}"
        if owner in ("torch", "np", "pickle") and name in ("save", "dump"):
            yield f"line {node.lineno}: {owner}.{name}"
        quiet = "devnull" in ast.dump(node)
        if owner == "os" and name in ("open", "replace", "rename", "truncate") and not quiet:
            yield f"line {node.lineno}: os.{name}"


FILES = sorted((ROOT / "mlr").rglob("*.py"))


def test_only_durable_writes():
    found = {}
    for path in FILES:
        name = path.relative_to(ROOT / "mlr").as_posix()
        if name not in NOT_OURS and not name.startswith(APART):
            found[name] = list(writes(path.read_text(encoding="utf-8")))
    assert {name: calls for name, calls in found.items() if calls} == {}
    assert len(found) > 200


@pytest.mark.parametrize(
    "source",
    [
        "open(path, 'w')",
        "path.open('ab')",
        "path.open(mode='x')",
        "path.write_text(text)",
        "torch.save(state, path)",
        "np.save(path, array)",
        "figure.savefig(path)",
        "os.replace(one, other)",
        "shutil.move(one, other)",
    ],
)
def test_the_rule_can_be_broken(source):
    assert list(writes(source))


@pytest.mark.parametrize(
    "source", ["open(path)", "path.open('rb')", "path.read_bytes()", "text.replace('a', 'b')"]
)
def test_reading_is_free(source):
    assert not list(writes(source))


def test_nothing_that_is_read_can_be_code():
    """No pickle, and so no torch.load."""
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"pickle", "dill", "joblib", "shelve", "marshal"} & set(names), path
            if isinstance(node, ast.Attribute) and node.attr == "load":
                assert getattr(node.value, "id", "") != "torch", path
