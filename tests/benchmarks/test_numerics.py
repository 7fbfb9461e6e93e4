"""The table of the page on numerics, the numbers behind it, and the speed of one batch."""

from __future__ import annotations

import csv
import math
import os
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from mlr.benchmarks import numerics, objectives
from mlr.benchmarks.numerics import (
    CASES,
    DTYPES,
    LIBRARIES,
    ErrorCase,
    ErrorSummary,
    installed,
    markdown,
    measure_errors,
    of_mlr,
    torch_fused,
    truth,
)
from tests.objectives.oracle import truth as exact

PAGE = Path(__file__).parents[2] / "mlr" / "docs" / "numerics.md"
CELL = re.compile(r"(?P<size>\S+?)(, wrong from z = (?P<z>\S+), (?P<words>.+))?")
SLOW_TO_LOAD = {"keras", "optax"}
NAMES = [
    pytest.param(name, marks=[pytest.mark.slow] if module in SLOW_TO_LOAD else [])
    for name, (_, module) in LIBRARIES.items()
]


def table() -> list[list[str]]:
    """Read the cells of the page, row by row."""
    text = PAGE.read_text(encoding="utf-8")
    block = re.search(r"<!-- numerics -->\n(.*?)<!-- /numerics -->", text, re.DOTALL)
    assert block, "numerics.md has no table between <!-- numerics --> and <!-- /numerics -->"
    return cells(block.group(1))


def cells(text: str) -> list[list[str]]:
    rows = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return rows[1:]


def alike(stated: str, computed: str) -> bool:
    """Compare two cells up to differences in rounding between processors."""
    a, b = (CELL.fullmatch(text.replace("−", "-")) for text in (stated, computed))
    sizes = float(a["size"]), float(b["size"])
    near = sizes[0] == sizes[1] or 1 / 3 < sizes[0] / sizes[1] < 3
    if a["z"] is None or b["z"] is None:
        return near and a["z"] == b["z"]
    return near and a["words"] == b["words"] and abs(float(a["z"]) - float(b["z"])) < 1


def test_the_readme_has_every_library_and_pair():
    assert [row[:2] for row in table()] == [[pair, name] for pair in CASES for name in LIBRARIES]


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_says_what_is_computed(name):
    ask, module = LIBRARIES[name]
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed: pip install '.[benchmark]'")
    stated = [row for row in table() if row[1] == name]
    for of_readme, computed in zip(stated, cells(markdown({name: ask})), strict=True):
        for said, found in zip(of_readme[2:], computed[2:], strict=True):
            assert alike(said, found), (said, found)


def test_cells_are_compared_as_numbers():
    assert alike("6e−8", "1e−7")
    assert alike("1, wrong from z = −8.3, t = 0", "1, wrong from z = −8.2, t = 0")
    assert alike("inf, wrong from z = 10.1, K = 2", "inf, wrong from z = 10.1, K = 2")
    for other in ("1", "1e-9, wrong from z = 10, t = 1", "1, wrong from z = −10, t = 1"):
        assert not alike("1, wrong from z = 10, t = 1", other)
    assert not alike("1, wrong from z = 10, t = 1", "1, wrong from z = 10, t = 0")


@pytest.mark.parametrize("dtype", DTYPES.values())
@pytest.mark.parametrize("pair", CASES)
def test_the_truth_is_that_of_the_oracle(pair, dtype):
    for case in CASES[pair]:
        values, slopes = truth(case, dtype)
        z = torch.linspace(-200, 200, 4001, dtype=torch.float64).to(dtype)
        for i in range(0, 4001, 97):
            logits = [z[i].item(), *[0.0] * (len(case.targets) - 1)]
            expected = [float(x) for x in exact(*pair.split("+"), logits, case.targets)]
            assert [values[i].item(), *slopes[i].tolist()] == pytest.approx(expected, rel=1e-15)


def test_mlr_is_right_wherever_there_is_a_number():
    for pair in CASES:
        for dtype in DTYPES.values():
            for found in measure_errors(of_mlr, pair, dtype):
                assert found.wrong is None
                assert found.largest <= 2 * torch.finfo(dtype).eps


def test_errors_are_found_where_torch_makes_them():
    z, t = torch.tensor([[20.0], [-20.0]]), torch.tensor([[1.0], [0.0]])
    values, slopes = torch_fused("sigmoid+bce", z, t)
    assert slopes[0].item() == 0
    assert values[1].item() == 0
    value, slope = measure_errors(torch_fused, "sigmoid+bce", torch.float32)
    assert value == ErrorSummary(1.0, (pytest.approx(-8.3), "t = 0"))
    assert slope == ErrorSummary(1.0, (pytest.approx(10.1), "t = 1"))


def test_a_number_that_is_no_number_is_wrong_without_end():
    def broken(pair, z, t):
        values, slopes = of_mlr(pair, z, t)
        missing, far = (z[:, 0] - 3).abs() < 0.01, (z + 4).abs() < 0.01
        return values.masked_fill(missing, torch.nan), slopes.masked_fill(far, 9.0)

    value, slope = measure_errors(broken, "sigmoid+bce", torch.float64)
    assert value == ErrorSummary(math.inf, (pytest.approx(3), "t = 0"))
    assert slope.wrong == (pytest.approx(-4), "t = 0")


def test_what_is_found_is_said_in_few_characters():
    assert str(ErrorSummary(5.9e-8, None)) == "6e−8"
    assert str(ErrorSummary(1.0, (-8.3, "t = 0"))) == "1, wrong from z = −8.3, t = 0"
    assert str(ErrorSummary(4.7, (30.0, "K = 2"))) == "5, wrong from z = 30, K = 2"
    assert str(ErrorSummary(math.inf, (10.1, "K = 3"))) == "inf, wrong from z = 10.1, K = 3"
    assert str(ErrorSummary(7.2e79, (1.0, "K = 3"))) == "7e79, wrong from z = 1, K = 3"


def test_libraries_that_are_missing_are_named(monkeypatch):
    monkeypatch.setattr(numerics, "installed", lambda: {"mlr": of_mlr})
    monkeypatch.setattr(numerics, "CASES", {"sigmoid+bce": (ErrorCase((1.0,), "t = 1"),)})
    rows = list(numerics.rows(1))
    assert [row.kept for row in rows[:2]] == [True, True]
    (first, _) = (row for row in rows if row.what == "optax")  # one for each type
    assert "pip install '.[benchmark]'" in first.other
    assert markdown({"mlr": of_mlr}).count("\n") == 2


def test_without_mpmath_there_is_no_truth(monkeypatch):
    monkeypatch.setattr(numerics, "find_spec", lambda name: None)
    (row,) = numerics.rows(1)
    assert "pip install '.[benchmark]'" in row.other


@pytest.mark.slow
def test_keras_writes_no_settings_of_its_own(monkeypatch, tmp_path):
    if "Keras 3, its default" not in installed():
        pytest.skip("keras is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    z, t = torch.tensor([[-17.0]]), torch.tensor([[1.0]])
    _, slopes = installed()["Keras 3, its default"]("sigmoid+bce", z, t)
    assert slopes.item() == 0
    assert not (tmp_path / ".keras").exists()
    assert "KERAS_BACKEND" not in os.environ


def test_the_speed_of_a_batch_is_compared_with_torchs():
    rows = list(objectives.rows(1, {8: 1.5}, calls=2, shapes={(2, 3, 4): 2}))
    assert [row.what.partition(",")[0] for row in rows[:4]] == [
        "softmax+ce", "softmax+ce", "sigmoid+bce", "linear+se"
    ]  # fmt: skip
    assert all(row.value > 0 and row.most == 1.5 for row in rows[:4])
    assert [row.what.partition("of class numbers")[2] for row in rows[4:]] == [
        "", ", some without a label", ", weights", ", label smoothing", ", all of these"
    ]  # fmt: skip
    assert all(row.value > 0 and row.most == 1.2 for row in rows[4:])
    assert (4096, 10) in objectives.SHAPES
    assert (8, 21, 128, 128) in objectives.SHAPES


def test_the_page_has_the_recorded_ratios():
    """The last record of each machine: the page names them Intel and AMD."""
    page = (Path(__file__).parents[2] / "mlr" / "docs" / "objective.md").read_text()
    with (Path(objectives.__file__).parent / "history.csv").open() as file:
        records = {
            (row["machine"].split()[0].partition("(")[0], row["quantity"]): float(row["ratio"])
            for row in csv.DictReader(file)
        }
    for pair, other in (
        ("softmax+ce", "F.cross_entropy of class numbers"),
        ("sigmoid+bce", "F.binary_cross_entropy_with_logits"),
        ("linear+se", "F.mse_loss"),
    ):
        start = f"| {pair.replace('+', ' + ')} |"
        (line,) = (one for one in page.splitlines() if one.startswith(start))
        expected = [
            f"{records[machine, f'Objective {pair}, ({size}, 10) ÷ {other}']:.2f}"
            for size in (4096, 128)
            for machine in ("Intel", "AMD")
        ]
        assert [cell.strip() for cell in line.split("|")[3:-1]] == expected
