from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mlr.app.compare.comparison import Comparison, Row
from mlr.app.compare.table import print_comparison
from mlr.records.reading import Recorded

ROW = Row(
    keys={"head": "softmax", "loss": "smoothed_ce"},
    lr=0.5,
    rates={0.05: 0.4, 0.5: 0.96},
    runs=12,
    diverged=1,
    failed=0,
    interrupted=0,
    running=2,
    seeds=4,
    missing=0,
    mean=0.96491,
    std=0.00577,
    epochs_to_90=1.5,
    updates_to_90=60.0,
    wrong_gradient=1.64456,
    stuck=0.0312,
    verdict="best",
)
OTHER = replace(
    ROW,
    keys={"head": "clipped_linear", "loss": "se"},
    mean=0.61,
    std=None,
    missing=1,
    diverged=0,
    running=0,
    epochs_to_90=None,
    updates_to_90=None,
    wrong_gradient=None,
    stuck=None,
    p=0.00012,
    common=4,
    verdict="worse",
)
FOLDER = Path("/somewhere/else")
COMPARISON = Comparison("accuracy/test", ["head", "loss"], [ROW, OTHER], [], [], 24)


def printed(comparison: Comparison, width: int = 200) -> list[str]:
    out = io.StringIO()
    print_comparison(Console(file=out, width=width, highlight=False), comparison)
    return out.getvalue().splitlines()


def test_a_wide_terminal_shows_all_of_it():
    head, best, other, *_ = printed(COMPARISON)
    assert head.split("  ")[0] == "head"
    for part in ("softmax", "smoothed_ce", "0.5 (of 2)", " 4 ", "96.49% ± 0.58", "best", "1.5"):
        assert part in best
    for part in (" 60 ", "1.645", "3.1%", "1 diverged, 2 running"):
        assert part in best
    assert "4 (1 without)" in other
    assert "61.00%  " in other
    assert "worse, p = 0.00012" in other
    assert other.count("none") == 4


@pytest.mark.parametrize("width", range(28, 170, 7))
def test_a_narrow_terminal_has_fewer_columns_and_whole_names(width):
    lines = printed(COMPARISON, width)
    names_and_metric = len("clipped_linear  smoothed_ce  96.49% ± 0.58")
    assert max(map(len, lines[:3])) <= max(width, names_and_metric)
    for name in ("softmax", "smoothed_ce", "clipped_linear"):
        assert any(name in line for line in lines[:3])
    heads = [
        *("accuracy/test", "seeds", "against the best", "best lr", "epochs to 90 %", "stuck"),
        *("|dL/dz| wrong", "updates", "lost"),
    ]
    left_out = [line for line in lines if line.startswith("left out for want of room")]
    for head in heads:
        assert (head in lines[0]) != (bool(left_out) and head in left_out[0])


def test_without_a_choice_of_learning_rate_there_is_no_such_column():
    rows = [
        replace(row, lr=None, rates={None: 0.5}, stuck=None, diverged=0, running=0)
        for row in (ROW, OTHER)
    ]
    head, *lines = printed(replace(COMPARISON, rows=rows))
    for name in ("best lr", "stuck", "lost"):
        assert name not in head
    assert "learning rate" not in "".join(lines)
    assert "against the best" not in printed(replace(COMPARISON, rows=rows[:1]))[0]


def test_a_metric_has_one_column():
    head, *_ = printed(replace(COMPARISON, metric="stuck/fraction"))
    assert head.count("stuck") == 1


def test_what_has_no_share_is_named():
    runs = [
        Recorded(FOLDER / f"run{number}", {"status": "failed", "reason": "disk full"})
        for number in range(23)
    ]
    lines = printed(replace(COMPARISON, unended=runs, mixed=["model", "epochs"]))
    assert "23 of 24 runs have no share in the numbers" in lines
    assert f"  failed {FOLDER / 'run0'}: disk full" in lines
    assert lines[-1] == "  … and 3 more, named by --json"
    assert (
        "rows mix runs that differ in more than the seed; try --by head,loss,model,epochs" in lines
    )


def test_losses_are_said_to_have_units_of_their_own():
    other = replace(OTHER, p=None, verdict="another loss")
    lines = printed(replace(COMPARISON, metric="loss/test", rows=[ROW, other]))
    assert any("others have other units" in line for line in lines)
    assert not any("other units" in line for line in printed(COMPARISON))
    assert "0.9649 ± 0.0058" in lines[1]
    assert "lower is better" in "".join(lines)


def test_nothing_of_a_name_is_markup():
    row = replace(ROW, keys={"head": "[bold]x[/bold]", "loss": "[1,2]"})
    assert "[bold]x[/bold]  [1,2]" in printed(replace(COMPARISON, rows=[row]))[1]
