"""Docstrings begin with a noun or a verb, and no class name is used twice."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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


@cache
def parsed() -> dict[str, ast.Module]:
    """Parse every file: seconds, which not every worker is to pay."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for room in ("mlr", "scripts", "tests")
        for path in sorted((ROOT / room).rglob("*.py"))
    }


def badly_begun(tree: ast.Module) -> Iterator[str]:
    """First lines of docstrings that begin with a relative or interrogative word."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            line = (ast.get_docstring(node) or "").partition("\n")[0]
            if line.partition(" ")[0].rstrip(",:.?") in FORBIDDEN:
                yield line


def test_a_docstring_begins_with_a_noun_or_a_verb():
    own = {name: tree for name, tree in parsed().items() if not name.startswith(PAGE_TEXT)}
    assert {name: lines for name, tree in own.items() if (lines := [*badly_begun(tree)])} == {}


@pytest.mark.parametrize("line", ["What a run needs.", "Which of them, if any.", "Whether: so."])
@pytest.mark.parametrize(
    "of", ['"""{}"""', 'class A:\n    """{}"""', 'def f():\n    """{}\n    """']
)
def test_the_rule_of_docstrings_can_be_broken(of, line):
    assert [*badly_begun(ast.parse(of.format(line)))] == [line]


def test_no_class_name_is_used_twice():
    files = defaultdict(list)
    for name, tree in parsed().items():
        # programs as people write them: each network is called Net
        own = name.startswith("mlr/") and not name.startswith("mlr/benchmarks/programs/")
        for node in ast.walk(tree) if own else ():
            if isinstance(node, ast.ClassDef):
                files[node.name].append(name)
    assert {name for name, found in files.items() if len(found) > 1} == TWICE
