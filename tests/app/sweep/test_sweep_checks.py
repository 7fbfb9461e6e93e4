"""A sweep that is large by mistake is not begun."""

from __future__ import annotations

import pytest

from mlr.app.sweep.sweep import check_count
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
