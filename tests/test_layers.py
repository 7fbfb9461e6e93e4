"""Imports point downwards only, and Hydra stays at the top."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    {"core"},
    {"information", "densities"},
    {"heads", "losses", "models", "data"},
    {"objectives"},
    {"probes", "records"},
    {"training", "loop"},
    {"diagnosis"},
    {"analysis", "figures"},
    {"remedies"},
    {"app"},
    {"plugins", "__main__", "interval", "watch", "testing"},
    {"lecture", "playground"},
    {"benchmarks", "docs"},
]
ABOVE = {"lecture", "playground", "benchmarks", "docs"}
"""Rooms that are no part of the product."""
NAMED_IN = {"app/cli/main.py"}
"""Modules of the product that may name the rooms above it: the table of commands."""
LARGEST_SHARE = 0.2
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
            sibling = LEVEL[part] == LEVEL[package]
            if LEVEL[part] > LEVEL[package] or (sibling and not same):
                found.append(name)
        if root in TOP_ONLY and LEVEL[package] < LEVEL["app"]:
            found.append(name)
    return found


FILES = [path for path in (ROOT / "mlr").rglob("*.py") if path != ROOT / "mlr" / "__init__.py"]


def room(path: Path) -> str:
    """First part of a path below mlr."""
    return path.relative_to(ROOT / "mlr").parts[0].removesuffix(".py")


PRODUCT = [path for path in FILES if room(path) not in ABOVE]


def test_imports_point_down():
    found = {}
    for path in FILES:
        found[str(path)] = violations(room(path), path.read_text(encoding="utf-8"))
    assert {path: names for path, names in found.items() if names} == {}
    assert len(found) > 200


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("heads", "import mlr.losses"),
        ("heads", "def late():\n    from mlr.training import train"),
        ("objectives", "from mlr.records import Recorder"),
        ("training", "import hydra.core"),
        ("loop", "from mlr.training import train"),
        ("core", "from mlr.heads import Head"),
    ],
)
def test_the_rule_can_fail(package, source):
    assert violations(package, source)


def modules() -> dict[str, set[str]]:
    """Modules of mlr with the modules that each imports, at any depth of its code."""
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    names = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    return {name: imported_by(path, names) for name, path in names.items()}


def imported_by(path: Path, names: Container[str]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in inner if name in names} or {node.module or ""}
    return {name for name in found if name in names}


def in_circles(graph: Mapping[str, set[str]]) -> set[str]:
    """Nodes that are left when all that import nothing, or only such, are taken away."""
    left = dict(graph)
    while ends := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in ends}
    while starts := left.keys() - {other for others in left.values() for other in others}:
        left = {name: others for name, others in left.items() if name not in starts}
    return set(left)


def test_no_file_imports_itself_through_others():
    graph = modules()
    assert len(graph) > 200
    assert in_circles(graph) == set()


def test_a_circle_is_found():
    graph = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set(), "e": {"a"}}
    assert in_circles(graph) == {"a", "b", "c"}


def test_every_package_has_a_layer():
    assert {room(path) for path in FILES} == set(LEVEL)


def test_only_the_table_of_commands_names_the_rooms_above():
    above = re.compile(rf"\bmlr\.({'|'.join(ABOVE)})\b")
    named = {path for path in PRODUCT if above.search(path.read_text(encoding="utf-8"))}
    assert {path.relative_to(ROOT / "mlr").as_posix() for path in named} == NAMED_IN


def test_no_room_is_larger_than_a_fifth_of_the_product():
    lines: Counter[str] = Counter()
    for path in PRODUCT:
        lines[room(path)] += len(path.read_text(encoding="utf-8").splitlines())
    largest, most = lines.most_common(1)[0]
    assert most <= LARGEST_SHARE * lines.total(), (largest, most, lines.total())


def test_scripts_only_handle_arguments():
    for path in (ROOT / "scripts").glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 50, path


def test_every_package_of_the_product_is_in_the_wheel():
    """Setuptools has a list; the slow tests look into the wheel."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = set(tomllib.load(file)["tool"]["setuptools"]["packages"])
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "mlr").rglob("__init__.py")
    }
    left_out = {name for name in found if re.match(r"mlr\.(benchmarks|plugins)\b", name)}
    assert listed == (found - left_out) | {
        "mlr.configs",
        "hydra_plugins",
        "hydra_plugins.mlr_batched",
    }
    assert len(listed) > 40
