"""Judgements by scores: what helps, by which measure, and which of several helps most."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from mlr.remedies.judging import judge, means
from mlr.remedies.score import CLASSES, NUMBERS, UNKNOWN, Score, Task
from mlr.remedies.trial import CHECKS, SEEDS

NAN = float("nan")
LOW, HIGH = [0.50, 0.52, 0.49, 0.51, 0.50], [0.93, 0.95, 0.91, 0.94, 0.96]


def scores(right=(), nats=(), rest=(), loss=()):
    """One score a seed."""
    count = max(map(len, (right, nats, rest, loss)))
    full = [list(some) or [NAN] * count for some in (right, rest, nats, loss)]
    return dict(enumerate(Score(*one) for one in zip(*full, strict=True)))


CONSTANT = Score(0.1, 1.0, 0.7, 1e30)


def judged(
    base, task=CLASSES, refused=None, examples=100, constant=CONSTANT, general=False, **tried
):
    about = (refused or {}, Task(task), "val", examples, constant, general)
    return judge({"": base, **tried}, *about)


def test_accuracy_decides_by_a_paired_test():
    found = judged(scores(LOW), a=scores(HIGH), b=scores([0.51, 0.5, 0.5, 0.52, 0.49]))
    good, chance = found.remedies
    assert (good.helps, chance.helps, found.best) == (True, False, "a")
    assert found.tag == good.tag == "accuracy/val"
    assert good.p == pytest.approx(2 * ttest_rel(HIGH, LOW).pvalue)  # Holm: of two
    assert (found.mean, good.mean) == pytest.approx((0.504, 0.938))


def test_cross_entropy_decides_where_accuracies_agree():
    base = scores(HIGH[:4], [0.5, 0.52, 0.49, 0.5])
    other = scores(HIGH[:4], [0.2, 0.21, 0.2, 0.19])
    found = judged(base, a=other)
    (one,) = found.remedies
    assert (one.helps, one.tag, found.best) == (True, "cross-entropy/val", "a")
    assert one.mean == pytest.approx(0.2)
    assert one.text.endswith("from 0.502")
    assert judged(base, a=other, general=True).best == ""  # as any larger rate has it
    worse = scores([0.7] * 4, [0.2, 0.21, 0.2, 0.19])
    assert judged(base, a=worse).best == ""  # a lower accuracy is no remedy


def test_three_examples_are_no_gain():
    for gain, helps in ((0.03, False), (0.04, True)):
        found = judged(scores(HIGH), a=scores([one + gain for one in HIGH]))
        assert found.remedies[0].helps is helps


def test_the_explained_variance_is_judged_by_its_rest():
    found = judged(scores(rest=[0.5, 0.52, 0.49]), NUMBERS, a=scores(rest=[0.1, 0.11, 0.1]))
    assert found.tag == "explained variance/val"
    assert found.best == "a"
    assert (found.mean, found.remedies[0].mean) == pytest.approx((0.4967, 0.8967), abs=1e-4)


def test_an_unknown_task_is_judged_by_its_own_loss():
    found = judged(scores(loss=[3, 3.1, 2.9]), UNKNOWN, a=scores(loss=[1, 1.1, 0.9]))
    assert (found.tag, found.best) == ("loss/val", "a")


def test_the_first_remedy_is_best_unless_another_is_much_better():
    near = [one + 0.01 for one in HIGH]
    found = judged(scores(LOW), a=scores(HIGH), b=scores(near))
    assert [one.helps for one in found.remedies] == [True, True]
    assert found.best == "a"
    half = [0.70, 0.72, 0.69, 0.71, 0.70]
    assert judged(scores(LOW), a=scores(half), b=scores(HIGH)).best == "b"
    numbers = judged(
        scores(rest=[0.5, 0.52, 0.49]),
        NUMBERS,
        a=scores(rest=[0.1, 0.11, 0.1]),
        b=scores(rest=[0.095, 0.1, 0.1]),
        c=scores(rest=[0.01, 0.011, 0.01]),
    )
    assert numbers.best == "c"


def test_likelier_is_better_among_equal_accuracies():
    a, b = scores(HIGH, [0.5] * 5), scores(HIGH, [0.1] * 5)
    assert judged(scores(LOW, [0.69] * 5), a=a, b=b).best == "b"


def test_what_cannot_be_trained_and_too_few_seeds():
    found = judged(scores(LOW), refused={"b": "ValueError: no"}, a=scores(HIGH[:2]), b=scores(HIGH))
    few, refused = found.remedies
    assert few.text.endswith("too few seeds with a number")
    assert (refused.remedy, refused.text) == ("b", "cannot be trained: ValueError: no")
    assert found.best == ""


def test_means_are_costs():
    found = means({"": scores(LOW, [0.6] * 5)}, Task(CLASSES))
    assert found[""] == pytest.approx((0.496, 0.6))
    assert means({"": scores(rest=[0.2])}, Task(NUMBERS))[""][0] == 0.2


@pytest.mark.parametrize(("least", "helps"), [(0.90, True), (0.94, False)])
def test_a_remedy_must_be_better_than_a_constant(least, helps):
    """Of 0.062 errors, a tenth less than those of the best constant."""
    found = judged(scores(LOW), constant=Score(least), a=scores(HIGH))
    (one,) = found.remedies
    assert (one.helps, bool(found.best)) == (helps, helps)
    assert one.text.endswith("hardly better than a constant prediction") is not helps


def test_a_constant_that_is_likelier_is_no_remedy():
    base, other = scores(LOW[:4], [5, 5.1, 5, 5.2]), scores(LOW[:4], [0.69, 0.69, 0.68, 0.69])
    found = judged(base, constant=Score(0.5, nats=0.693), a=other)
    assert found.best == ""
    found = judged(base, constant=Score(0.5, nats=0.9), a=other)
    assert found.best == "a"


def test_of_remedies_that_do_nothing_one_in_twenty_trials_recommends_one():
    """Also though a trial looks three times, and drops what is behind."""
    drawn = np.random.default_rng(0)
    wrong, count = 0, 60
    for _ in range(count):
        right = np.clip(drawn.normal(0.8, 0.08, (6, SEEDS)), 0, 1)
        alive, seen = set("12345"), dict.fromkeys("12345", 0)
        for seeds in (*CHECKS, SEEDS):
            seen |= dict.fromkeys(alive, seeds)
            tried = {name: scores(right[int(name), : seen[name]]) for name in seen}
            base = scores(right[0, :seeds])
            if judged(base, examples=1000, **tried).best:
                wrong += 1
                break
            found = means({"": base, **tried}, Task(CLASSES))
            alive = {name for name in alive if found[name][0] < found[""][0]}
    assert wrong / count <= 0.1
