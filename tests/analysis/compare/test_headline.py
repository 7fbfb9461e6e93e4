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


TOP, NEXT = [0.93, 0.91, 0.95, 0.92], [0.92, 0.93, 0.94, 0.91]
HALF, LOW = [0.5, 0.52, 0.51, 0.53], [0.50, 0.49, 0.52, 0.51]
FEW = "Fewer than 3 common seeds: add 'seed=range(0,5)' to see what is chance."
ONE_EACH = "One run each: add 'seed=range(0,5)' to see what is chance."
SAID = [
    (
        {
            "a": [0.90, 0.91, 0.92, 0.915],
            "b": [0.50, 0.53, 0.52, 0.51],
            "c": [0.3, 0.31, 0.33, 0.29],
        },
        "a+se is best with test accuracy 91.12 ± 0.85 %, significantly higher than all others "
        "(p < 0.0001).",
    ),
    (
        {"a": TOP, "b": NEXT, "c": HALF},
        "a+se and b+se tie: test accuracy 92.8 ± 1.7 % and 92.5 ± 1.3 %, no significant difference "
        "(p = 0.76, 4 seeds); both significantly higher than c+se (p ≤ 0.00014).",
    ),
    (
        {"a": TOP, "b": TOP, "c": TOP, "d": HALF, "e": [0.2, 0.22, 0.21, 0.23]},
        "a+se, b+se and c+se tie: test accuracy 92.8 ± 1.7 %, 92.8 ± 1.7 % and 92.8 ± 1.7 %, no "
        "significant difference (p = 1, 4 seeds); all significantly higher than all others "
        "(p ≤ 0.0005).",
    ),
    # of those that tie the fewest common seeds
    (
        {"a": TOP, "b": NEXT, "c": [0.94, 0.90, 0.93]},
        "a+se, b+se and c+se tie: test accuracy 92.8 ± 1.7 %, 92.5 ± 1.3 % and 92.3 ± 2.1 %, no "
        "significant difference (p = 1, 3 seeds).",
    ),
    (
        {"a": TOP, "c": LOW, "d": [0.05, 0.45, 0.95, 0.2]},
        "a+se is first with test accuracy 92.8 ± 1.7 %, significantly higher than c+se "
        "(p < 0.0001); no significant difference to d+se (41 ± 39 %), p = 0.15.",
    ),
    (
        {
            **{"a": TOP, "c": LOW, "d": [0.4, 0.41, 0.43, 0.4]},
            **{"e": [0.05, 0.45, 0.95, 0.2], "f": [0.1, 0.5, 0.9, 0.1]},
        },
        "a+se is first with test accuracy 92.8 ± 1.7 %, significantly higher than c+se and d+se "
        "(p < 0.0001); no significant difference to e+se (41 ± 39 %), f+se (40 ± 38 %), p ≥ 0.47.",
    ),
    # d is below c and yet no significant difference to the first: it is not among the tied
    (
        {
            **{"a": TOP[:3], "c": LOW[:3]},
            **{"d": [0.05, 0.45, 0.90], "b": [0.921, 0.912, 0.945]},
        },
        "a+se and b+se tie: test accuracy 93.0 ± 2.0 % and 92.6 ± 1.7 %, no significant difference "
        "(p = 0.77, 3 seeds); both significantly higher than c+se (p ≤ 0.00031); no significant "
        "difference to d+se (47 ± 43 %), p = 0.77.",
    ),
    # b is as far above c in each of three seeds, which chance does in one of four sweeps
    (
        {"a": TOP[:3], "b": [0.92, 0.91, 0.94], "c": LOW[:3]},
        "a+se and b+se tie: test accuracy 93.0 ± 2.0 % and 92.3 ± 1.5 %, no significant difference "
        "(p = 0.37, 3 seeds); a+se is significantly higher than c+se (p = 0.00018).",
    ),
    # of six: a over c 7.118e-5 · 5, a over d 1.492e-4 · 3, and a and b as b and d 0.4092 · 2
    (
        {"a": TOP, "b": NEXT, "d": [0.92, 0.899, 0.941, 0.91], "c": HALF},
        "a+se and b+se tie: test accuracy 92.8 ± 1.7 % and 92.5 ± 1.3 %, no significant difference "
        "(p = 0.82, 4 seeds); both significantly higher than c+se (p ≤ 0.00036); a+se also higher "
        "than d+se (p = 0.00045).",
    ),
    (
        {"a": TOP, "b": HALF, "c": [0.4, 0.41]},
        "a+se is best with test accuracy 92.8 ± 1.7 %, significantly higher than b+se "
        "(p < 0.0001). Not tested, with too few common seeds: c+se.",
    ),
    (
        {"a": [0.5, 0.51, 0.49, 0.5], "b": [0.9, 0.91, 0.92, None], "c": [None] * 4},
        "a+se comes first with test accuracy 50.00 ± 0.82 %. b+se lost 1 of 4 runs and stands "
        "behind for that. Every run of c+se diverged.",
    ),
    # one run of ten is not too many
    (
        {"a": [0.5] * 10, "b": [0.9 + 0.001 * at for at in range(9)] + [None]},
        "b+se is best with test accuracy 90.40 ± 0.27 %, significantly higher than a+se "
        "(p < 0.0001).",
    ),
    (
        {"a": [0.9], "b": [0.8], "c": [0.7]},
        f"a+se comes first with test accuracy 90.00 %, c+se last with 70.00 %. {ONE_EACH}",
    ),
    (
        {"a": [0.9, 0.91], "b": [0.8]},
        f"a+se comes first with test accuracy 90.50 ± 0.71 %, b+se last with 80.00 %. {FEW}",
    ),
    (
        {"a": [0.9], "b": [0.8, 0.81]},
        f"a+se comes first with test accuracy 90.00 %, b+se last with 80.50 ± 0.71 %. {FEW}",
    ),
    (
        {"a": [1.0], "b": [1.0]},
        "a+se and b+se have the same test accuracy, 100.00 %: it does not tell them apart.",
    ),
    (
        {"a": [1.0], "b": [1.0], "c": [0.0]},
        f"a+se and b+se have the same test accuracy, 100.00 %; c+se last with 0.00 %. {ONE_EACH}",
    ),
    (
        {"a": [1.0], "b": [0.0], "c": [0.0]},
        f"a+se comes first with test accuracy 100.00 %, b+se and c+se last with 0.00 %. {ONE_EACH}",
    ),
    (
        {"a": [1.0] * 3, "b": [1.0] * 3},
        "a+se and b+se tie: test accuracy 100.00 ± 0.00 % and 100.00 ± 0.00 %, no significant "
        "difference (p = 1, 3 seeds).",
    ),
    ({"a": [0.9]}, "a+se: test accuracy 90.00 %."),
    ({"a": [0.9], "b": [None]}, "a+se: test accuracy 90.00 %. Every run of b+se diverged."),
]
"""Accuracies by seed, and the sentence: p by scipy.stats.ttest_rel, times Holm's factors."""


@pytest.mark.parametrize(("accuracies", "sentence"), SAID)
def test_a_ranking_is_put_into_a_sentence(accuracies, sentence):
    (ranking,) = compare(runs(**accuracies)).rankings
    assert headline(ranking) == sentence


def test_a_lower_loss_is_better():
    every = runs(a=[0.1, 0.11, 0.12, 0.11], b=[0.5, 0.53, 0.52, 0.51])
    for run in every:
        run.metrics["loss/test"] = run.metrics["accuracy/test"]
    (ranking,) = compare(every, metric="loss/test").rankings
    assert headline(ranking) == (
        "a+se is best with test loss 0.1100 ± 0.0082, significantly lower than b+se (p < 0.0001)."
    )


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
    assert headline(rated).endswith(
        " Each is ranked at its learning rate of the best validation accuracy."
    )
    assert headline(replace(rated, chosen_on="loss/train")).endswith(
        " Each is ranked at its learning rate of the best training loss, for there are no "
        "validation data."
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
