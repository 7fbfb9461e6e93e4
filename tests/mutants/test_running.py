"""A planted fault in a package of two functions is noticed, a harmless one survives."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.mutants.operators import mutants
from tests.mutants.picking import nearest_folder
from tests.mutants.results import Results
from tests.mutants.running import Workplace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks as Linux does")
CODE = """
LIMIT = 3
MOST = 5
SIZE = 7


def clipped(x):
    return min(x, MOST)


def limited(x):
    return min(x, LIMIT)


def harmless(x):
    return x * 1


def lost(x):
    return x + 1
"""
TESTS = """
import pytest

from mlr.it import part


@pytest.fixture(scope="module")
def made():
    return part.harmless(2)


def test_limited():
    assert part.limited(5) == 3


def test_harmless(made):
    assert made == 2


@pytest.mark.parametrize("size", [part.SIZE])
def test_size(size):
    assert size == 7
"""
COMPUTED = """
from mlr.it.part import clipped

AT_IMPORT = clipped(9)


def test_clipped():
    assert AT_IMPORT == 5


def test_small():
    assert clipped(1) == 1
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    files = {
        "mlr/__init__.py": "", "mlr/it/__init__.py": "", "mlr/it/part.py": CODE,
        "tests/__init__.py": "", "tests/it/__init__.py": "", "tests/it/test_part.py": TESTS,
        "tests/it/test_computed.py": COMPUTED,
        "pyproject.toml": "[tool.pytest.ini_options]\n",
    }  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", root], check=True)
    return Workplace(root, tmp_path_factory.mktemp("copy"), root / "runs")


def outcome(place: Workplace, change: str) -> tuple:
    (mutant,) = (it for it in mutants(CODE, "mlr/it/part.py") if it.change == change)
    result = place.judge(mutant)
    return result["outcome"], result["by"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("LIMIT = 3  →  LIMIT = 4", "noticed"),
        ("MOST = 5  →  MOST = 6", "noticed"),
        ("SIZE = 7  →  SIZE = 8", "noticed"),
        ("return x * 1  →  return x / 1", "survived"),
        ("return x + 1  →  return x - 1", "unreached"),
    ],
)
def test_outcome(place, change, expected):
    by = "tests/it/test_"
    found, test = outcome(place, change)
    assert found == expected
    assert test.startswith(by if expected == "noticed" else "")
    assert (place.tree / "mlr/it/part.py").read_text() == CODE


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("mlr/it/part.py", "tests/it"),
        ("mlr/it/deep/part.py", "tests/it"),
        ("mlr/other/part.py", "tests"),
        ("mlr/part.py", "tests"),
    ],
)
def test_tests_stand_in_the_package_folder_or_above(path, folder):
    names = ["tests/test_all.py", "tests/it/test_part.py", "tests/that/test_part.py"]
    assert str(nearest_folder(names, path)) == folder


def test_results_are_taken_up_again(tmp_path):
    first, second, third = mutants("a = 1\nb = 2\nc = 3\n", "mlr/x.py")
    results = Results(tmp_path / "results.jsonl")
    results.add(first, "abc", {"outcome": "survived"})
    results.add(first, "abc", {"outcome": "noticed"})
    results.add(second, "abc", {"outcome": "survived"})
    with results.path.open("a") as file:
        file.write('{"id": "half a l')
    again = Results(results.path)
    assert [again.outcome(it) for it in (first, second, third)] == ["noticed", "survived", ""]
