"""Optuna through hydra-optuna-sweeper (extra `optuna`): its batches, and trials that diverge."""

from __future__ import annotations

import csv

import pytest

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs mlr[optuna]")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # it uses what is deprecated

SWEEPER = [
    "hydra/sweeper=optuna",
    "hydra.sweeper.direction=minimize",
    "hydra.sweeper.sampler.seed=0",
    "hydra.sweep.dir=sweep",
]
TASK = ["head=linear", "loss=se", "data=moons", "data.n=100", "epochs=20"]


def statuses(folder):
    with (folder / "sweep" / "runs.csv").open(newline="", encoding="utf-8") as file:
        return [row["status"] for row in csv.DictReader(file)]


def test_trials_are_batched_by_n_jobs(train, monkeypatch):
    from mlr.app.sweep.sweep import Sweep

    sizes = []
    batch = Sweep.batch

    def counted(self, jobs, *more):
        sizes.append(len(jobs))
        return batch(self, jobs, *more)

    monkeypatch.setattr(Sweep, "batch", counted)
    done = train(
        "-m",
        *SWEEPER,
        "hydra.sweeper.n_trials=10",
        "hydra.sweeper.n_jobs=4",
        *TASK,
        "optimizer.lr=tag(log,interval(0.001,0.1))",
    )
    assert done.code == 0, done.err
    assert sizes == [4, 4, 2]
    assert statuses(done.folder) == ["done"] * 10


def test_a_trial_that_diverges_is_one_of_the_results(train):
    done = train(
        "-m",
        *SWEEPER,
        "hydra.sweeper.n_trials=8",
        "hydra.sweeper.n_jobs=4",
        *TASK,
        "optimizer.lr=tag(log,interval(0.000001,10000))",
    )
    assert done.code == 0, done.err
    found = statuses(done.folder)
    assert set(found) == {"done", "diverged"}
    assert len(found) == 8


def test_refused_trials_do_not_end_the_search(train):
    done = train(
        "-m",
        *SWEEPER,
        "hydra.sweeper.n_trials=6",
        "hydra.sweeper.n_jobs=3",
        *TASK,
        "optimizer.lr=choice(0.1,0.2,-1)",
    )
    assert done.code == 0, done.err
    assert set(statuses(done.folder)) == {"done", "refused"}
