from __future__ import annotations

import json

from mlr.analysis.ranking import UNKNOWN, by_data
from mlr.records.reading import read_runs
from tests.records.written import write_run


def labels(folder) -> dict[str, list[str]]:
    return {data: [run.name for run in own] for data, own in by_data(read_runs(folder)).items()}


def add(folder, name: str, target: str, *overrides: str, choice: str = "", **options) -> None:
    config = json.dumps({"data": {"_target_": f"mlr.data.{target}", **options}})
    choices = f"data: {choice or target.lower()}"
    write_run(folder / name, overrides=overrides, config=config, choices=choices)


def test_data_have_the_name_that_was_chosen_also_by_an_experiment(tmp_path):
    add(tmp_path, "a", "Digits")
    add(tmp_path, "b", "Neuron", "experiment=clipped")
    add(tmp_path, "c", "Neuron", "experiment=neuron")
    assert labels(tmp_path) == {"digits": ["a"], "neuron": ["b", "c"]}


def test_options_make_other_data_but_for_seeds_places_and_scales(tmp_path):
    for name, options in (
        ("a", {"label_noise": 0.0, "seed": 1}),
        ("b", {"label_noise": 0, "seed": 2, "split_seed": 3, "scale": "none", "root": "x"}),
        ("c", {"label_noise": 0.2, "seed": 1}),
    ):
        add(tmp_path, name, "Digits", f"experiment={name}", **options)
    assert labels(tmp_path) == {"digits label_noise=0": ["a", "b"], "digits label_noise=0.2": ["c"]}


def test_what_was_typed_tells_where_no_configuration_is_left(tmp_path):
    write_run(tmp_path / "a", overrides=["data=mnist", "data.train_size=10"])
    write_run(tmp_path / "b", overrides=["data=mnist", "data.train_size=20"])
    write_run(tmp_path / "c")
    assert labels(tmp_path) == {
        "mnist train_size=10": ["a"],
        "mnist train_size=20": ["b"],
        UNKNOWN: ["c"],
    }


def test_an_option_that_is_not_set_is_written_as_it_is_typed(tmp_path):
    add(tmp_path, "a", "Mnist", train_size=None)
    add(tmp_path, "b", "Mnist", "data.train_size=2000", train_size=2000)
    assert labels(tmp_path) == {"mnist train_size=null": ["a"], "mnist train_size=2000": ["b"]}


def test_configurations_of_one_sweep_are_read_once(tmp_path, monkeypatch):
    from mlr.records import reading

    for seed in range(20):
        add(tmp_path, f"seed={seed}", "Digits", f"seed={seed}", "optimizer.lr=1", "head=sigmoid")
    read: list[object] = []
    original = reading.read_yaml
    monkeypatch.setattr(reading, "read_yaml", lambda path: read.append(path) or original(path))
    assert len(labels(tmp_path)["digits"]) == 20
    assert len(read) == 2  # config.yaml and hydra.yaml of the first run
