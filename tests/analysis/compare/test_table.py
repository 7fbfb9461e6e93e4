from __future__ import annotations

import io
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mlr.analysis.compare.comparison import CompareResult, CompareRow, Ranking
from mlr.analysis.compare.table import print_comparison, print_ranking
from mlr.analysis.compare.time_to_target import Target
from mlr.records.reading import Recorded

ROW = CompareRow(
    keys={"head": "softmax", "loss": "smoothed_ce"},
    place=1,
    lr=0.5,
    rates={0.05: 0.4, 0.5: 0.96},
    runs=12,
    diverged=1,
    failed=0,
    interrupted=0,
    running=2,
    seeds=4,
    missing=0,
    stands_behind=False,
    mean=0.96491,
    std=0.00577,
    epochs_to_90=1.5,
    updates_to_90=60.0,
    logit_grad_wrong=1.64456,
    logit_grad_right=0.02,
    stuck=0.0312,
    verdict="best",
    finals={
        "accuracy/test": (0.96491, 0.00577),
        "loss/test": (200.0, 100.0),
        "logit_grad/wrong": (1.64456, 0.0123),
        "logit_grad/right": (0.02, None),
    },
    members=[Recorded(Path("a"), {"pair": "softmax+smoothed_ce"})],
)
OTHER = replace(
    ROW,
    keys={"head": "clipped_linear", "loss": "se"},
    place=2,
    mean=0.61,
    std=None,
    missing=1,
    diverged=0,
    running=0,
    epochs_to_90=None,
    updates_to_90=None,
    logit_grad_wrong=None,
    logit_grad_right=None,
    stuck=None,
    p=0.00012,
    common=4,
    verdict="worse",
    finals={"accuracy/test": (0.61, None), "loss/test": (0.5, None)},
    members=[Recorded(Path("b"), {"pair": "clipped_linear+se"})],
)
FOLDER = Path("/somewhere/else")
P = np.array([[nan, 0.00012], [0.00012, nan]])
TARGET = Target("accuracy/val", 0.95, 0.1)
RANKING = Ranking("", "", "accuracy/test", "accuracy/val", TARGET, [ROW, OTHER], P)
COMPARISON = CompareResult(["head", "loss"], [RANKING], [], [], 24)


def printed(comparison: CompareResult, width: int = 220) -> list[str]:
    out = io.StringIO()
    print_comparison(Console(file=out, width=width, highlight=False), comparison)
    return out.getvalue().splitlines()


def of(ranking: Ranking, **changes) -> list[str]:
    return printed(replace(COMPARISON, rankings=[replace(ranking, **changes)]))


def short(ranking: Ranking, **options) -> list[str]:
    """As at the end of a sweep."""
    out = io.StringIO()
    print_ranking(Console(file=out, width=220, highlight=False), ranking, **options)
    return out.getvalue().splitlines()


def test_a_wide_terminal_shows_all_of_it():
    head, best, other, *_ = printed(COMPARISON)
    for name in ("test accuracy ↑", "test loss ↓", "stuck % ↓", "updates to 90 % ↓"):
        assert name in head
    for part in ("softmax", "smoothed_ce", "0.5 (of 2)", " 4 ", "96.49 ± 0.58 %", "best", "1.5"):
        assert part in best
    for part in (" 60 ", "1.645 ± 0.012", "3.12 %", "200 ± 100", "1 diverged, 2 running"):
        assert part in best
    assert "4 of 5" in other
    assert " 61.00 % " in other
    assert "worse, p = 0.00012" in other
    assert other.count("–") == 5


def test_a_column_without_an_entry_is_left_out():
    row = replace(
        ROW, stuck=None, updates_to_90=None, epochs_to_90=None, diverged=0, running=0, std=None
    )
    bare = replace(row, finals={"accuracy/test": (0.9, None), "loss/test": (0.5, None)})
    lines = short(replace(RANKING, rows=[bare], target=None))
    assert lines[0].split("  ")[0] == "head"
    for name in ("stuck", "90 %", "dL/dz", "lost", "against", "predicted", "RMSE"):
        assert name not in lines[0]
    assert "mean ± std" not in "".join(lines)  # of one run there is none


def test_the_end_of_a_sweep_has_losses_stuck_and_times_but_no_tests():
    lines = short(RANKING)
    for name in ("test loss ↓", "stuck % ↓", "updates to 90 % ↓", "‖dL/dz‖ wrong", "lost"):
        assert name in lines[0]
    assert "against the first" not in lines[0]
    assert "epochs" not in lines[0]
    assert "mean ± std over seeds" in lines
    assert "test loss: each in units of its own loss, not comparable between losses" in lines
    goal = (
        "updates to 90 %: until the validation accuracy reaches 86.50 %, that is 90 % of the way "
        "from a constant prediction (10.00 %) to the best final one; – if it never does"
    )
    assert goal in lines
    stuck = (
        "stuck: training examples that are predicted wrongly and receive next to no gradient at the"
    )
    assert any(line.startswith(stuck) for line in lines)


def test_a_long_table_ends_with_how_many_more_there_are():
    assert "… and 1 more in runs.csv" in short(RANKING, most=1)


def test_outputs_of_a_few_examples_are_shown_where_every_row_has_them():
    def shown(examples: int, *tags: str) -> list[str]:
        rows = []
        for row, tag, value in zip((ROW, OTHER), tags, (0.976, 0.099), strict=True):
            about = dict(row.members[0].entries) | {"anatomy": {"examples": examples}}
            finals = {**row.finals, tag: (value, None)}
            rows.append(replace(row, finals=finals, members=[Recorded(Path("a"), about)]))
        return short(replace(RANKING, rows=rows))

    both = ("prediction/target_0",) * 2
    head, first, second, *_ = shown(1, *both)
    assert "output for target 0" in head
    assert "0.976" in first
    assert "0.099" in second
    assert "output" not in shown(1000, *both)[0]
    assert "output" not in shown(1, "prediction/target_0", "prediction/target_1")[0]


@pytest.mark.parametrize("width", range(28, 200, 13))
def test_a_narrow_terminal_has_fewer_columns_and_whole_names(width):
    lines = printed(COMPARISON, width)
    names_and_metric = len("clipped_linear  smoothed_ce   test accuracy ↑")
    assert max(map(len, lines[:3])) <= max(width, names_and_metric)
    for name in ("softmax", "smoothed_ce", "clipped_linear"):
        assert any(name in line for line in lines[:3])
    heads = [
        *("test accuracy ↑", "runs", "against the first", "best lr", "epochs to 90 % ↓"),
        *("‖dL/dz‖ wrong", "updates to 90 % ↓", "lost", "stuck % ↓", "test loss ↓"),
    ]
    assert any(line.startswith("stuck: ") for line in lines) == ("stuck % ↓" in lines[0])
    left_out = [line for line in lines if line.startswith("the terminal is too narrow for: ")]
    for head in heads:
        assert (head in lines[0]) != (bool(left_out) and head in left_out[0])


def test_columns_give_way_one_by_one():
    """Each in a terminal that is one character too narrow for all those before it."""
    finals = {
        "accuracy/test": (0.9, 0.01),
        "loss/test": (200.0, 100.0),
        "rmse/test": (0.5, None),
        "predicted_std/test": (0.25, None),
        "logit_grad/wrong": (1.0, None),
        "logit_grad/right": (0.02, None),
        "prediction/mean": (0.5, None),
    }
    about = {"pair": "softmax+smoothed_ce", "anatomy": {"examples": 10}}
    row = replace(ROW, finals=finals, members=[Recorded(Path("a"), about)])
    changes = {
        "epochs to 90 % ↓": {"epochs_to_90": None},
        "predicted std": "predicted_std/test",
        "‖dL/dz‖ right": "logit_grad/right",
        "‖dL/dz‖ wrong": "logit_grad/wrong",
        "stuck % ↓": {"stuck": None},
        "updates to 90 % ↓": {"updates_to_90": None},
        "test RMSE ↓": "rmse/test",
        "output": "prediction/mean",
        "test loss ↓": "loss/test",
        "best lr": {"lr": None, "rates": {None: 0.9}},
        "lost": {"diverged": 0, "running": 0},
    }

    def gives_way(*rows):
        comparison = replace(COMPARISON, rankings=[replace(RANKING, rows=rows)])
        width = max(len(line.rstrip()) for line in printed(comparison, 400)[: len(rows) + 1])
        assert not any("too narrow" in line for line in printed(comparison, width))
        said = "the terminal is too narrow for: "
        (line,) = [line for line in printed(comparison, width - 1) if line.startswith(said)]
        return line.removeprefix(said)

    for head, change in changes.items():
        assert gives_way(row) == head
        second = replace(row, verdict="worse", p=0.5)
        early = head in ("output", "test loss ↓", "best lr", "lost")
        assert gives_way(row, second) == ("against the first" if early else head)
        if isinstance(change, str):
            finals = {tag: value for tag, value in finals.items() if tag != change}
            change = {"finals": finals}
        row = replace(row, **change)
    assert gives_way(row) == "runs"


def test_numbers_end_where_their_heads_end():
    head, best, other, *_ = printed(COMPARISON)
    for name, *cells in (
        ("test accuracy ↑", "96.49 ± 0.58 %", "61.00 %"),
        ("updates to 90 % ↓", "60", "–"),
        ("best lr", "0.5 (of 2)", "0.5 (of 2)"),
    ):
        end = head.index(name) + len(name)
        for line, cell in zip((best, other), cells, strict=True):
            assert line[:end].endswith(f"  {cell}")


def test_times_have_two_decimals():
    row = replace(ROW, epochs_to_90=1.2389, updates_to_90=2.005)
    _, first, *_ = of(RANKING, rows=[row])
    assert "  1.24  " in first
    assert "  2  " in first or "  2.01  " in first


def test_what_a_metric_is_comparable_by_is_said():
    rmse = "test RMSE: root mean squared error of the predicted means, comparable between losses"
    losses = "test loss: each in units of its own loss, not comparable between losses"
    assert rmse in short(replace(RANKING, metric="rmse/test"))
    lines = short(RANKING)
    assert rmse not in lines
    assert losses in lines
    assert losses not in short(replace(RANKING, rows=[ROW]))


@pytest.mark.parametrize(("examples", "shown"), [(10, True), (11, False), (None, False)])
def test_outputs_are_of_ten_examples_at_most_and_calibration_is_of_more(examples, shown):
    about = {"pair": "softmax+smoothed_ce", "anatomy": {"examples": examples}}
    finals = {**ROW.finals, "prediction/mean": (0.5, None), "ece/test": (0.25, None)}
    row = replace(ROW, finals=finals, members=[Recorded(Path("a"), about)])
    head, _, *legend = short(replace(RANKING, rows=[row]))
    assert ("output" in head) is shown
    ece = (
        "test ECE: mean |accuracy − confidence| over 15 bins of confidence; 0 if predictions are "
        "right as often as they say"
    )
    assert ("test ECE ↓" in head) is (ece in legend) is not shown


def test_the_best_row_is_bold():
    out = io.StringIO()
    console = Console(file=out, width=220, force_terminal=True, color_system="standard")
    print_ranking(console, RANKING)
    _, best, other, *_ = out.getvalue().splitlines()
    assert "\x1b[1m" in best
    assert "\x1b[1m" not in other


@pytest.mark.parametrize(
    ("target", "goal"),
    [
        (
            Target("loss/train", 0.3),
            "until loss/train has gone 90 % of the way from its first value to the lowest "
            "final one; – if it never does",
        ),
        (
            Target("accuracy/val", 0.9),
            "until the validation accuracy reaches 81.00 %, that is 90 % of the best final one; "
            "– if it never does",
        ),
    ],
)
def test_what_times_are_counted_to_is_said(target, goal):
    assert f"updates to 90 %: {goal}" in short(replace(RANKING, target=target))


def test_lost_runs_are_of_all_learning_rates_where_there_were_several():
    said = "lost: counted over all runs, whatever their learning rate"
    assert said in short(RANKING)
    rows = [replace(row, lr=None, rates={None: 0.5}) for row in (ROW, OTHER)]
    assert said not in short(replace(RANKING, rows=rows))


def test_without_a_choice_of_learning_rate_there_is_no_such_column():
    rows = [replace(row, lr=None, rates={None: 0.5}) for row in (ROW, OTHER)]
    head, *lines = of(RANKING, rows=rows)
    assert "best lr" not in head
    assert "earning rate" not in "".join(lines)
    assert "against the first" not in of(RANKING, rows=rows[:1])[0]


def test_how_learning_rates_were_chosen_is_said():
    chosen = "Each is ranked at its learning rate of the best validation accuracy."
    assert any(line.endswith(chosen) for line in printed(COMPARISON))
    lines = of(RANKING, chosen_on="accuracy/train")
    assert any(
        "of the best training accuracy, for there are no validation data." in line for line in lines
    )


def test_a_metric_has_one_column():
    row = replace(ROW, finals={"stuck/fraction": (0.03, None)})
    head, first, *_ = of(RANKING, metric="stuck/fraction", rows=[row])
    assert head.count("stuck") == 1
    assert "3.00 %" in first


def test_a_learning_rate_is_as_it_was_typed():
    row = replace(ROW, keys={"pair": "a+b", "optimizer.lr": 10000.0}, lr=None, rates={None: 1})
    head, first, *_ = of(RANKING, rows=[row])
    assert head.split()[:2] == ["head+loss", "lr"]
    assert first.split()[:2] == ["a+b", "10000"]


def test_what_does_not_count_is_named():
    runs = [
        Recorded(FOLDER / f"run{number}", {"status": "failed", "reason": "disk full"})
        for number in range(23)
    ]
    lines = printed(replace(COMPARISON, unended=runs, mixed=["model", "epochs"]))
    assert "23 of 24 runs have not finished and are not counted:" in lines
    assert f"  failed {FOLDER / 'run0'}: disk full" in lines
    assert lines[-1] == "  … and 3 more, named by --json"
    assert f"  failed {FOLDER / 'run19'}: disk full" in lines
    assert f"  failed {FOLDER / 'run20'}: disk full" not in lines
    lines20 = printed(replace(COMPARISON, unended=runs[:20]))
    assert lines20[-1] == f"  failed {FOLDER / 'run19'}: disk full"
    assert (
        "some rows average runs that differ in more than the seed; "
        "to keep them apart: --by head,loss,model,epochs" in lines
    )
    answers = (" comes first with ", " is best with ", " tie: ")
    assert any(words in line for line in printed(COMPARISON) for words in answers)
    assert not any(words in line for line in lines for words in answers)  # of means over others


def test_rankings_apart_have_titles_and_one_explanation_and_say_why():
    data = [replace(RANKING, data=name) for name in ("digits", "xor")]
    lines = printed(replace(COMPARISON, rankings=data))
    assert {"digits", "xor"} < set(lines)
    assert lines.count("mean ± std over seeds") == 1
    assert "different data are not compared with each other: digits, xor" in lines
    losses = [replace(RANKING, loss=name) for name in ("se", "nll")]
    lines = printed(replace(COMPARISON, rankings=losses))
    assert any("different losses (se, nll) have different units" in line for line in lines)
    assert not any("different" in line for line in printed(COMPARISON))
    assert any("were not recorded" in line for line in printed(replace(COMPARISON, unknown=True)))


def test_what_only_the_title_tells_is_no_column():
    rows = [replace(row, keys={**row.keys, "data": "xor"}) for row in (ROW, OTHER)]
    assert " data " not in of(RANKING, rows=rows, data="xor")[1]
    assert " data " in of(RANKING, rows=rows)[0]


def test_nothing_of_a_name_is_markup():
    row = replace(ROW, keys={"head": "[bold]x[/bold]", "loss": "[1,2]"})
    assert "[bold]x[/bold]  [1,2]" in of(RANKING, rows=[row])[1]
