"""Each operator gives exactly these sources."""

from __future__ import annotations

import pytest

from tests.mutants.operators import mutants


def edited(source: str, operator: str) -> list[str]:
    return [it.apply(source) for it in mutants(source, "mlr/x.py") if it.operator == operator]


@pytest.mark.parametrize(
    ("operator", "source", "expected"),
    [
        ("arithmetic", "y = a + b", ["y = a - b"]),
        ("arithmetic", "y = (a) * (b)  # a + b", ["y = (a) / (b)  # a + b"]),
        ("arithmetic", "y = a ** b // c", ["y = a * b // c", "y = a ** b / c"]),
        ("arithmetic", "y -= a", ["y += a"]),
        ("arithmetic", "y = -a", ["y = a"]),
        ("arithmetic", "y = σ * -(a)", ["y = σ / -(a)", "y = σ * (a)"]),
        ("arithmetic", "y = '-' * 20 + name + 'a' % b", []),
        ("comparison", "y = a < b == c", ["y = a <= b == c", "y = a < b != c"]),
        ("comparison", "y = a is not None", ["y = a is None"]),
        ("comparison", "y = a in b", ["y = a not in b"]),
        ("boolean", "y = a and b", ["y = a or b"]),
        ("guard", "y = a and b", ["y = b", "y = a"]),
        ("guard", "y = (a or b) and (c)",
         ["y = (c)", "y = (b) and (c)", "y = (a) and (c)", "y = (a or b)"]),
        ("guard", "if a < b:\n    raise It('1')", ["if False:\n    raise It('1')"]),
        ("guard", "if a:\n    b = c", []),
        ("guard", "y = (a if b else c)", ["y = (a)"]),
        ("guard", "y = [a for a in b if c]", ["y = [a for a in b if True]"]),
        ("not", "y = not a", ["y = a"]),
        ("constant", "A = 3", ["A = 4"]),
        ("constant", "A = 0.5", ["A = 1.0"]),
        ("constant", "A = 0.0", ["A = 1.0"]),
        ("constant", "def f(x, flag=True): return x", ["def f(x, flag=False): return x"]),
        ("off by one", "y = x[a:b]", ["y = x[a + 1:b]", "y = x[a:b - 1]"]),
        ("off by one", "y = range(n)", ["y = range(n - 1)"]),
        ("swapped arguments", "y = f(a, b, c)", ["y = f(b, a, c)"]),
        ("swapped arguments", "y = f(a, *b)", []),
        ("swapped arguments", "y = isinstance(a, b)", []),
        ("dropped keyword", "y = f(a, b=c)", ["y = f(a)"]),
        ("dropped keyword", "y = f(b=c, d=e)", ["y = f(d=e)", "y = f(b=c)"]),
        ("dropped keyword", "y = zip(a, b, strict=True)", []),
        ("opposite", "y = min(a, b)", ["y = max(a, b)"]),
        ("opposite", "y = a.mean(0)", ["y = a.sum(0)"]),
        ("opposite", "y = abs(a)", ["y = (a)"]),
        ("opposite", "y = sum(a)", []),
    ],
)  # fmt: skip
def test_edits(operator, source, expected):
    assert sorted(edited(source, operator)) == sorted(expected)


@pytest.mark.parametrize(
    "source",
    [
        '"""Doc 1 + 2."""',
        "__all__ = [1]",
        "def f(x: Literal[1]) -> Literal[2]: ...",
        "x: Literal[1]",
        "raise It(1 + 2)",
        "assert a < 1",
        "y = f'{a + 1}'",
        "@cache(maxsize=1)\ndef f(): ...",
        "class A:\n    def __repr__(self):\n        return 1 + 2",
        "if TYPE_CHECKING:\n    A = 1",
        "A = int | None",
        "warn(a, 1)",
    ],
)
def test_what_decides_nothing_is_left(source):
    assert mutants(source, "mlr/x.py") == []


def test_an_id_outlives_other_lines():
    source = "def f(x):\n    return x + 1\n"
    before = {it.id for it in mutants(source, "mlr/x.py")}
    after = {it.id for it in mutants(f"B = 2\n\n\n{source}", "mlr/x.py")}
    assert len(before) == 2
    assert len(after - before) == 1
    assert before < after


def test_equal_lines_have_ids_of_their_own():
    names = [it.id for it in mutants("a = f(1)\na = f(1)\n", "mlr/x.py")]
    assert len(set(names)) == 2


def test_a_mutant_knows_which_lines_reach_it():
    source = "A = 1\ndef f(x=2):\n    '''Doc.'''\n    if x > (\n        3):\n        x = 4\n"
    reached = {it.change: (it.reach, it.names) for it in mutants(source, "mlr/x.py")}
    assert reached["A = 1  →  A = 2"] == ((1, 1), ("A",))
    assert reached["def f(x=2):  →  def f(x=3):"] == ((4, 6), ())
    assert reached["3):  →  4):"] == ((4, 5), ())
    assert reached["x = 4  →  x = 5"] == ((6, 6), ())
