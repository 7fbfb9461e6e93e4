"""scripts/compare.py as a person has it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np
import pytest
from scipy import stats

from mlr import records
from mlr.analysis.compare.significance import holm
from mlr.app.cli.main import exit_code_of
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
def compare(capfd):
    """Its main in this process: exit code, what was printed, and what was refused."""
    from mlr.analysis.compare.command import main

    def run(*places, by="head,loss", **options):
        code = exit_code_of(lambda: main([str(place) for place in places], by, **options))
        printed = capfd.readouterr()
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
    assert lines[0].split()[:3] == ["head", "loss", "runs"]
    assert lines[1].split()[:6] == ["softmax", "ce", "3", "91.0", "±", "1.0"]
    assert lines[2].startswith("sigmoid  se")


def test_a_folder_with_one_run_works(sweep, compare):
    code, out, _ = compare(sweep / "softmax+ce,seed=0")
    assert code == 0
    assert "90.00 %" in out


def test_files_and_the_table(sweep, compare, tmp_path):
    code, out, _ = compare(sweep, csv=str(tmp_path / "a.csv"), json=str(tmp_path / "a.json"))
    assert code == 0
    assert "91.0 ± 1.0 %" in out
    assert (tmp_path / "a.csv").read_text().startswith("head,loss,ranking,metric,")
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
        ({"by": "haed"}, "Unknown --by=haed. Did you mean --by=head? Choose from head, loss,"),
        ({"by": ","}, "--by=, names no key"),
        ({"metric": "loss"}, "Unknown --metric=loss. Choose from accuracy/test."),
        ({"sort": "meen"}, "Unknown --sort=meen. Did you mean --sort=mean? Choose from common,"),
        ({"csv": "-", "json": "-"}, "give one a file"),
        ({"csv": "/no/such/folder/a.csv"}, "/no/such/folder"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_sentence(sweep, compare, options, message):
    code, out, err = compare(sweep, **options)
    assert code == (74 if "/no/" in message else 2)
    assert out == ""
    assert err.startswith("mlr: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_folder_without_runs_is_one_sentence(tmp_path):
    done = command("nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "mlr: nowhere is not a folder; give a folder of runs, for example runs.\n"


def test_no_heavy_library_is_imported_before_it_is_needed():
    code = (
        "import sys, mlr.analysis.compare.command as command, mlr.analysis.compare.table; "
        "print({'torch', 'scipy', 'pandas', 'hydra', 'tensorboard'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def test_help_is_instant():
    line = [sys.executable, "-X", "importtime", str(SCRIPT), "--help"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert "--metric" in done.stdout
    assert not {"numpy", "rich", "yaml"} & set(done.stderr.replace("|", " ").split())


def significance(runs, groups) -> list[float]:
    """Each group against the first, by pandas and scipy."""
    columns = ["head", "loss", "optimizer.lr"]
    by_seed = runs.pivot(index="seed", columns=columns, values="accuracy/test")
    values = [by_seed[group["head"], group["loss"], group["lr"]] for group in groups]
    pairs = list(combinations(values, 2))
    return holm(np.array([stats.ttest_rel(*pair).pvalue for pair in pairs]))[: len(groups) - 1]


@pytest.mark.slow
def test_a_real_sweep(train, compare):
    """The commands of the README, on a sweep made for them."""
    trained = train(
        "-m",
        *("head=clipped_linear,sigmoid,softmax", "loss=se,ce", "optimizer.lr=0.05,0.5,50"),
        *("seed=range(0,4)", "epochs=4", "model.init_scale=1"),
    )
    assert trained.code == 0
    sweep = next(trained.folder.rglob("runs.csv")).parent
    code, out, err = compare(sweep)
    assert (code, err) == (0, "")
    head, best, *_ = out.splitlines()
    for column in ("best lr", "runs", "test accuracy ↑", "against the first", "epochs to 90 %"):
        assert column in head
    assert best.split()[:2] == ["softmax", "ce"]
    (ranking,) = json.loads(compare(sweep, json="-")[1])["rankings"]
    assert ranking["learning_rate_chosen_on"] == "accuracy/val"
    groups = ranking["groups"]
    assert {(group["head"], group["loss"]) for group in groups} == {
        *(("clipped_linear", "se"), ("sigmoid", "se"), ("softmax", "se"), ("softmax", "ce")),
    }
    for group in groups:
        assert group["seeds"] == 4
        epochs = group["epochs_to_90"]  # none where half of the runs never get there
        assert epochs is None or 0 < epochs <= 4
        assert epochs is None or group["updates_to_90"] == 40 * epochs
    assert groups[0]["epochs_to_90"] is not None
    runs = records.load(sweep)
    assert significance(runs, groups) == pytest.approx([group["p"] for group in groups[1:]])
    code, out, _ = compare(sweep, by="model,optimizer.lr", metric="loss/val", sort="optimizer.lr")
    assert code == 0
    lines = out.splitlines()
    assert [line for line in lines if line.startswith("loss ")][:2] == ["loss se", "loss ce"]
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["linear", "0.05"],
        ["linear", "0.5"],
        ["linear", "50"],
    ]
    assert "--by model,optimizer.lr,head" in out
    cells = runs.groupby(["head", "loss", "optimizer.lr"])[["accuracy/val", "accuracy/test"]].mean()
    chosen = cells["accuracy/val"].groupby(["head", "loss"]).idxmax()
    tests = cells.loc[chosen, "accuracy/test"]
    assert sorted(tests, reverse=True) == pytest.approx([group["mean"] for group in groups])


@pytest.mark.slow
@pytest.mark.long
def test_512_runs_in_under_two_seconds(tmp_path):
    """As many steps and tags as a run records by itself; the whole command, its start included."""
    rng, tags = np.random.default_rng(0), [f"grad_norm/{number}" for number in range(20)]
    values = rng.random((200, 1 + len(tags))).tolist()
    series = dict(zip(["accuracy/val", *tags], map(list, zip(*values, strict=True)), strict=True))
    cells = [(pair, rate) for pair in ("a+se", "b+se", "c+bce", "d+ce") for rate in range(1, 5)]
    for pair, rate in cells:
        for seed in range(32):
            folder = tmp_path / f"{pair},optimizer.lr={rate},seed={seed}"
            metrics = {"accuracy/test": rng.random()}
            write_run(folder, pair, seed, [f"optimizer.lr={rate}"], "done", metrics, series)
    before = getrusage(RUSAGE_CHILDREN)
    done = command(tmp_path, "--by", "pair,lr")  # every series is read
    after = getrusage(RUSAGE_CHILDREN)
    assert len(done.stdout.splitlines()) > len(cells)
    # of the processor: what else the machine does is not counted
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
