"""Docstrings begin with a noun or a verb, and no class name is used twice."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGE_TEXT = ("mlr/lecture/slides/", "tests/lecture/test_answer.py")
"""Docstrings of slides are the questions printed on them."""
FORBIDDEN = {
    "That",
    "What",
    "Whether",
    "Those",
    "Who",
    "Whom",
    "Whose",
    "Which",
    "Where",
    "How",
    "When",
}
TWICE = {"Linear", "GradientProbeCallback"}
"""Names of a head and of a model, which stand as `_target_` in the configurations of users, and of
the callback for Lightning and for transformers, of which a program imports one."""


class Outline(NamedTuple):
    """First lines of docstrings, and names of classes."""

    lines: list[str]
    classes: list[str]


@cache
def outlines() -> dict[str, Outline]:
    """Outlines of all files, which take seconds: not at collection, where each worker pays."""
    return {
        path.relative_to(ROOT).as_posix(): outline(path.read_text(encoding="utf-8"))
        for room in ("mlr", "scripts", "tests")
        for path in sorted((ROOT / room).rglob("*.py"))
    }


def outline(source: str) -> Outline:
    found = Outline([], [])
    nodes: list[ast.AST] = [ast.parse(source)]
    for node in nodes:
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found.lines.append((ast.get_docstring(node) or "").partition("\n")[0])
        if isinstance(node, ast.ClassDef):
            found.classes.append(node.name)
        # no expression has any
        nodes += [one for one in ast.iter_child_nodes(node) if not isinstance(one, ast.expr)]
    return found


def badly_begun(lines: Iterable[str]) -> list[str]:
    """Lines that begin with a relative or interrogative word."""
    return [line for line in lines if line.partition(" ")[0].rstrip(",:.?") in FORBIDDEN]


def test_a_docstring_begins_with_a_noun_or_a_verb():
    own = {name: one for name, one in outlines().items() if not name.startswith(PAGE_TEXT)}
    assert {name: bad for name, one in own.items() if (bad := badly_begun(one.lines))} == {}


@pytest.mark.parametrize("line", ["What a run needs.", "Which of them, if any.", "Whether: so."])
@pytest.mark.parametrize(
    "of", ['"""{}"""', 'class A:\n    """{}"""', 'def f():\n    """{}\n    """']
)
def test_the_rule_of_docstrings_can_be_broken(of, line):
    assert badly_begun(outline(of.format(line)).lines) == [line]


def test_no_class_name_is_used_twice():
    files = defaultdict(list)
    for file, one in outlines().items():
        # programs as people write them: each network is called Net
        if file.startswith("mlr/") and not file.startswith("mlr/benchmarks/programs/"):
            for name in one.classes:
                files[name].append(file)
    assert {name for name, found in files.items() if len(found) > 1} == TWICE
