"""The one rule, on runs that were never written: literal numbers, and orders by hand."""

from __future__ import annotations

from math import inf, isnan, nan, sqrt
from pathlib import Path

import pytest

from mlr.analysis.ranking import (
    Standing,
    by_loss,
    by_rate,
    by_seed,
    chosen,
    chosen_on,
    final,
    mean_and_std,
    places,
    ranked,
    shared_metric,
    standing,
)
from mlr.records.reading import Recorded

METRIC = "accuracy/test"


def run(value=0.9, *overrides: str, pair="sigmoid+se", seed=0, status="done", **others) -> Recorded:
    """Never read from disk; its folder is not there."""
    metrics = {} if value is None else {METRIC: value, "loss/test": value}
    metrics |= {tag.replace("_", "/"): number for tag, number in others.items()}
    entries = {"status": status, "pair": pair, "seed": seed, "overrides": overrides}
    place = "/".join([pair, *overrides, str(seed)])
    return Recorded(Path("nowhere", place), {**entries, "metrics": metrics})


def cell(*values: float, pair="a+se", lost=0) -> list[Recorded]:
    """A configuration with these accuracies, and some runs that diverged."""
    done = [run(value, pair=pair, seed=seed) for seed, value in enumerate(values)]
    gone = [run(nan, pair=pair, seed=100 + at, status="diverged") for at in range(lost)]
    return [*done, *gone]


def test_higher_accuracies_and_lower_losses_come_first():
    groups = [cell(0.7), cell(0.9), cell(0.8)]
    assert ranked(groups, METRIC) == [1, 2, 0]
    assert ranked(groups, "loss/test") == [0, 2, 1]


@pytest.mark.parametrize(("done", "lost", "behind"), [(9, 1, False), (8, 1, True), (17, 2, True)])
def test_who_loses_more_than_a_tenth_of_its_runs_stands_behind(done, lost, behind):
    best, other = cell(*[0.9] * done, lost=lost), cell(0.1)
    assert standing(best, METRIC) == (behind, pytest.approx(-0.9))
    assert ranked([other, best], METRIC) == ([0, 1] if behind else [1, 0])


def test_nothing_but_diverged_runs_is_last():
    assert standing(cell(lost=2), METRIC) == Standing(True, inf)
    assert ranked([cell(lost=2), cell(0.5, lost=3), cell(0.1)], METRIC) == [2, 1, 0]


def test_runs_that_still_go_on_or_failed_say_nothing():
    more = [run(None, seed=seed, status=status) for seed, status in ((2, "running"), (3, "failed"))]
    assert standing([run(0.99), *more], METRIC) == (False, -0.99)


def test_equal_means_share_a_place_and_stand_in_the_order_of_their_names():
    groups = [cell(0.9, pair="b+se"), cell(0.95), cell(0.8), cell(0.9, pair="a+ce")]
    order = ranked(groups, METRIC)
    assert order == [1, 3, 0, 2]
    assert places([groups[at] for at in order], METRIC) == [1, 2, 2, 4]


def test_losses_of_other_pairs_break_no_tie():
    """0.117 of se against 1.035 of nll says nothing; of one pair the lower loss comes first."""
    se, nll = run(1.0, pair="b+se", loss_test=0.001), run(1.0, pair="a+nll", loss_test=1.0)
    assert ranked([[se], [nll]], METRIC) == [1, 0]
    high, low = (run(1.0, f"optimizer.lr={x}", loss_test=x) for x in (0.5, 0.25))
    assert ranked([[high], [low]], METRIC) == [1, 0]


def test_a_seed_has_one_number():
    runs = [
        run(0.5),
        run(0.7, "model=mlp"),
        run(0.3, seed=1),
        run(nan, seed=2),
        run(inf, seed=3),
        run(0.9, seed=4, status="diverged"),
        run(0.9, seed=5, status="failed"),
        run(None, seed=6),
        run(0.1, seed=None),
    ]
    assert by_seed(runs, METRIC) == {0: pytest.approx(0.6), 1: 0.3, runs[-1].folder: 0.1}
    assert final(runs[4], METRIC) is None


def test_mean_and_standard_deviation_over_n_minus_one():
    assert mean_and_std([0.5, 0.7]) == (pytest.approx(0.6), pytest.approx(0.1 * sqrt(2)))
    assert isnan(mean_and_std([0.5])[1])


SE = {"loss/test": 0.1, "rmse/test": 0.4}
NLL = {"loss/test": 1.0, "rmse/test": 0.5}


@pytest.mark.parametrize(
    ("runs", "metric"),
    [
        ([("a+se", {METRIC: 0.5, "loss/test": 1}), ("a+ce", {METRIC: 0.5})], METRIC),
        ([("a+se", SE), ("b+se", SE)], "loss/test"),
        ([("a+se", SE), ("a+nll", NLL)], "rmse/test"),
        ([("a+se", SE), ("a+nll", {"loss/test": 1.0})], "loss/test"),
        ([("a+se", {}), ("a+ce", {})], METRIC),
        ([("a+se", SE), ("a+nll", {})], "rmse/test"),
        ([("a+se", {"loss/test": nan}), ("a+se", {"loss/test": nan})], "loss/test"),
    ],
    ids=str,
)
def test_the_metric_is_one_that_all_have_and_that_means_the_same(runs, metric):
    groups = [
        [Recorded(Path("x"), {"status": "done", "pair": pair, "metrics": metrics})]
        for pair, metrics in runs
    ]
    assert shared_metric(groups) == metric


def test_a_loss_is_its_name_and_its_options():
    runs = [
        run(pair="softmax+focal"),
        run(0.9, "loss.gamma=1", pair="softmax+focal"),
        run(0.9, "loss.gamma=1", pair="sigmoid+focal"),
        run(pair="sigmoid+se"),
    ]
    found = by_loss(runs)
    assert {name: len(own) for name, own in found.items()} == {
        "focal": 1,
        "focal gamma=1": 2,
        "se": 1,
    }


def test_settings_are_chosen_on_validation_and_never_on_the_test():
    """At 0.5 the test looks best, by luck; validation says 0.1."""
    settings = [
        [run(0.80, accuracy_val=0.90), run(0.82, seed=1, accuracy_val=0.91)],
        [run(0.95, accuracy_val=0.70), run(0.96, seed=1, accuracy_val=0.71)],
    ]
    tag = chosen_on(METRIC, [one for own in settings for one in own])
    assert tag == "accuracy/val"
    assert chosen(settings, tag) == [0, 1]


def test_without_validation_data_settings_are_chosen_on_training_data():
    settings = [[run(0.9, accuracy_train=0.5)], [run(0.8, accuracy_train=0.6)]]
    tag = chosen_on(METRIC, [one for own in settings for one in own])
    assert tag == "accuracy/train"
    assert chosen(settings, tag) == [1, 0]
    assert chosen_on("rmse/test", [run(loss_train=0.1)]) == "loss/train"


def test_with_nothing_but_test_numbers_the_first_that_loses_nothing_is_chosen():
    settings = [cell(0.5, lost=1), cell(0.6), cell(0.9)]
    tag = chosen_on(METRIC, [one for own in settings for one in own])
    assert tag is None
    assert chosen(settings, tag) == [1, 2, 0]


def test_what_is_no_test_number_chooses_for_itself():
    assert chosen_on("loss/val", []) == "loss/val"
    assert chosen_on("stuck/fraction", []) == "stuck/fraction"
    runs = [run(loss_val=1.0, rmse_val=1.0)]
    assert chosen_on("loss/test", runs) == "loss/val"
    assert chosen_on("rmse/test", runs) == "rmse/val"


def test_equal_accuracies_are_settled_by_the_loss_of_the_same_split():
    settings = [
        [run(1.0, accuracy_val=1.0, loss_val=0.2, loss_train=0.1)],
        [run(0.9, accuracy_val=1.0, loss_val=0.1, loss_train=0.2)],
        [run(1.0, accuracy_val=1.0, loss_val=0.1)],
    ]
    assert chosen(settings, "accuracy/val") == [1, 2, 0]
    mixed = [*settings[:1], [run(0.9, pair="a+ce", accuracy_val=1.0, loss_val=0.1)]]
    assert chosen(mixed, "accuracy/val") == [0, 1]


def test_a_setting_at_which_runs_diverge_is_not_chosen_for_the_others_sake():
    settings = [
        [run(0.7, accuracy_val=0.7), run(0.7, seed=1, accuracy_val=0.7)],
        [run(0.99, accuracy_val=0.99), run(inf, seed=1, status="diverged", accuracy_val=nan)],
    ]
    assert chosen(settings, "accuracy/val") == [0, 1]


def test_learning_rates_are_numbers_from_low_to_high():
    runs = [run(0.9, f"optimizer.lr={text}") for text in ("10", "0.5", "1e-3", "0.50")]
    rates = by_rate(runs)
    assert list(rates) == [0.001, 0.5, 10]
    assert rates[0.5] == [runs[1], runs[3]]


def test_a_run_without_a_rate_or_with_a_text_for_it_comes_first():
    runs = [run(0.9, f"optimizer.lr={text}") for text in ("0.5", "auto", "-1")]
    assert list(by_rate(runs)) == ["auto", -1, 0.5]
    assert list(by_rate([runs[0], run()])) == [None, 0.5]


def test_the_lowest_of_equal_rates_is_chosen():
    rates = [[run(0.7), run(0.8, seed=1)], [run(0.75), run(0.75, seed=1)]]
    assert chosen(rates, METRIC) == [0, 1]
    assert chosen([*rates, [run(0.9)]], METRIC)[0] == 2
