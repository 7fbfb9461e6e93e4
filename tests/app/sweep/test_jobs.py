"""Jobs of a sweep: how many are meant, and which are drawn."""

from __future__ import annotations

import pytest

from mlr.app.run.job import Job
from mlr.app.sweep.sweep import MOST_DRAWN, check_count, jobs_to_draw
from mlr.core.checks import InputError


@pytest.mark.parametrize(
    ("overrides", "jobs"),
    [
        (["seed=range(0,1000000)"], "1,000,000"),
        (["seed=range(0,10001)", "epochs=3"], "10,001"),
        (["seed=range(0,2000,2)", "head=linear,sigmoid,softmax", "loss=se,bce,ce,mae"], "12,000"),
        (["seed=range(20000)"], "20,000"),
    ],
)
def test_very_many_jobs_have_to_be_meant(overrides, jobs):
    with pytest.raises(InputError, match=f"has {jobs} jobs.*sweep.yes=true"):
        check_count(overrides, meant=False)
    check_count(overrides, meant=True)


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["seed=range(0,10000)"],
        ["head=glob(*)", "optimizer.lr=choice(0.1,1)", "seed=range(0,5000)"],
        ["optimizer.lr=interval(0,1)", "model.widths=[10,20]"],
    ],
)
def test_others_do_not(overrides):
    check_count(overrides, meant=False)


def job(number, head="sigmoid", loss="se", model="linear", **config):
    parts = {"head": head, "loss": loss, "model": model, "data": "digits"}
    targets = {group: {"_target_": name} for group, name in parts.items()}
    return Job(number, (), {**targets, **config}, folder=None, files={})


def test_the_first_run_of_each_kind_is_drawn():
    jobs = [
        *(job(0, seed=0), job(1, seed=1), job(2, loss="bce", seed=0), job(3, loss="bce", seed=1)),
        *(job(4, model="mlp"), job(5, lr=0.3)),
    ]
    seen = set()
    assert jobs_to_draw(jobs, seen) == {0, 2, 4}
    assert jobs_to_draw([job(6), job(7, head="softmax")], seen) == {7}  # a later batch


def test_no_more_than_a_person_looks_at():
    jobs = [job(number, head=f"head{number}") for number in range(2 * MOST_DRAWN)]
    assert jobs_to_draw(jobs, set()) == set(range(MOST_DRAWN))
