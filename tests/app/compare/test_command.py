"""scripts/compare.py as a person has it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.records.written import write_run

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "compare.py"


@pytest.fixture
def sweep(tmp_path):
    for pair, end in (("softmax+ce", 0.9), ("sigmoid+se", 0.8)):
        for seed in range(3):
            metrics = {"accuracy/test": end + 0.01 * seed}
            write_run(tmp_path / "sweep" / f"{pair},seed={seed}", pair, seed, metrics=metrics)
    return tmp_path / "sweep"


@pytest.fixture
def compare(capsys):
    """Its main in this process: exit code, what was printed, and what was refused."""
    from mlr.app.compare.command import main

    def run(*places, by="head,loss", **options):
        code = main([str(place) for place in places], by, **options)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def command(*arguments, cwd=None) -> subprocess.CompletedProcess:
    line = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_a_sweep_is_a_plain_table_when_piped(sweep):
    done = command(sweep)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["head", "loss", "seeds"]
    assert lines[1].split()[:6] == ["softmax", "ce", "3", "91.00%", "±", "1.00"]
    assert lines[2].startswith("sigmoid  se")


def test_a_folder_with_one_run_works(sweep, compare):
    code, out, _ = compare(sweep / "softmax+ce,seed=0")
    assert code == 0
    assert "90.00%" in out


def test_files_and_the_table(sweep, compare, tmp_path):
    code, out, _ = compare(sweep, csv=str(tmp_path / "a.csv"), json=str(tmp_path / "a.json"))
    assert code == 0
    assert "91.00%" in out
    assert (tmp_path / "a.csv").read_text().startswith("head,loss,metric,")
    assert json.loads((tmp_path / "a.json").read_text())["runs"] == 6


def test_standard_output_in_place_of_the_table(sweep, compare):
    _, out, _ = compare(sweep, csv="-", by="pair")
    assert [row["pair"] for row in csv.DictReader(io.StringIO(out))] == ["softmax+ce", "sigmoid+se"]
    assert json.loads(compare(sweep, json="-")[1])["by"] == ["head", "loss"]


@pytest.mark.parametrize(
    ("column", "first"),
    [("head", "sigmoid"), ("mean", "softmax"), ("p", "sigmoid"), ("verdict", "softmax")],
)
def test_sorted_by_any_column(sweep, compare, column, first):
    _, out, _ = compare(sweep, sort=column)
    assert out.splitlines()[1].startswith(first)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "haed"}, "--by=haed is not known; did you mean --by=head? Known: head, loss,"),
        ({"by": ","}, "--by=, names no key"),
        ({"metric": "loss"}, "--metric=loss is not known; Known: accuracy/test."),
        ({"sort": "meen"}, "--sort=meen is not known; did you mean --sort=mean? Known: common,"),
        ({"csv": "-", "json": "-"}, "give one a file"),
        ({"csv": "/no/such/folder/a.csv"}, "/no/such/folder"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_sentence(sweep, compare, options, message):
    code, out, err = compare(sweep, **options)
    assert code == 1
    assert out == ""
    assert err.startswith("mlr: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_folder_without_runs_is_one_sentence(tmp_path):
    done = command("nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == "mlr: nowhere is no folder; give that of a run or of a sweep, as in runs/….\n"
    )


def test_neither_help_nor_a_comparison_imports_torch():
    code = (
        "import sys; import mlr.app.compare.command as command; import mlr.app.compare.table; "
        "print({'torch', 'scipy', 'pandas', 'hydra', 'tensorboard'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
    before = time.perf_counter()
    assert "--metric" in command("--help").stdout
    assert time.perf_counter() - before < 1
