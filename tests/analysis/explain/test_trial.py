"""Judgements on remedies by their runs: which help, which is best, and the words."""

from __future__ import annotations

from pathlib import Path

import pytest
from scipy.stats import ttest_rel

from mlr.analysis.explain import trial
from mlr.analysis.explain.trial import candidates, listed, report
from mlr.diagnosis.findings import Diagnosis, Finding
from mlr.records.reading import Recorded

NAN = float("nan")
LOW = [0.10, 0.12, 0.09, 0.14, 0.11]
HIGH = [0.93, 0.95, 0.91, 0.94, 0.96]


def runs(values, tag="accuracy/val", pair="sigmoid+se", status="done", **more):
    """One run a seed with these final numbers; NaN for one that diverged."""
    found = []
    for seed, value in enumerate(values):
        lost = value != value
        metrics = {"accuracy/test": 0.5} if tag == "accuracy/val" else {}
        metrics |= {tag: value} | {key: each[seed] for key, each in more.items() if "/" in key}
        entries = {
            **{"status": "diverged" if lost else status, "pair": pair, "seed": seed},
            **{"metrics": metrics, "overrides": [], "anatomy": more.get("anatomy")},
        }
        run = Recorded(Path(f"{pair},{seed}"), entries)
        vars(run).update(config={}, choices={})
        found.append(run)
    return found


def judge(control, tried, refused=None, whole=True, examples=200):
    """Judge on a split of 200 examples."""
    return trial.judge(control, tried, examples, refused, whole)


def judged(control, **tried):
    """The only verdict on a remedy."""
    (one,) = judge(control, {"remedy": runs(**tried)}).remedies
    return one


def test_a_clear_gain_helps_with_the_p_of_a_paired_test():
    judgement = judge(runs(LOW), {"a": runs(HIGH), "b": runs([0.2, 0.9, 0.1, 0.8, 0.3])})
    good, chance = judgement.remedies
    assert (good.helps, chance.helps, judgement.best) == (True, False, "a")
    p = [ttest_rel(one, LOW).pvalue for one in (HIGH, [0.2, 0.9, 0.1, 0.8, 0.3])]
    assert good.p == pytest.approx(2 * p[0])  # Holm: the smaller of two counts twice
    assert chance.p == pytest.approx(max(p[1], 2 * p[0]))
    assert (judgement.mean, good.mean) == pytest.approx((0.112, 0.938))
    assert good.text == "helps (p < 1e-6)"
    assert chance.text == f"tried, does not help (p = {chance.p:.1g})"


def test_none_of_them_may_help():
    judgement = judge(runs(HIGH), {"a": runs(HIGH[::-1]), "b": runs(LOW)})
    assert judgement.best == ""
    assert [one.helps for one in judgement.remedies] == [False, False]
    assert judgement.remedies[1].text.startswith("tried, makes it worse (p ")


@pytest.mark.parametrize(
    ("gain", "helps"), [(0.088, False), (0.092, True)], ids=["less than a tenth", "more"]
)
def test_a_tenth_of_the_errors_must_go(gain, helps):
    """Of 0.888 errors, 0.0888; the gain is the same in every seed but for rounding."""
    one = judged(runs(LOW), values=[value + gain for value in LOW])
    assert one.helps is helps
    assert one.p < 1e-4
    assert one.text.startswith("helps" if helps else "tried, hardly helps")


@pytest.mark.parametrize(("gain", "helps"), [(3, False), (4, True)])
def test_three_examples_of_the_split_are_no_gain(gain, helps):
    """The difference has no spread, but all seeds have one split."""
    one = judged(runs([0.95] * 3), values=[0.95 + gain / 200] * 3)
    assert one.helps is helps
    assert one.text.startswith("helps" if helps else "tried, hardly helps")
    more = {"remedy": runs([0.95 + gain / 200] * 3)}
    assert judge(runs([0.95] * 3), more, examples=400).best == "remedy"


def test_validation_data_decide_and_test_data_without_any():
    both = {"accuracy/test": HIGH}
    assert judge(runs(LOW, **both), {"a": runs(LOW, **both)}).tag == "accuracy/val"
    only = judge(runs(LOW, "accuracy/test"), {"a": runs(HIGH, "accuracy/test")})
    assert (only.tag, only.best) == ("accuracy/test", "a")


def test_a_run_as_it_is_that_diverges_is_worse_than_any_that_learns():
    lost, learns = runs([NAN] * 5), {"classes": {"count": [50, 50]}, "wrong": 0.1}
    assert judged(lost, values=HIGH, anatomy=learns).text == "helps"
    constant = learns | {"wrong": 0.5}
    one = judged(lost, values=[0.5] * 5, anatomy=constant)
    assert not one.helps
    assert one.text == "tried, does not help: hardly better than a constant prediction"
    assert judge(lost, {"a": runs(HIGH)}).lost == "5 of 5 runs diverged"


def test_one_lost_seed_does_not_excuse_a_loss_in_the_others():
    own = [*HIGH, NAN]
    assert not judged(runs(own), values=[*LOW, 0.1]).helps
    assert judged(runs([*LOW, NAN]), values=[*HIGH, 0.9]).helps


def test_a_remedy_that_loses_runs_does_not_help():
    one = judged(runs(LOW), values=[0.99, NAN, 0.99, 0.99, 0.99])
    assert not one.helps
    assert one.text == "tried, does not help: 1 of 5 runs diverged"


def test_where_accuracies_do_not_differ_a_lower_loss_helps_if_it_is_the_same_loss():
    high, low = {"loss/val": [4.0, 5, 400, 6, 5]}, {"loss/val": [0.4, 0.5, 0.6, 0.5, 0.7]}
    one = judged(runs(HIGH, **high), values=HIGH, **low)
    assert one.helps
    assert (one.tag, one.mean) == ("loss/val", pytest.approx(0.54))
    assert not judged(runs(HIGH, **high), values=HIGH, pair="sigmoid+bce", **low).helps
    assert not judged(runs(HIGH, **low), values=HIGH, **high).helps
    assert not judged(runs(HIGH, **high), values=LOW, **low).helps  # the accuracy is worse


def test_the_best_accuracy_wins():
    better = [value + 0.02 for value in HIGH]
    for order in (("a", "b"), ("b", "a")):
        tried = {name: runs({"a": HIGH, "b": better}[name]) for name in order}
        assert judge(runs(LOW), tried).best == "b"


def test_a_regression_is_judged_by_its_loss():
    def ended(values):
        return runs(values, "loss/val", "linear+se", **{"loss/test": [9.0] * 3})

    judgement = judge(ended([4.0, 4.1, 4.2]), {"a": ended([1.0, 1.1, 1.2])})
    assert (judgement.tag, judgement.best) == ("loss/val", "a")
    assert judge(ended([1.0, 1.1, 1.2]), {"a": ended([4.0, 4.1, 4.2])}).best == ""


def test_after_a_part_of_the_updates_nothing_is_said_to_be_in_vain():
    judgement = judge(runs(HIGH), {"a": runs(HIGH[::-1])}, whole=False)
    assert judgement.remedies[0].text.startswith("does not help so far")


def test_two_seeds_are_too_few():
    one = judged(runs(LOW[:2]), values=HIGH[:2])
    assert (one.helps, one.p) == (False, None)
    assert one.text == "tried, does not help: too few seeds with a number"


def test_the_lines_give_the_numbers_of_both():
    judgement = judge(
        runs(LOW),
        {"loss=bce": runs(HIGH), "optimizer.lr=0.1": runs(LOW[::-1])},
        {"model=mlp": "no room"},
    )
    assert report(judgement, "tried     80 updates") == [
        "tried     80 updates; accuracy/val:",
        "  as it is          11.2 ± 1.9 %",
        "  loss=bce          93.8 ± 1.9 %  helps (p < 1e-6)",
        "  optimizer.lr=0.1  11.2 ± 1.9 %  tried, does not help (p = 1)",
        "  model=mlp         cannot be trained: no room",
    ]
    assert report(judgement, "then", "head=probit")[1] == "  head=probit       11.2 ± 1.9 %"
    assert listed([0, 1, 2]) == "seeds 0 to 2"
    assert listed([7, 1, 2]) == "seeds 7, 1, 2"


def test_a_loss_that_decided_is_named():
    high, low = {"loss/val": [4.0, 5, 4, 6, 5]}, {"loss/val": [0.4, 0.5, 0.6, 0.5, 0.7]}
    lines = report(judge(runs(HIGH, **high), {"a": runs(HIGH, **low)}), "8 updates")
    assert lines[2].startswith("  a         loss/val 0.54 ± 0.11  helps (p")


def test_candidates_are_first_choices_then_alternatives_then_spare_ones():
    def diagnosis(remedy, *spare):
        return Diagnosis("", "", "", remedy, (), findings=[Finding("", "", remedy, spare=spare)])

    found = [diagnosis("a=1, or b=2", "c=3"), diagnosis("b=2"), diagnosis("", ""), diagnosis("d=4")]
    assert candidates(found) == ["a=1", "b=2", "d=4", "c=3"]
    assert candidates([diagnosis("")]) == []
