"""Sentences on sweeps whose numbers stand here, against what they should say, word by word."""

from __future__ import annotations

from math import nan
from pathlib import Path

import pytest

from mlr.app.compare.comparison import compare
from mlr.app.compare.headline import headline
from mlr.records.reading import Recorded


def runs(**accuracies) -> list[Recorded]:
    """Configurations `a+se` by their accuracies, None for a run that diverged."""
    found = []
    for name, values in accuracies.items():
        for seed, value in enumerate(values):
            status, number = ("done", value) if value is not None else ("diverged", nan)
            about = {"status": status, "pair": f"{name}+se", "seed": seed}
            metrics = {"accuracy/test": number, "accuracy/val": number}
            found.append(Recorded(Path(f"{name}{seed}"), about | {"metrics": metrics}))
    return found


def said(**accuracies) -> str:
    (ranking,) = compare(runs(**accuracies)).rankings
    return headline(ranking)


def test_one_that_beats_all_others_is_best():
    """p of t = mean / (std / √n) by scipy.stats.ttest_rel, times Holm's factors."""
    text = said(a=[0.90, 0.91, 0.92, 0.915], b=[0.50, 0.53, 0.52, 0.51], c=[0.3, 0.31, 0.33, 0.29])
    assert text == (
        "a+se is best with test accuracy 91.12 ± 0.85 %, significantly higher than all others "
        "(p < 0.0001)."
    )


def test_two_that_tie_are_named_before_what_both_beat():
    text = said(a=[0.93, 0.91, 0.95, 0.92], b=[0.92, 0.93, 0.94, 0.91], c=[0.5, 0.52, 0.51, 0.53])
    assert text == (
        "a+se and b+se tie: test accuracy 92.8 ± 1.7 % and 92.5 ± 1.3 %, no significant difference "
        "(p = 0.76, 4 seeds); both significantly higher than c+se (p ≤ 0.00014)."
    )


def test_one_seed_makes_nothing_best():
    assert said(a=[0.9], b=[0.8], c=[0.7]) == (
        "a+se comes first with test accuracy 90.00 %, c+se last with 70.00 %. "
        "One run each: seed=range(0,5) would tell what is chance."
    )


def test_two_seeds_are_too_few_as_well():
    assert said(a=[0.9, 0.91], b=[0.8, 0.81]).endswith(
        "Fewer than 3 common seeds: seed=range(0,5) would tell what is chance."
    )


def test_equal_numbers_tell_nothing_apart():
    assert said(a=[1.0], b=[1.0]) == (
        "a+se and b+se have the same test accuracy, 100.00 %: it does not tell them apart."
    )
    assert said(a=[1.0], b=[1.0], c=[0.0]).startswith(
        "a+se and b+se have the same test accuracy, 100.00 %; c+se last with 0.00 %."
    )
    assert said(a=[1.0], b=[0.0], c=[0.0]).startswith(
        "a+se comes first with test accuracy 100.00 %, b+se and c+se last with 0.00 %."
    )
    assert said(a=[1.0] * 3, b=[1.0] * 3).startswith("a+se and b+se tie: ")


def test_where_the_seed_changes_nothing_no_difference_is_chance():
    """Five seeds of one example and fixed weights: a test would call 100 % and 0 % a tie."""
    every = runs(a=[1.0] * 5, b=[0.0] * 5)
    for run in every:
        run.metrics["loss/train"] = 0.25 if run.pair == "a+se" else 100.0
    (ranking,) = compare(every).rankings
    assert headline(ranking) == (
        "a+se comes first with test accuracy 100.00 ± 0.00 %, b+se last with 0.00 ± 0.00 %. All "
        "seeds give the same numbers: no difference is chance."
    )
    assert [row.verdict for row in ranking.rows] == ["first", "the seed changes nothing"]
    every[0].metrics["loss/train"] = 0.26  # one seed differs: then chance plays a part
    (ranking,) = compare(every).rankings
    assert "chance" not in headline(ranking)


def test_a_gradient_is_neither_good_nor_bad():
    every = runs(a=[0.9, 0.91, 0.92, 0.915], b=[0.50, 0.53, 0.52, 0.51])
    for run in every:
        run.metrics["logit_grad/wrong"] = run.metrics["accuracy/test"]
    (ranking,) = compare(every, metric="logit_grad/wrong").rankings
    assert headline(ranking) == "logit_grad/wrong is neither good nor bad in itself: no ranking."
    assert {row.verdict for row in ranking.rows} == {"first", "different"}


def test_settings_that_all_rows_share_are_not_in_their_names():
    every = [
        Recorded(run.folder, dict(run.entries) | {"overrides": ["epochs=3", f"optimizer.lr={lr}"]})
        for run, lr in zip(runs(a=[0.9], b=[0.8]), (0.1, 0.2), strict=True)
    ]
    (ranking,) = compare(every, ["pair", "epochs", "lr"]).rankings
    assert headline(ranking).startswith(
        "a+se lr=0.1 comes first with test accuracy 90.00 %, b+se lr=0.2 last with 80.00 %."
    )


def test_seeds_that_scatter_leave_a_lower_mean_unclear():
    """d is below c and yet no significant difference to the first: it is not among the tied."""
    text = said(
        a=[0.93, 0.91, 0.95], c=[0.50, 0.49, 0.52], d=[0.05, 0.45, 0.90], b=[0.921, 0.912, 0.945]
    )
    assert text.startswith("a+se and b+se tie: ")
    assert "; both significantly higher than c+se" in text
    assert text.endswith("; no significant difference to d+se (47 ± 43 %), p = 0.77.")


def test_what_only_the_first_of_two_beats_is_said_of_the_first():
    """b is as far above c in each of three seeds, which chance does in one of four sweeps."""
    text = said(a=[0.93, 0.91, 0.95], b=[0.92, 0.91, 0.94], c=[0.50, 0.49, 0.52])
    assert text.startswith("a+se and b+se tie: ")
    assert "; a+se is significantly higher than c+se (p = 0.00018)" in text
    assert "both" not in text


def test_who_lost_runs_stands_behind_and_is_told_why():
    text = said(a=[0.5, 0.51, 0.49, 0.5], b=[0.9, 0.91, 0.92, None], c=[None] * 4)
    assert text == (
        "a+se comes first with test accuracy 50.00 ± 0.82 %. "
        "b+se lost 1 of 4 runs and stands behind for that. Every run of c+se diverged."
    )


def test_one_run_of_ten_is_not_too_many():
    text = said(a=[0.5] * 10, b=[0.9 + 0.001 * at for at in range(9)] + [None])
    assert text.startswith("b+se is best with test accuracy 90.40 ± 0.27 %, ")
    assert "lost" not in text


@pytest.mark.parametrize(
    ("status", "text"),
    [("diverged", "Every run diverged."), ("running", "No run has ended well yet.")],
)
def test_without_any_number(status, text):
    (ranking,) = compare([Recorded(Path("x"), {"status": status, "pair": "a+se"})]).rankings
    assert headline(ranking) == text


def test_long_lists_are_counted():
    names = {name: [0.9 - 0.1 * at] for at, name in enumerate("abcdef")}
    same = {name: [0.9] for name in names}
    assert said(**same).startswith("a+se, b+se, c+se and 3 others have the same test accuracy")
