"""Names of the runs of whole sweeps: several batches, resumed ones, any launcher."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from tensorboard.plugins.hparams import plugin_data_pb2

from mlr.app.sweep.resolvers import RunNames
from mlr.records import RunFolder
from tests.app.composing import sweep_of
from tests.app.sweeping import rows
from tests.records.reading import accumulate

FAST = ("data=blobs", "data.seed=0", "epochs=1", "probes=off")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def named(typed: list[str], *jobs: list[str], pair: str = "sigmoid+se", **more) -> list[str]:
    names = RunNames(typed, more.get("params", {}), more.get("resumed"))
    return [names(pair, job) for job in jobs]


def made(folder: Path, *overrides: str) -> None:
    RunFolder.claim(folder, overrides=list(overrides)).write_status("done")


@pytest.mark.parametrize(
    ("typed", "job", "name"),
    [
        (["model=mlp", "seed=range(0,8)"], ["model=mlp", "seed=7"], "sigmoid+se,seed=7"),
        (["optimizer.lr=0.1,1", "seed=3"], ["optimizer.lr=0.1", "seed=3"], "lr=0.1,seed=3"),
        (["seed=0,1", "optimizer.lr=0.1,1"], ["seed=0", "optimizer.lr=1"], "lr=1,seed=0"),
        (["optimizer.lr=interval(0,1)"], ["optimizer.lr=0.25"], "lr=0.25"),
        (["optimizer.lr=tag(log,interval(0.1,1))"], ["optimizer.lr=0.5"], "lr=0.5"),
        (["experiment=glob(*)"], ["experiment=xor"], "experiment=xor"),
        (["model.widths=[32],[64,8]"], ["model.widths=[64,8]"], "widths=[64,8]"),
        (["model.widths=[64,8]"], ["model.widths=[64, 8]"], ""),
        (["+model.n=1,2", "++model.k=3"], ["+model.n=1", "++model.k=3"], "n=1"),
        (["head=sigmoid,softmax", "loss=se"], ["head=sigmoid", "loss=se"], ""),
        (["data.label='a b','c d'"], ["data.label='a b'"], "label=a_b-cd6243ec03f2"),
        (["optimizer.lr=0.1,1", "optimizer.lr=1"], ["optimizer.lr=1"], ""),
        (["optimizer.lr=1", "optimizer.lr=0.1,1"], ["optimizer.lr=1"], "lr=1"),
        # what a sweeper brings of its own varies
        ([], ["optimizer.lr=0.3", "batch_size=8"], "lr=0.3,batch_size=8"),
        # what is no part of a run
        (["sweep.max_runs_per_batch=1,2"], ["sweep.max_runs_per_batch=1"], ""),
        (["objective_metric=a,b", "resume=x"], ["objective_metric=a", "resume=x"], ""),
    ],
)
def test_only_what_varies_and_the_seed(typed, job, name):
    whole = name if name.startswith("sigmoid") else ",".join(filter(None, ["sigmoid+se", name]))
    assert named(typed, job) == [whole]


def test_what_the_sweeper_was_given_is_constant_or_varies():
    params = {"optimizer.lr": "0.1,1", "epochs": 3}
    job = ["optimizer.lr=0.1", "epochs=3"]
    assert named([], job, params=params) == ["sigmoid+se,lr=0.1"]


@pytest.mark.parametrize(
    ("pair", "line", "name"),
    [
        ("Arctan+matching", "head._target_=my.Arctan", "Arctan+matching"),
        ("Arctan+matching", "head=arctan", "Arctan+matching"),
        ("Arctan+matching", "head=arctan_wide", "Arctan+matching,head=arctan_wide"),
        ("clipped_linear+gce", "loss=gce_07", "clipped_linear+gce,loss=gce_07"),
        ("clipped_linear+gce", "loss=gce", "clipped_linear+gce"),
        # another name of what has no options
        ("softmax+ce", "loss=cross_entropy", "softmax+ce"),
        ("clipped_linear+se", "head=mine", "clipped_linear+se"),
        # of mlr's own under a user's class name, and the other way round
        ("sigmoid+se", "head._target_=mlr.heads.Sigmoid", "sigmoid+se"),
        ("Sigmoid+se", "head._target_=my.Sigmoid", "Sigmoid+se"),
        ("sigmoid+se", "model=sigmoid", "sigmoid+se,model=sigmoid"),
    ],
)
def test_a_choice_that_the_pair_tells_is_not_told_twice(pair, line, name):
    assert named([], [line], pair=pair) == [name]


def test_different_jobs_of_one_name_are_told_apart():
    jobs = [
        ["head._target_=a.Arctan"],
        ["head._target_=b.Arctan"],
        ["data.label=Y"],
        ["data.label=y"],
        ["a.x=1"],
        ["b.x=1"],
    ]
    names = RunNames([], {}, None)
    first = [names("Arctan+se", job) for job in jobs]
    assert first[0::2] == ["Arctan+se", "Arctan+se,label=Y", "Arctan+se,x=1"]
    assert [len(name.rpartition("-")[2]) for name in first[1::2]] == [12] * 3
    assert len({name.casefold() for name in first}) == len(jobs)
    assert [names("Arctan+se", job) for job in reversed(jobs)] == first[::-1]


def test_the_order_of_keys_makes_no_other_name():
    typed = ["seed=0,1", "optimizer.lr=1,2"]
    one, other = named(typed, ["seed=0", "optimizer.lr=1"], ["optimizer.lr=1", "seed=0"])
    assert one == other == "sigmoid+se,lr=1,seed=0"


def test_a_resumed_sweep_names_what_is_new_in_it(tmp_path):
    made(tmp_path / "sigmoid+se", "loss=se", "optimizer.lr=0.1")
    made(tmp_path / "sigmoid+bce", "loss=bce", "optimizer.lr=0.1")
    same, other, more = ["optimizer.lr=0.1"], ["optimizer.lr=1"], ["optimizer.lr=0.1", "epochs=3"]
    jobs = [["loss=se", *same], ["loss=se", *other], ["loss=se", *more]]
    for typed, job, name in zip(
        (same, other, more),
        jobs,
        ("sigmoid+se", "sigmoid+se,lr=1", "sigmoid+se,epochs=3"),
        strict=True,
    ):
        assert named(["loss=se,bce", *typed], job, resumed=tmp_path) == [name]


def test_a_name_that_another_run_has_is_not_taken_from_it(tmp_path):
    made(tmp_path / "sigmoid+se,lr=1", "loss=se", "optimizer.lr=1", "epochs=3")
    (name,) = named(["optimizer.lr=1,2"], ["loss=se", "optimizer.lr=1"], resumed=tmp_path)
    assert name.startswith("sigmoid+se,lr=1")
    assert name not in ("sigmoid+se,lr=1", "sigmoid+se")


def test_of_a_run_that_says_nothing_nothing_is_known(tmp_path):
    made(tmp_path / "sigmoid+se,seed=0", "epochs=1", "seed=0")
    (tmp_path / "sigmoid+se,seed=1").mkdir()
    (tmp_path / "sigmoid+se,seed=1" / "status.json").write_text("{")
    typed = ["epochs=1", "seed=0,1"]
    jobs = [["epochs=1", f"seed={seed}"] for seed in (0, 1)]
    assert named(typed, *jobs, resumed=tmp_path) == ["sigmoid+se,seed=0", "sigmoid+se,seed=1"]


def test_later_batches_may_vary_more():
    """As a sweeper with a search space of its own does."""
    sweep = sweep_of("optimizer.lr=interval(0.1,1)", "epochs=3")
    first = sweep.cheap(["optimizer.lr=0.1", "epochs=3"], ["optimizer.lr=0.2", "epochs=3"])
    later = sweep.cheap(["optimizer.lr=0.1", "epochs=3", "batch_size=8"], first=2)
    assert [job.folder.name for job in [*first, *later]] == [
        "softmax+ce,lr=0.1",
        "softmax+ce,lr=0.2",
        "softmax+ce,lr=0.1,batch_size=8",
    ]


def test_an_experiment_tells_the_pair():
    sweep = sweep_of("experiment=neuron,clipped", "loss=se,bce")
    lists = [
        [f"experiment={one}", f"loss={loss}"] for one in ("neuron", "clipped") for loss in ("se",)
    ]
    assert [job.folder.name for job in sweep.cheap(*lists)] == [
        "sigmoid+se,experiment=neuron",
        "clipped_linear+se,experiment=clipped",
    ]


def test_an_own_class_is_the_name(tmp_path):
    sweep = sweep_of("head._target_=my_parts.Arctan", "loss=matching", "seed=0,1")
    line = ["head._target_=my_parts.Arctan", "loss=matching", "seed=0"]
    assert sweep.cheap(line)[0].folder.name == "Arctan+matching,seed=0"


OWN = """
from mlr.heads import Sigmoid

class {name}(Sigmoid):
    name = "another"
"""


def test_a_run_alone_is_named_by_its_users_class_everywhere(train, tmp_path):
    (tmp_path / "own_head_alone.py").write_text(OWN.format(name="Steep"))
    line = ("head._target_=own_head_alone.Steep", "loss=se", "allow_targets=[own_head_alone]")
    finished = train(*FAST, *line)
    assert finished.code == 0
    (run,) = finished.runs
    assert re.fullmatch(r"\d\d-\d\d-\d\d-Steep\+se-[0-9a-f]{6}", run.name)
    assert finished.status()["pair"] == "Steep+se"
    assert "head=Steep loss=se" in finished.out
    assert hparams(run)["head"] == "Steep"


def test_in_a_sweep_too_refused_or_not(train, tmp_path):
    (tmp_path / "own_head_swept.py").write_text(OWN.format(name="Flat"))
    line = ("head._target_=own_head_swept.Flat,mlr.heads.Sigmoid", "loss=se,ce")
    finished = train("-m", *FAST, "data.classes=3", *line, "allow_targets=[own_head_swept]")
    assert {(row["run"], row["status"]) for row in rows(finished)} == {
        *(("Flat+se", "done"), ("Flat+ce", "refused")),
        *(("sigmoid+se", "done"), ("sigmoid+ce", "refused")),
    }
    assert {run.name for run in finished.runs} == {"Flat+se", "sigmoid+se"}
    refused = finished.out.partition("refused")[2].splitlines()
    assert {line.split()[0] for line in refused if "loss=ce" in line} == {"Flat+ce", "sigmoid+ce"}


def hparams(run: Path) -> dict[str, object]:
    found = accumulate(run).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    data = plugin_data_pb2.HParamsPluginData.FromString(found)
    return {key: value.string_value for key, value in data.session_start_info.hparams.items()}


def test_an_interpolation_is_a_value_as_any(tmp_path):
    sweep = sweep_of("seed=1,2", "data=blobs", "data.seed=${seed}")
    (job,) = sweep.cheap(["seed=1", "data=blobs", "data.seed=${seed}"])
    assert job.folder.name == "softmax+ce,seed=1"
    assert job.config["data"]["seed"] == 1


def test_both_launchers_and_all_batches_name_alike(train):
    line = (*FAST, "head=linear,sigmoid", "loss=se", "optimizer.lr=0.1,1", "seed=0")
    expected = {
        f"{head}+se,lr={lr},seed=0"
        for head, lr in itertools.product(("linear", "sigmoid"), (0.1, 1))
    }
    for more in (["hydra.sweeper.max_batch_size=3"], ["hydra/launcher=basic"]):
        where = f"hydra.sweep.dir={more[0].rpartition('=')[2]}"
        finished = train("-m", *line, *more, where)
        assert finished.code == 0
        folder = finished.folder / where.partition("=")[2]
        assert {run.parent.name for run in folder.glob("*/status.json")} == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "losses"),
    [("batched", ("se", "bce")), ("basic", ("se",))],
    ids=["batched", "basic"],
)
def test_a_sweep_that_grows_leaves_its_runs_where_they_are(train, tmp_path, launcher, losses):
    place = tmp_path / "grown"
    line = ("-m", f"hydra/launcher={launcher}", *FAST, f"loss={','.join(losses)}")
    first = (*line, "optimizer.lr=0.1", "seed=0")
    assert train(*first, f"hydra.sweep.dir={place}").code == 0
    before = {f"softmax+{loss},seed=0" for loss in losses}
    assert {run.parent.name for run in place.glob("*/status.json")} == before
    other = (*line, "optimizer.lr=1", "seed=0")  # what was the same for all is so no more
    assert train(*other, f"sweep.resume={place}").code == 0
    both = before | {f"softmax+{loss},lr=1,seed=0" for loss in losses}
    assert {run.parent.name for run in place.glob("*/status.json")} == both
    more = (*line, "seed=1,0", "optimizer.lr=1,0.1")
    finished = train(*more, f"sweep.resume={place}")
    assert finished.code == 0
    names = {run.parent.name for run in place.glob("*/status.json")}
    new = {
        f"softmax+{loss},lr={lr},seed={seed}"
        for loss, lr, seed in itertools.product(losses, ("0.1", "1"), (0, 1))
        if (lr, seed) != ("0.1", 0)
    }
    assert names == before | new
    table = {row["run"]: row for row in rows(finished)}
    assert set(table) == names
    for name in before:
        assert (table[name]["optimizer.lr"], table[name]["seed"]) == ("0.1", "0")
