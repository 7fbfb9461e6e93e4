"""Steps that ruin a network at once, and decay that pulled all weights to 0, by made evidence."""

from __future__ import annotations

from math import nan

import pytest

from mlr.diagnosis.findings import sentence
from mlr.diagnosis.program import ProgramCourse, WatchedProgram
from mlr.diagnosis.step_size import decay_too_strong, rate_too_high, term_outweighs
from mlr.records.evidence import Evidence, Look


def ruined(moved=700.0, leap=4000.0, end=30.0):
    """Return a regression on numbers of variance 30 whose second update leaps."""
    losses = (20.0, leap, 40.0, end)
    looks = [
        Look(known=True, loss=loss, moved=step, rates=[0.05], forms=["mse:mean"])
        for loss, step in zip(losses, (0.1, moved, 1e-4, 1e-4), strict=True)
    ]
    return WatchedProgram(Evidence(updates=400, target_variance=30.0, optimizer="SGD", looks=looks))


def test_an_update_that_ruins_the_network_is_found():
    found = rate_too_high(ruined())
    assert "700 times themselves" in str(sentence([found]))
    assert found.remedy == "lr=0.005"


@pytest.mark.parametrize("change", [{"moved": 5.0}, {"leap": 150.0}, {"end": 3.0}])
def test_an_update_that_ruins_nothing_is_not(change):
    assert rate_too_high(ruined(**change)) is None


def decayed(first=5.0, spread=1e-7, optimizer="Adam", end=30.0):
    """Return one whose decay has less to pull at from look to look."""
    looks = [
        Look(
            **{"known": True, "loss": 30.0 if share > 1 else end, "forms": ["mse:mean"]},
            **{"updates": update, "decay": share * first / 5, "output_std": std},
        )
        for update, share, std in (
            *((0, 5.0, 0.08), (1, 4.5, 0.07), (2, 5.9, 0.05)),
            *((8, 0.9, 0.01), (32, 0.7, 1e-3), (128, 0.08, spread), (512, 0.08, spread)),
        )
    ]
    return WatchedProgram(
        Evidence(updates=600, target_variance=30.0, optimizer=optimizer, looks=looks)
    )


def test_a_decay_that_has_pulled_the_weights_to_0_is_found():
    found = decay_too_strong(decayed())
    assert "5 times as strongly" in str(sentence([found]))


@pytest.mark.parametrize(
    "change", [{"first": 0.9}, {"spread": 0.05}, {"optimizer": "AdamW"}, {"end": 3.0}]
)
def test_a_decay_that_has_not_is_none(change):
    assert decay_too_strong(decayed(**change)) is None


def several_terms(
    spread=5e-5,
    pairs=("layer>mse", "mse>mul", "mul>add"),
    forms=(),
    updates=480,
    cost=nan,
    late=1.5,
):
    looks = [
        Look(
            **{"known": True, "loss": loss, "updates": at, "output_std": std, "fed": "mse"},
            **{"pairs": list(pairs), "forms": list(forms), "fed_cost": cost},
        )
        for loss, at, std in ((23.8, 0, 0.24), (1.5, min(128, updates), spread))
    ]
    course = ProgramCourse(losses=[23.8, late, late, late])
    return WatchedProgram(Evidence(updates=updates, target_variance=1.0, looks=looks), course)


def test_a_term_that_outweighs_the_one_of_the_task_is_found():
    found = term_outweighs(several_terms())
    assert "further term next to mse" in str(sentence([found]))


@pytest.mark.parametrize(
    ("cost", "late", "found"),
    [
        (0.95, 1.2, True),  # of a variance of 1
        (0.85, 1.2, False),
        (0.95, 1.3, False),
        (0.95, 0.8, False),
        (nan, 1.2, False),
    ],
)
def test_a_term_that_leaves_the_task_unlearned_is_found(cost, late, found):
    told = term_outweighs(several_terms(spread=0.1, cost=cost, late=late))
    assert (told is not None) == found
    if told:
        assert "mse 0.95 after" in told.evidence
        assert "constant 1;" in told.evidence


@pytest.mark.parametrize(
    "change",
    [
        {"spread": 0.1},
        {"pairs": ("layer>mse",)},  # a single term
        {"pairs": ("layer>add", "add>mse")},  # a residual
        {"forms": ("mse:mean",)},
        {"updates": 60},
    ],
)
def test_other_losses_are_not(change):
    assert term_outweighs(several_terms(**change)) is None
