"""The one sentence about runs in which no fault was found."""

from __future__ import annotations

import pytest

from mlr.analysis.explain.command import reassurance
from tests.analysis.explain.sides import run

WELL = {
    **{"pair": "softmax+ce", "classes.count": [500, 500], "wrong": 0.03},
    **{"start.loss": 2.34, "loss/train": 0.14, "logit_grad/wrong": 0.8, "stuck": 0.0},
    **{"accuracy/train": 0.97, "accuracy/val": 0.955, "accuracy/test": 0.965},
}
USELESS = {"pair": "softmax+ce", "classes.count": [500, 500], "wrong": 0.5, "loss/train": 0.7}
LOSS, START = "No fault found: the training loss went from 2.34 to 0.14", "start.loss"
TRAINED = "97 % of the training examples are right"
HELD_OUT = " and 96 % of the validation and test examples"
WRONG, STUCK = "the wrong ones have a mean ‖dL/dz‖ of 0.8", "none are wrong without gradient"


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({}, f"{LOSS}, {TRAINED}{HELD_OUT}, {WRONG}, and {STUCK}."),
        (
            {START: None},
            f"No fault found: loss/train 0.14, {TRAINED}{HELD_OUT}, {WRONG}, and {STUCK}.",
        ),
        (
            {"accuracy/val": None, "accuracy/test": None},
            f"{LOSS}, {TRAINED}, {WRONG}, and {STUCK}.",
        ),
        ({"accuracy/train": None}, f"{LOSS}, {WRONG}, and {STUCK}."),
        ({"logit_grad/wrong": None}, f"{LOSS}, {TRAINED}{HELD_OUT}, and {STUCK}."),
        ({"stuck": None}, f"{LOSS}, {TRAINED}{HELD_OUT}, and {WRONG}."),
        (
            {"stuck": 0.012},
            f"{LOSS}, {TRAINED}{HELD_OUT}, {WRONG}, and 1.2 % of all are wrong without gradient.",
        ),
    ],
)
def test_a_sound_run_is_told_what_shows_it(told, sentence):
    assert reassurance([run("a", WELL | told)]) == sentence


def test_a_regression_is_told_its_losses():
    one = run("a", {"pair": "linear+se", "start.loss": 2.34, "loss/train": 0.14})
    assert reassurance([one]) == f"{LOSS}."
    stuck = run("a", {"pair": "linear+se", "start.loss": 2.34, "loss/train": 0.14, "stuck": 0.0})
    assert reassurance([stuck]) == f"{LOSS}, and {STUCK}."


OWN_LOOP = {
    **{"pair": "sigmoid", "loss/train": 0.333, "accuracy/train": 0.38, "logit_grad/wrong": 2.5e-05},
    "stuck/fraction": 0.62,
}


def test_a_run_of_a_loop_of_ones_own_is_not_called_sound():
    assert reassurance([run("a", OWN_LOOP)]) == (
        "No fault found, but most rules need the final diagnostics, which this run lacks: loss/"
        "train 0.333, 38 % of the examples of the last batch are right, the wrong ones have a mean "
        "‖dL/dz‖ of 2.5e-05, and 62 % of all are wrong without gradient."
    )
    assert reassurance([run(name, OWN_LOOP) for name in "abc"]) == (
        "No fault found in 3 runs, but most rules need the final diagnostics, which they lack."
    )


UNFINISHED = USELESS | {"status": "failed"}


@pytest.mark.parametrize(
    ("runs", "sentence"),
    [
        ([WELL, WELL], "No fault found in 2 runs; accuracy/test from 96 % to 96 %."),
        (
            [WELL | {"accuracy/test": right} for right in (0.7, None, 0.5, 0.9)],
            "No fault found in 4 runs; accuracy/test from 50 % to 90 %.",
        ),
        ([WELL | {"accuracy/test": None}] * 3, "No fault found in 3 runs."),
        ([WELL, WELL, UNFINISHED], "No fault found in 2 runs; accuracy/test from 96 % to 96 %."),
    ],
)
def test_of_several_sound_runs_the_accuracies_are_told(runs, sentence):
    assert reassurance([run(str(n), one) for n, one in enumerate(runs)]) == sentence


@pytest.mark.parametrize(
    ("runs", "subject"),
    [
        ([USELESS], "the model does"),
        ([USELESS, UNFINISHED], "the model does"),
        ([USELESS, WELL], "1 of 2 runs does"),
        ([USELESS, WELL, USELESS], "2 of 3 runs do"),
        ([USELESS | {"status": "diverged"}, USELESS], "2 of 2 runs do"),
    ],
)
def test_runs_that_learned_nothing_are_counted(runs, subject):
    assert reassurance([run(str(n), one) for n, one in enumerate(runs)]) == (
        f"No rule explains it, but {subject} hardly better than a constant prediction; try another "
        "optimizer.lr or model, or look at the data."
    )


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        (["interrupted"], "interrupted"),
        (["running", "failed", "failed"], "failed, running"),
        (["done"], "done"),  # without any number
    ],
)
def test_runs_that_were_never_finished_are_not_called_sound(statuses, told):
    runs = [run(str(n), {"pair": "softmax+ce", "status": one}) for n, one in enumerate(statuses)]
    assert reassurance(runs) == (
        f"There are no final numbers to judge ({told}); train to an end first."
    )
