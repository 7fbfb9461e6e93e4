"""The tests that may notice a mutant: those that execute its line, closest and cheapest first."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath

from tests.mutants.operators import Mutant
from tests.mutants.recording import Lines, Place

Pick = dict[str, list[str]]
"""Test files in the order to run them, each with its tests."""


def stages(
    root: Path, mutant: Mutant, recorded: Callable[[str, str], Lines], budget: float
) -> Iterator[Pick]:
    """Tests of the same package that execute the line; its others; those of other packages.

    Of its others the mirroring file, where a cache or a fixture hides who executes the line, and
    tests that start processes, whose lines are not recorded.
    """
    names = test_files(root)
    folder = nearest_folder(names, mutant.path)
    near = [name for name in names if PurePosixPath(name).parent == folder]
    lines = [recorded(name, mutant.path) for name in near]
    hit = _hits(root, mutant, lines)
    yield _ordered(mutant, lines, hit, float("inf"))
    others = {each.name: _unrecorded(mutant, each, hit[each.name]) for each in lines}
    yield _ordered(mutant, lines, others, budget or float("inf"))
    if not budget:
        return
    lines = [recorded(name, mutant.path) for name in names if name not in near]
    yield _ordered(mutant, lines, _hits(root, mutant, lines), budget)


@cache
def test_files(root: Path) -> list[str]:
    """Every test file but this tool's own."""
    found = (str(path.relative_to(root)) for path in (root / "tests").rglob("test_*.py"))
    return sorted(name for name in found if not name.startswith("tests/mutants/"))


def nearest_folder(names: list[str], path: str) -> PurePosixPath:
    """Return the folder of tests that mirrors the package of `path`, or else one above it."""
    folders = {PurePosixPath(name).parent for name in names}
    package = PurePosixPath("tests", *PurePosixPath(path).parent.parts[1:])
    return next(folder for folder in (package, *package.parents) if folder in folders)


def _mirrors(name: str, path: str) -> bool:
    test, module = PurePosixPath(name), PurePosixPath(path)
    above = PurePosixPath("tests", *module.parent.parts[1:])
    return above.is_relative_to(test.parent) and test.stem == f"test_{module.stem}"


def _hits(root: Path, mutant: Mutant, lines: list[Lines]) -> dict[str, set[str]]:
    own, found = (mutant.path, *mutant.reach), users(root, mutant.names)
    return {each.name: each.reaching(own, found) for each in lines}


def _unrecorded(mutant: Mutant, lines: Lines, hit: set[str]) -> set[str]:
    whole = hit and _mirrors(lines.name, mutant.path)
    return {test for test, seen in lines.tests.items() if whole or seen["spawns"]} - hit


def _ordered(
    mutant: Mutant, lines: list[Lines], chosen: dict[str, set[str]], budget: float
) -> Pick:
    """Mirrored files first, then by time, up to `budget` seconds."""
    kept = []
    for each in lines:
        tests = [name for name in each.tests if name in chosen[each.name]]
        tests = [name for name in tests if each.tests[name]["passed"]]
        seconds = sum(each.tests[name]["seconds"] for name in tests)
        if tests:
            kept.append((not _mirrors(each.name, mutant.path), seconds, each.name, tests))
    pick: Pick = {}
    for _, seconds, name, tests in sorted(kept):
        budget -= seconds
        if budget > 0 or not pick:
            pick[name] = tests
    return pick


def users(root: Path, names: tuple[str, ...]) -> list[Place]:
    """Lines in functions that name one of these, or a name of a module made of them."""
    table, known = _names(root), set(names)
    waiting, places = list(names), []
    while waiting:
        for path, line, defined in table.get(waiting.pop(), ()):
            if not defined:
                places.append((path, line, line))
            waiting += [name for name in defined if name not in known]
            known |= set(defined)
    return places


@cache
def _names(root: Path) -> dict[str, list[tuple[str, int, tuple[str, ...]]]]:
    """Of each name: where functions read it (path, line, ()), and what is made of it."""
    table = defaultdict(list)
    for path in sorted((root / "mlr").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        place = str(path.relative_to(root))
        for name, line, defined in _reads(tree, False, ()):
            table[name].append((place, line, defined))
    return table


def _reads(
    node: ast.AST, inside: bool, defined: tuple[str, ...]
) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    for part in ast.iter_child_nodes(node):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _reads(part, True, ())
            continue
        made = defined
        if not inside and isinstance(part, ast.Assign | ast.AnnAssign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            made = tuple(it.id for target in targets for it in ast.walk(target)
                         if isinstance(it, ast.Name))  # fmt: skip
        if isinstance(part, ast.Name | ast.Attribute) and isinstance(part.ctx, ast.Load):
            name = part.id if isinstance(part, ast.Name) else part.attr
            if inside or made:
                yield name, part.lineno, made
        yield from _reads(part, inside, made)
