"""Every cell of every experiment gets the diagnosis written down beforehand, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from mlr.analysis.explain import RULES, findings
from mlr.app.config.output_paths import CONFIGS
from mlr.lecture.lab import Lab
from mlr.lecture.published.files import cement_file
from mlr.records.reading import Recorded, read_runs
from tests.data.support import mnist_folder
from tests.lecture.published.support import need_cement

EXPECTED = yaml.safe_load((Path(__file__).parent / "expected.yaml").read_text())
NONE = "none"
OF_MNIST = ("mnist", "nielsen", "noisy_labels")
ROWS = [
    pytest.param(row, marks=marks, id=row["sweep"])
    for part, marks in (
        ("cheap", ()),
        ("slow", pytest.mark.slow),
        ("long", (pytest.mark.slow, pytest.mark.long)),
    )
    for row in EXPECTED[part]
]


def every_row():
    return [row for rows in EXPECTED.values() for row in rows]


def cell_of(run: Recorded, cells: Mapping[str, object]) -> str:
    """The cell of the table that a run belongs to: by its pair and by what was typed."""
    (name,) = [
        cell
        for cell in cells
        if run.pair == cell.split()[0] and set(cell.split()[1:]) <= set(run.overrides)
    ]
    return name


def expected_of(row, cell: str) -> set[str]:
    rules = row["cells"][cell]
    return set(rules) if isinstance(rules, list) else {rules}


@pytest.mark.parametrize("row", ROWS)
def test_every_cell_gets_its_diagnosis_and_no_other(tmp_path, monkeypatch, row):
    seeds = row.get("seeds", 1)
    words = row["sweep"].split()
    if any(name in row["sweep"] for name in OF_MNIST):
        if not mnist_folder().exists():
            pytest.skip(f"the real MNIST files are not in {mnist_folder()}")
        words.append(f"data.root={mnist_folder()}")
    if "experiment=cement" in words:
        need_cement(monkeypatch)
        words.append(f"data.path={cement_file()}")
    trained = Lab(tmp_path / "lab").sweep(*words, f"seed=range(0,{seeds})")
    runs = [read_runs(one.folder)[0] for one in trained]
    found = [(run, cell_of(run, row["cells"]), list(findings(run)) or [NONE]) for run in runs]
    assert {cell for _, cell, _ in found} == set(row["cells"])
    wrong = [
        f"{run.name}: {rules}"
        for run, cell, rules in found
        if len(rules) != 1 or rules[0] not in expected_of(row, cell)
    ]
    assert not wrong


def test_the_table_names_every_experiment_and_only_rules_that_there_are():
    typed = [word for row in every_row() for word in row["sweep"].split()]
    named = {
        name for word in typed if word.startswith("experiment=") for name in word[11:].split(",")
    }
    assert named == {path.stem for path in (CONFIGS / "experiment").glob("*.yaml")}
    cells = [(row, cell) for row in every_row() for cell in row["cells"]]
    assert {rule for row, cell in cells for rule in expected_of(row, cell)} <= {*RULES, NONE}
