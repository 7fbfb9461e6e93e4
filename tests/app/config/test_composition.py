"""Cheap composition equals Hydra's: values, types, folders, texts, errors."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mlr.app.cli.command import CONFIGS
from mlr.app.config.composition_cache import CachedLoader, _parse
from mlr.app.config.config_errors import one_sentence
from mlr.app.sweep.launch import RUN_NAME
from mlr.core.checks import InputError
from tests.app.composing import sweep_of
from tests.looping import looped

GROUPS = {
    folder.name: sorted(path.stem for path in folder.glob("*.yaml"))
    for folder in sorted(CONFIGS.iterdir())
    if folder.is_dir() and folder.name != "__pycache__"
}
EXPERIMENTS = GROUPS.pop("experiment")  # these choose of the others
ROOT = OmegaConf.to_container(OmegaConf.load(CONFIGS / "train.yaml"))
ROOT_SCALARS = [
    key for key, value in ROOT.items() if key != "defaults" and not isinstance(value, (dict, list))
]

VALUES = [
    "1e-3", ".5", "1E3", "-0.0", "nan", "-inf", "0x10", "1_000", "true", "null", "'0.1'", "yes",
    "''", "' spaced '", "'a=b,c'", "'# no comment: but'", '"it\'s \\"quoted\\""', "'- dash'",
    "'2024-01-01'", "'~'", "'é🙂\u2028'", "'two\nlines'", "'" + "long words " * 12 + "'", "x" * 200,
]  # fmt: skip

ADVERSARIAL = [
    ["seed=1_000", "patience=null"],
    ["seed='3'"],
    ["optimizer.lr='\\${seed}'"],
    ["data=blobs", "data.seed=null"],
    ["data=blobs", "data.seed=${seed}", "seed=4"],
    ["data=blobs", "seed=4", "data.seed=${seed}"],
    ["data=blobs", "data={n: 50, seed: '${seed}'}", "seed=4"],
    ["model=mlp", "model.widths=[64,32]", "seed=1"],
    ["model=mlp", "model.widths=[]"],
    ["model={init: he}", "model.init=torch"],
    ["model.init=torch", "model={init: he}"],
    ["optimizer={lr: 3, momentum: 0.9}"],
    ["+model.width=64", "model.init=he"],
    ["+extra=3", "seed=1"],
    ["+extra={a: {b: 1}}", "seed=1"],
    ["++seed=3", "epochs=2"],
    ["experiment=neuron", "experiment=xor"],
    ["~data.label_noise", "seed=2"],
    ["~schedule", "seed=2"],
    ["seed=1", "seed=2"],
    ["seed=2", "~seed"],
    ["allow_targets=[mine]", "seed=2"],
    ["steps=7", "max_grad_norm=1", "objective.strict=false"],
    ["objective.strict=1"],
    ["epochs=???"],
    ["+probes@model.second=off", "seed=3", "probes.points=2"],
    ["experiment=neuron", "loss=bce", "optimizer.lr=0.3", "probes.points=3"],
    ["optimizer.lr=${optimizer.momentum}", "optimizer.momentum=0.25"],
    ["hydra.job.name=other", "seed=3"],
    ["hydra.sweep.subdir=${seed}_${hydra.job.num}", "seed=3"],
    ["hydra.job.config.override_dirname.exclude_keys=[seed]", "seed=3", "epochs=2"],
    [],
]

WRONG = [
    ["seed=many"],
    ["sed=1"],
    ["optimizer.rate=0.1"],
    ["head=sigmiod"],
    ["heads=sigmoid"],
    ["seed=1", "epochs=x", "head=sigmiod"],
    ["+seed=3"],
    ["~nothing"],
    ["seed=1,2"],
    ["optimizer.lr=a b: {"],
    ["objective=3"],
    ["hydra.nothing=3"],
]
ALSO_WRONG = [
    ["seed=1.5"],
    ["seed=null"],
    ["seed=[1]"],
    ["optimizer.lr.deeper=1"],
    ["head=null", "head.x=3"],
    ["model.widths=[1]", "seed=2"],
    ["objective.strict=perhaps"],
    ["head@loss=sigmoid", "seed=2"],
    ["+probes@second=off", "seed=3"],
]
"""Refused in the same ways as those above."""


POOL = """
seed=3 seed=x epochs=2 optimizer.lr=0.1 optimizer.lr=1e-3 optimizer.lr=${optimizer.momentum}
optimizer.momentum=0.3 optimizer={lr:2} optimizer=adam optimizer.beta1=0.3 ~optimizer.momentum
+optimizer.extra=${seed} data=blobs data=moons data.seed=${seed} data.seed=5 data.noise=0.1
data={noise:3,seed:'${seed}'} ++data.n=${epochs} model=mlp model.widths=[3,4] model.widths=7
model.init=he +model.y={a:1,b:[1,2]} +model.y.c=3 model.y.a=4 experiment=neuron experiment=xor
objective.strict=false objective={strict:false} sweep.resume=null sweep.max_runs_per_batch=3
allow_targets=[a,b] allow_targets=[] dtype='float64' device=cpu ~schedule schedule=cosine
schedule.final_factor=.5 probes=off probes.points=9 +probes@model.p=off model.p.points=3
batch_size=${epochs} hydra.job.name=z head=sigmoid loss=se loss={a:1} +loss.a=3
model.bias='a:b' model.bias=null patience=null objective_metric=accuracy/val
""".split()  # noqa: SIM905


@pytest.fixture(scope="module", autouse=True)
def elsewhere(tmp_path_factory):
    """A folder to stand in, as the sweep's is made."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("sweep"))
    yield
    os.chdir(before)


@pytest.fixture(scope="module")
def sweep(elsewhere):
    return sweep_of()


def check(sweep, overrides, number):
    try:
        stock = sweep.stock(overrides, number)
    except Exception as error:
        same_error(sweep, overrides, error)
        return
    (job,) = sweep.cheap(overrides, first=number)
    assert repr(job.config) == repr(stock.config)  # tells 1 from 1.0, and the order of keys
    assert job.folder == stock.folder
    assert job.number == number
    same_files(job.files, stock.files)
    tree = sweep.cached.tree(sweep.cached.compose(overrides))
    assert OmegaConf.to_yaml(tree) == OmegaConf.to_yaml(stock.tree)
    sweep.cached.load_sweep_config(sweep.master, overrides)  # as a sweeper asks for it


def same_files(files, others):
    """Compare what OmegaConf reads; YAML has several ways to write a text."""
    assert list(files) == list(others)
    for name, text in files.items():
        if text == others[name]:
            continue  # read alike too, at a tenth of what composing takes
        found, other = (
            OmegaConf.to_container(OmegaConf.create(one)) for one in (text, others[name])
        )
        assert repr(found) == repr(other)


def same_error(sweep, overrides, error):
    with pytest.raises(Exception) as cheap:  # noqa: PT011
        sweep.cheap(overrides)
    if isinstance(cheap.value, InputError):  # an interpolation that leads nowhere, told of at once
        assert str(cheap.value) == f"{one_sentence(error)}."
        return
    assert type(cheap.value) is type(error)
    assert str(cheap.value) == str(error)
    assert one_sentence(cheap.value) == one_sentence(error)


@pytest.mark.parametrize("row", range(max(len(names) for names in GROUPS.values())))
def test_every_choice_of_every_group(sweep, row):
    """One of each group at a time."""
    chosen = [f"{group}={names[row % len(names)]}" for group, names in GROUPS.items()]
    check(sweep, [*chosen, "seed=3", "batch_size=7"], 5)


def ends_and_others(values):
    """Mark all but the first and the last as slow."""
    return [
        value if value in (values[0], values[-1]) else pytest.param(value, marks=pytest.mark.slow)
        for value in values
    ]


@pytest.mark.parametrize("experiment", ends_and_others(EXPERIMENTS))
def test_every_experiment(sweep, experiment):
    check(sweep, [f"experiment={experiment}", "seed=3", "batch_size=7"], 5)


@pytest.mark.parametrize("key", ends_and_others(ROOT_SCALARS))
def test_every_root_scalar(sweep, key):
    check(sweep, ["loss=se", f"{key}=x"], 0)


def test_all_root_scalars_at_once(sweep):
    overrides = [f"{key}=2" for key in ROOT_SCALARS]
    assert sweep.stock(overrides).config["seed"] == 2
    check(sweep, overrides, 0)


@pytest.mark.parametrize("first", range(0, len(VALUES), 6))
def test_unusual_values(sweep, first):
    keys = (
        *("optimizer.lr", "optimizer.momentum", "optimizer.weight_decay"),
        *("probes.points", "probes.figures", "probes.threshold"),
    )
    overrides = [f"{key}={value}" for key, value in zip(keys, VALUES[first:], strict=False)]
    assert len(sweep.stock(overrides).config["optimizer"]) > 3
    check(sweep, overrides, 11)


@pytest.mark.parametrize("overrides", ADVERSARIAL, ids=" ".join)
def test_unusual_overrides(sweep, overrides):
    check(sweep, overrides, 11)


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 10))]
)
def test_random_overrides(sweep, seed):
    rng = random.Random(seed)
    for number in range(15):
        check(sweep, rng.sample(POOL, rng.randint(1, 6)), number)


@pytest.mark.parametrize(
    "overrides",
    [*WRONG, *(pytest.param(one, marks=pytest.mark.slow) for one in ALSO_WRONG)],
    ids=" ".join,
)
def test_errors_are_hydras(sweep, overrides):
    with pytest.raises(Exception) as stock:  # noqa: PT011
        sweep.stock(overrides)
    same_error(sweep, overrides, stock.value)


def test_a_typical_sweep(sweep):
    lists = [
        [f"head={head}", "loss=se", f"optimizer.lr={lr}", f"seed={seed}"]
        for head in ("sigmoid", "linear")
        for lr, seed in (("0.01", 0), ("1e-05", 1), ("1", 0))
    ]
    jobs = sweep.cheap(*lists)
    for job, overrides in zip(jobs[::2], lists[::2], strict=True):
        stock = sweep.stock(overrides, job.number)
        assert repr(job.config) == repr(stock.config)
        assert job.folder == stock.folder
        same_files(job.files, stock.files)


@pytest.mark.parametrize(
    "hydra_overrides",
    [
        ["hydra.sweep.subdir=${hydra.job.num}"],
        ["hydra.sweep.subdir=${hydra.job.override_dirname}"],
        ["hydra.sweep.subdir=${hydra:job.num}-${optimizer.lr}-${run_name:}"],
        ["hydra.sweep.dir='my runs/of é'", "hydra.sweep.subdir=deep/../${hydra.job.num}"],
        ["hydra.job.config.override_dirname.kv_sep=-"],
    ],
    ids=" ".join,
)
@pytest.mark.filterwarnings("ignore:hydra.job.override_dirname is deprecated")
def test_other_folders(hydra_overrides):
    sweep = sweep_of(*hydra_overrides)
    check(sweep, ["loss=se", "optimizer.lr=0.3", "seed=12"], 12)


def test_groups_of_another_folder(tmp_path):
    """A group that comes with hydra.searchpath is one, though a value has its name."""
    (tmp_path / "more" / "device").mkdir(parents=True)
    (tmp_path / "more" / "device" / "cpu.yaml").write_text("# @package _global_\nseed: 7\n")
    sweep = sweep_of(f"hydra.searchpath=[{tmp_path / 'more'}]")
    check(sweep, ["+device=cpu", "epochs=2"], 0)
    check(sweep, ["device=cpu", "epochs=2"], 0)  # no such default: Hydra's error


def test_jobs_share_no_containers(sweep):
    one, other = sweep.cheap(["seed=1"], ["seed=2"])
    one.config["optimizer"]["lr"] = "changed"
    one.config["allow_targets"].append("changed")
    assert other.config["optimizer"]["lr"] == 0.5
    assert other.config["allow_targets"] == []
    again = sweep.cheap(["seed=1"])
    assert again[0].config["allow_targets"] == []


def test_few_compositions(sweep, monkeypatch):
    composed = []
    stock = sweep.loader.load_sweep_config

    def counted(master, overrides):
        composed.append(overrides)
        return stock(master, overrides)

    monkeypatch.setattr(sweep.loader, "load_sweep_config", counted)
    sweep.launch.loader = CachedLoader(sweep.loader, sweep.master)
    jobs = [[f"head={head}", f"seed={seed}"] for head in ("sigmoid", "linear") for seed in range(9)]
    sweep.cheap(*jobs)
    assert composed == [["head=sigmoid"], ["head=linear"]]


def test_the_name_of_runs_is_known_without_parsing(sweep):
    raw = OmegaConf.to_container(sweep.master.hydra.sweep, resolve=False)
    assert raw["subdir"] == RUN_NAME


def test_hydras_configuration_is_left_as_it_was(sweep):
    before = HydraConfig.instance().cfg
    sweep.cheap(["data=blobs", "data.seed=${seed}"])
    assert HydraConfig.instance().cfg is before


KEYS = ("seed", "data.n", "model.hidden_units", "a_1.b2", "null", "true.n", "nan")
NUMBERS = (
    "0",
    "7",
    "03",
    "1250",
    "-4",
    "1_0",
    "9007199254740993",
    "9" * 18,
    "9" * 30,
    "9" * 5000,
    "1e3",
    "1.0",
    " 3",
    "٣",
)
LINES = (*(f"{key}={value}" for key in KEYS for value in NUMBERS), "+seed=1", "seed=1,2", "a/b=3")


@looped("line", LINES)
def test_whole_numbers_are_parsed_as_hydra_does(line):
    try:
        (expected,) = OverridesParser.create().parse_overrides([line])
    except Exception as error:
        with pytest.raises(type(error)):
            _parse(line)
        return
    found = _parse(line)
    assert found == expected
    assert repr(found.value()) == repr(expected.value())
    assert found.get_key_element() == expected.get_key_element()
