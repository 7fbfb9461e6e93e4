"""Sentences on sweeps whose numbers stand here, against what they should say, word by word."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from pathlib import Path

import pytest

from mlr.analysis.compare.comparison import compare
from mlr.analysis.compare.headline import headline
from mlr.analysis.quantities import is_share
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


def test_a_lower_loss_is_better():
    every = runs(a=[0.1, 0.11, 0.12, 0.11], b=[0.5, 0.53, 0.52, 0.51])
    for run in every:
        run.metrics["loss/test"] = run.metrics["accuracy/test"]
    (ranking,) = compare(every, metric="loss/test").rankings
    assert headline(ranking) == (
        "a+se is best with test loss 0.1100 ± 0.0082, significantly lower than b+se (p < 0.0001)."
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


def test_equals_are_told_apart_by_the_time_they_took():
    (ranking,) = compare(runs(a=[1.0], b=[1.0], c=[1.0], d=[1.0])).rankings

    def ended(*times):
        rows = [
            replace(row, updates_to_90=time) for row, time in zip(ranking.rows, times, strict=False)
        ]
        return headline(replace(ranking, rows=rows)).partition("apart.")[2]

    assert ended(20.0, 7.0) == " Updates to 90 %: a+se 20, b+se 7."
    assert ended(20.0, 7.0, 7.0, 1.5).endswith("c+se 7, d+se 1.5.")
    assert ended(20.0, None) == ended(20.0, 20.0) == ""
    (ranking,) = compare(runs(**{name: [1.0] for name in "abcde"})).rankings
    assert ended(1.0, 2.0, 3.0, 4.0, 5.0) == ""  # too many to name


def test_a_first_that_only_some_are_worse_than_is_not_the_best():
    text = said(a=[0.93, 0.91, 0.95, 0.92], c=[0.50, 0.49, 0.52, 0.51], d=[0.05, 0.45, 0.95, 0.2])
    assert text == (
        "a+se is first with test accuracy 92.8 ± 1.7 %, significantly higher than c+se "
        "(p < 0.0001); no significant difference to d+se (41 ± 39 %), p = 0.15."
    )


def test_three_that_tie_beat_one_all():
    top = {name: [0.93, 0.91, 0.95, 0.92] for name in "abc"}
    text = said(**top, d=[0.5, 0.52, 0.51, 0.53], e=[0.2, 0.22, 0.21, 0.23])
    assert text.startswith("a+se, b+se and c+se tie: test accuracy 92.8 ± 1.7 %, 92.8 ± 1.7 % and ")
    assert "(p = 1, 4 seeds); all significantly higher than all others (p " in text


def test_a_row_of_few_seeds_is_not_tested():
    text = said(a=[0.93, 0.91, 0.95, 0.92], b=[0.5, 0.52, 0.51, 0.53], c=[0.4, 0.41])
    assert text == (
        "a+se is best with test accuracy 92.8 ± 1.7 %, significantly higher than b+se "
        "(p < 0.0001). Not tested, with too few common seeds: c+se."
    )


def test_what_only_the_first_beats_is_told_after_what_all_on_top_beat():
    """p by scipy.stats.ttest_rel, of six: a over c 7.118e-5 · 5, a over d 1.492e-4 · 3, b and d
    0.4092 · 2, which Holm's correction gives a and b as well."""
    a, b = [0.93, 0.91, 0.95, 0.92], [0.92, 0.93, 0.94, 0.91]
    text = said(a=a, b=b, d=[0.92, 0.899, 0.941, 0.91], c=[0.5, 0.52, 0.51, 0.53])
    assert text == (
        "a+se and b+se tie: test accuracy 92.8 ± 1.7 % and 92.5 ± 1.3 %, no significant difference "
        "(p = 0.82, 4 seeds); both significantly higher than c+se (p ≤ 0.00036); a+se also higher "
        "than d+se (p = 0.00045)."
    )


def test_those_that_tie_have_the_fewest_common_seeds_of_them():
    text = said(a=[0.93, 0.91, 0.95, 0.92], b=[0.92, 0.93, 0.94, 0.91], c=[0.94, 0.90, 0.93])
    assert text.endswith("no significant difference (p = 1, 3 seeds).")


def test_where_some_are_unclear_those_that_are_worse_are_named():
    text = said(
        a=[0.93, 0.91, 0.95, 0.92], c=[0.50, 0.49, 0.52, 0.51], d=[0.4, 0.41, 0.43, 0.4],
        e=[0.05, 0.45, 0.95, 0.2], f=[0.1, 0.5, 0.9, 0.1],
    )  # fmt: skip
    assert text == (
        "a+se is first with test accuracy 92.8 ± 1.7 %, significantly higher than c+se and d+se "
        "(p < 0.0001); no significant difference to e+se (41 ± 39 %), f+se (40 ± 38 %), p ≥ 0.47."
    )


def test_more_seeds_of_one_row_alone_are_too_few():
    for text in (said(a=[0.9], b=[0.8, 0.81]), said(a=[0.9, 0.91], b=[0.8])):
        assert text.endswith(
            "Fewer than 3 common seeds: seed=range(0,5) would tell what is chance."
        )


def test_a_single_row_has_its_number_alone():
    assert said(a=[0.9]) == "a+se: test accuracy 90.00 %."
    assert said(a=[0.9], b=[None]) == "a+se: test accuracy 90.00 %. Every run of b+se diverged."


def test_rows_are_named_by_what_they_have():
    typed = {"a": ["model=mlp"], "b": []}
    every = [
        Recorded(run.folder, dict(run.entries) | {"overrides": typed[run.pair[0]]})
        for run in runs(a=[0.9], b=[0.8])
    ]
    (ranking,) = compare(every, ["model"]).rankings
    assert headline(ranking).startswith(
        "model=mlp comes first with test accuracy 90.00 %, all runs"
    )
    (ranking,) = compare(every, ["pair", "model"]).rankings
    assert headline(ranking).startswith(
        "a+se model=mlp comes first with test accuracy 90.00 %, b+se l"
    )
    (ranking,) = compare(every[:1], ["model"]).rankings
    assert headline(ranking) == "all runs: test accuracy 90.00 %."


def test_four_that_stand_behind_are_named():
    (ranking,) = compare(runs(**{name: [0.9] for name in "abcdef"})).rankings
    first, *others = ranking.rows
    rows = [first, *(replace(row, stands_behind=True, missing=2) for row in others)]
    text = headline(replace(ranking, rows=rows))
    assert text.count("+se lost 2 of 3 runs and stands behind for that.") == 4


def test_runs_that_failed_are_not_said_to_have_diverged():
    (ranking,) = compare(runs(a=[0.9], b=[None])).rankings
    rows = [ranking.rows[0], replace(ranking.rows[1], diverged=0, failed=1)]
    assert headline(replace(ranking, rows=rows)) == "a+se: test accuracy 90.00 %."


def test_one_run_each_is_no_sign_that_the_seed_changes_nothing():
    every = runs(a=[0.9], b=[0.8])
    for run in every:
        run.metrics["loss/train"] = 0.5
    (ranking,) = compare(every).rankings
    assert "One run each: " in headline(ranking)


def test_how_rates_were_chosen_where_there_was_only_the_test():
    (ranking,) = compare(runs(a=[0.9], b=[0.8])).rankings
    rows = [replace(ranking.rows[0], rates={0.1: 0.9, 1.0: 0.8}), ranking.rows[1]]
    rated = replace(ranking, rows=rows)
    assert headline(replace(rated, chosen_on=None)).endswith(
        " Of the learning rates the lowest is shown: only test numbers were recorded."
    )
    assert headline(rated).endswith(" Learning rates are chosen by validation accuracy.")
    assert headline(replace(rated, chosen_on="loss/train")).endswith(
        " Learning rates are chosen by training loss, for there are no validation data."
    )


def test_runs_that_ended_without_the_metric():
    (ranking,) = compare(runs(a=[0.9], b=[0.8])).rankings
    rows = [replace(row, mean=None) for row in ranking.rows]
    rows[1] = replace(rows[1], members=[Recorded(Path("x"), {"status": "running"})])
    assert headline(replace(ranking, rows=rows)) == "No run has a test accuracy."


@pytest.mark.parametrize(
    ("metric", "share"),
    [
        *((f"{name}/x", True) for name in ("accuracy", "stuck", "saturation", "zero_grad")),
        *((f"{name}/x", False) for name in ("loss", "rmse", "logit_grad", "dead_units")),
    ],
)
def test_shares_are_written_in_percent(metric, share):
    assert is_share(metric) is share


def test_long_lists_are_counted():
    four, five = ({name: [0.9] for name in names} for names in ("abcd", "abcde"))
    assert said(**four).startswith("a+se, b+se, c+se and d+se have the same test accuracy")
    assert said(**five).startswith("a+se, b+se, c+se and 2 others have the same test accuracy")
    names = {name: [0.9 - 0.1 * at] for at, name in enumerate("abcdef")}
    same = {name: [0.9] for name in names}
    assert said(**same).startswith("a+se, b+se, c+se and 3 others have the same test accuracy")
