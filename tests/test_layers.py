"""Imports point downwards only, and Hydra stays at the top."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    {"interval", "checks", "seeds", "lazy", "information", "durable", "locks", "commandline"},
    {"heads", "losses", "models", "data"},
    {"objectives"},
    {"probes", "records"},
    {"training", "watch"},
    {"app"},
    {"plugins", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
TOP_ONLY = {"hydra", "omegaconf"}


def imports(source: str) -> Iterator[str]:
    """Absolute names of every module that `source` imports, at any depth of its code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            yield node.module or ""


def violations(package: str, source: str) -> list[str]:
    """Imports that `package` (the part below mlr) must not make."""
    found = []
    for name in imports(source):
        root, _, rest = name.partition(".")
        part = rest.partition(".")[0]
        if root == "mlr" and part:
            same = part == package
            sibling = LEVEL[part] == LEVEL[package] and LEVEL[package] > 0
            if LEVEL[part] > LEVEL[package] or (sibling and not same):
                found.append(name)
        if root in TOP_ONLY and package not in ("app", "plugins"):
            found.append(name)
    return found


FILES = [path for path in (ROOT / "mlr").rglob("*.py") if path != ROOT / "mlr" / "__init__.py"]


def test_imports_point_down():
    found = {}
    for path in FILES:
        package = path.relative_to(ROOT / "mlr").parts[0].removesuffix(".py")
        found[str(path)] = violations(package, path.read_text(encoding="utf-8"))
    assert {path: names for path, names in found.items() if names} == {}
    assert len(found) > 300


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("heads", "import mlr.losses"),
        ("heads", "def late():\n    from mlr.training import train"),
        ("objectives", "from mlr.records import Recorder"),
        ("training", "import hydra.core"),
        ("watch", "from mlr.training import train"),
        ("interval", "from mlr.heads import Head"),
    ],
)
def test_the_rule_can_fail(package, source):
    assert violations(package, source)


def test_every_package_has_a_layer():
    parts = {path.relative_to(ROOT / "mlr").parts[0].removesuffix(".py") for path in FILES}
    assert parts == set(LEVEL)


def test_scripts_only_handle_arguments():
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 50, path
