"""Diagnoses as they are printed: every line of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from mlr.analysis.explain import explain, print_diagnosis
from mlr.analysis.explain.command import command, print_in_full
from tests.analysis.explain.sides import run, seeds

PLACE = Path("runs")
TOLD = "explain      python scripts/explain.py runs"
STUCK = {
    **{"pair": "sigmoid+se", "examples": 1000, "wrong": 0.5, "stuck": 0.4, "saturated": 0.95},
    **{"logit_grad/wrong": 0.0041, "classes.count": [500, 500]},
}
SATURATED = (
    "40 % of the training examples are predicted wrongly and receive next to no gradient: the "
    "sigmoid is saturated, and squared error does not make up for its small slope."
)
HIGH = {"pair": "softmax+ce", "classes.count": [500, 500], "start.loss": 40.0, "start.wrong": 0.5}
BEGINS = (
    "The initial predictions are confident and wrong: the loss before the first update is {}, "
    "where a constant prediction has ln K = 0.693. The initial weights are too large."
)
REMEDY = "model.init=torch model.init_scale=1"
WELL = {"pair": "softmax+ce", "classes.count": [500, 500], "wrong": 0.1, "loss/train": 0.2}
NEVER = WELL | {"refused": {"update": 1, "tensor": "a logit"}}
OVER = {"pair": "softmax+ce", "accuracy/train": 1.0, "loss/train": 0.1, "loss/val": 2.0}
OVER |= {"classes.count": [5, 5], "wrong": 0.1, "accuracy/val": 0.8}


def at_the_end(*runs):
    """The lines after a training."""
    out = Console(file=io.StringIO(), width=40)
    print_diagnosis(out, runs, PLACE)
    return out.file.getvalue().split("\n")[:-1]


def in_full(*runs):
    """The lines of the command."""
    out = Console(file=io.StringIO(), width=40)
    print_in_full(out, runs, explain(runs))
    return out.file.getvalue().split("\n")[:-1]


def test_a_single_run_ends_with_its_diagnosis():
    assert at_the_end(run("a", STUCK)) == [f"diagnosis    {SATURATED} Try loss=bce.", TOLD]
    assert at_the_end(run("a", WELL)) == []
    (line, _) = at_the_end(run("a", NEVER))
    assert line.endswith("look at what the model computes from the first examples.")  # no advice


def test_a_single_run_may_end_with_two():
    sure = {"confidence.count_wrong": [10, 80, 10], "confidence.count_right": [90, 720, 90]}
    lines = at_the_end(run("a", OVER | sure | {"examples": 1000, "loss/val": 2.0}))
    assert [line.partition(":")[0] for line in lines] == [
        "diagnosis    Many labels are wrong, it seems",
        "diagnosis    The model overfits",
        TOLD,
    ]


def test_a_sweep_ends_with_a_line_for_each_cell():
    runs = [
        *seeds("a", STUCK, STUCK, WELL | {"pair": "sigmoid+se"}),
        *seeds("b", HIGH),
        *seeds("c", NEVER | {"pair": "probit+se"}),
    ]
    assert at_the_end(*runs) == [
        "",
        at_the_end(run("c", NEVER))[0].replace("diagnosis    ", "probit+se: "),
        f"softmax+ce: {BEGINS.format(40)} Try {REMEDY}.",
        f"sigmoid+se (2 of 3 runs): {SATURATED} Try loss=bce.",
        TOLD,
    ]
    assert at_the_end(*seeds("a", WELL, WELL)) == []


def cell(told, key, *seeds_of):
    """Runs that differ from those of other cells by their rate."""
    return [
        run(f"{key},{n}", told | one, f"optimizer.lr={key}", f"seed={n}")
        for n, one in enumerate(seeds_of or [{}])
    ]


def test_only_the_first_diagnosis_of_a_cell_is_told():
    """Of three runs two overfit; the cell of another pair is as it was."""
    mixed = cell(OVER, 1, {}, {}, {"start.loss": 40.0})
    lines = at_the_end(*mixed, run("z", WELL))
    assert [line.partition(":")[0] for line in lines[1:-1]] == [
        "softmax+ce optimizer.lr=1 (2 of 3 runs)"
    ]


def test_cells_of_one_pair_share_the_sentence_that_is_true_of_all():
    runs = [
        *cell(HIGH, 1, {}, {"start.loss": 60.0}, {"start.loss": 1.0}),
        *cell(HIGH, 2, {"start.loss": 80.0}),
        *cell(WELL, 3),
        *cell(HIGH | {"pair": "softmax+focal"}, 4),
    ]
    assert at_the_end(*runs) == [
        "",
        f"softmax+ce in 2 configurations (3 of 4 runs): {BEGINS.format('40 to 80')} Try {REMEDY}.",
        f"softmax+focal optimizer.lr=4: {BEGINS.format(40).replace('ln K = ', '')} Try {REMEDY}.",
        TOLD,
    ]


def test_a_remedy_that_is_not_the_same_in_all_cells_is_that_of_one_which_is_named():
    lost = {"pair": "softmax+ce", "status": "diverged"}
    rates = [cell(lost | {"config.optimizer.lr": rate}, rate) for rate in (5, 70)]
    assert at_the_end(*rates[0], *rates[1]) == [
        "",
        "softmax+ce in 2 configurations (2 of 2 runs): The learning rate optimizer.lr=5 to 70 is "
        "too high: the loss grew without bound. Try optimizer.lr=0.5 for softmax+ce "
        "optimizer.lr=5.",
        TOLD,
    ]


def test_of_cells_without_a_remedy_one_that_has_it_is_named():
    """Of the first all three others were tried in vain; of 1 and 0.1 a thousandth was not."""
    lost = {"pair": "softmax+ce", "status": "diverged"}
    runs = [cell(lost | {"config.optimizer.lr": rate}, rate) for rate in (10, 1, 0.1, 0.01)]
    _, line, _ = at_the_end(*(one for members in runs for one in members))
    assert line.startswith(
        "softmax+ce in 4 configurations (4 of 4 runs): The learning rate optimizer.lr="
    )
    assert line.endswith("bound. Try optimizer.lr=0.001 for softmax+ce optimizer.lr=1.")


@pytest.mark.parametrize(("cells", "more"), [(5, ""), (6, " (1 more)"), (8, " (3 more)")])
def test_at_most_five_lines_are_told(cells, more):
    heads = ["sigmoid", "probit", "cloglog", "a", "b", "c", "d", "e"][:cells]
    lines = at_the_end(*(run(head, STUCK | {"pair": f"{head}+se"}) for head in heads))
    assert [line.partition(":")[0] for line in lines] == [
        "",
        *(f"{head}+se" for head in heads[:5]),
        f"{TOLD}{more}",
    ]


OUTPUT = "prediction/target_0"
ROWS = np.arange(61)
"""Steps 0 to 600: a sixth is 100."""
SPARSE = np.where((ROWS <= 12) | (ROWS == 60), ROWS, np.nan)


def told_output(curve=None, end=0.25, **more):
    curves = {} if curve is None else {f"curve.{OUTPUT}": curve}
    return WELL | {OUTPUT: end} | curves | more


def outputs(*runs):
    """The line about outputs of one cell."""
    _, line = at_the_end(*seeds("a", *runs))
    return line.removeprefix("softmax+ce: mean output y in training data: ")


def test_outputs_are_told_where_they_were_at_the_start_early_and_at_the_end():
    """Means over two runs: of 1 − row / 100 and of 0.5 − row / 100."""
    falling = 1 - ROWS / 100
    assert outputs(told_output(falling, 0.4), told_output(falling - 0.5, 0.1)) == (
        "for target 0, 0.75 at the start, 0.65 after 100 updates, 0.25 at the end"
    )


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (ROWS, ROWS[:31], "0 at the start, 5 after 50 updates, "),  # both have 300 / 6
        (SPARSE, SPARSE, "0 at the start, 10 after 100 updates, "),  # of the last, 600
        (ROWS[:3], ROWS[:3], "0 at the start, 0 after 0 updates, "),  # of 0, 10 and 20
        (ROWS[:2], ROWS, ""),
        (ROWS, None, ""),
    ],
)
def test_outputs_on_the_way_are_those_that_all_runs_have(first, second, said):
    assert outputs(told_output(first), told_output(second)) == (
        f"for target 0, {said}0.25 at the end"
    )


def test_of_many_runs_only_the_ends_are_read():
    said = "0 at the start, 10 after 100 updates, "
    many = [told_output(ROWS)] * 20
    assert outputs(*many) == f"for target 0, {said}0.25 at the end"
    assert outputs(*many, told_output(ROWS)) == "for target 0, 0.25 at the end"


def test_outputs_of_each_target_are_told():
    ends = {"prediction/target_1": 0.75, "prediction/mean": 0.5}
    assert outputs(told_output(**ends), told_output()) == (
        "for target 1, 0.75 at the end; for target 0, 0.25 at the end; 0.5 at the end"
    )
    assert at_the_end(run("a", told_output())) == []  # of a single one its numbers say so
    lines = at_the_end(*seeds("a", told_output()), *seeds("b", STUCK))
    assert [line[:30] for line in lines] == [
        "",
        "softmax+ce: mean output y in t",
        "sigmoid+se: 40 % of the traini",
        TOLD[:30],
    ]
    many = [run(head, told_output(pair=f"{head}+se")) for head in "abcdefg"]
    assert len(at_the_end(*many)) == 6


def test_a_single_run_is_told_in_full():
    assert in_full(run("a", STUCK, "head=sigmoid", "loss=se")) == [
        "saturated",
        f"  {SATURATED}",
        "  evidence  stuck/fraction 0.4; accuracy/train 0.5; saturation/fraction 0.95; "
        "logit_grad/wrong 0.0041",
        "  try       loss=bce",
        "  paste     python scripts/train.py head=sigmoid loss=bce",
    ]
    title, _, evidence = in_full(run("a", NEVER))  # nothing to try, nothing to paste
    assert title == "not_finite"
    assert evidence.startswith("  evidence  status done")


def test_a_sweep_is_told_in_full():
    lines = in_full(
        *seeds("a", STUCK, STUCK, WELL | {"pair": "sigmoid+se"}), *seeds("b", HIGH, HIGH)
    )
    assert lines == [
        "initial_loss  softmax+ce  in 2 of 2 runs",
        f"  {BEGINS.format(40)}",
        "  evidence  b,seed=0: loss before the first update 40, expected at most 0.693; wrong 50 %",
        f"  try       {REMEDY}",
        "saturated  sigmoid+se  in 2 of 3 runs",
        f"  {SATURATED}",
        "  evidence  a,seed=0: stuck/fraction 0.4; accuracy/train 0.5; saturation/fraction 0.95; "
        "logit_grad/wrong 0.0041",
        "  try       loss=bce",
    ]


@pytest.mark.parametrize(
    ("cells", "last"), [(12, []), (14, ["… and 2 more; all of them by --json"])]
)
def test_more_than_a_screenful_is_cut(cells, last):
    lines = in_full(*(run(f"h{n}", STUCK | {"pair": f"h{n}+se"}) for n in range(cells)))
    assert lines[0] == "saturated  h0+se"
    assert lines[4 * 12 :] == last


@pytest.mark.parametrize(
    ("typed", "remedy", "words"),
    [
        (["seed=2"], "loss=bce", "seed=2 loss=bce"),
        (["loss=se", "seed=2"], "loss=bce, or loss=matching", "seed=2 loss=bce"),
        (["+optimizer.lr=9", "+a.b=1"], "optimizer.lr=0.05", "+a.b=1 optimizer.lr=0.05"),
        (
            ["optimizer.lr=9", "data.path=a b"],
            "model=mlp",
            "optimizer.lr=9 'data.path=a b' model=mlp",
        ),
        (["model=linear", "model.bias=1", "models.x=1"], "model=mlp", "models.x=1 model=mlp"),
        (["model.bias=1", "model.init=he"], "model.init=torch", "model.bias=1 model.init=torch"),
        (["data.path=a=b"], "data.path=c=d", "data.path=c=d"),
        (["data.path=a=b"], "loss=bce head=sigmoid", "data.path=a=b loss=bce head=sigmoid"),
    ],
)
def test_a_command_replaces_what_the_remedy_sets(typed, remedy, words):
    """The options of a part that is replaced are other ones."""
    assert command(run("a", WELL, *typed), remedy) == f"python scripts/train.py {words}"


def test_without_a_remedy_there_is_no_command():
    assert command(run("a", WELL), "") is None
