"""Data pass the policy; code for Hydra to call comes from no file."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest
import yaml
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser

from mlr.app.config import config_policy
from mlr.app.config.config_policy import check_file, check_overrides
from mlr.core.checks import InputError


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("+hydra.callbacks.x='${head.x}'", "must be a plain value"),
        ("hydra={launcher: {y: '${head.x}'}}", "must be a plain value"),
        ("+head@hydra.callbacks.x=evil", "moves a file into hydra"),
        ("hydra.output_subdir=.x", "must be null"),
    ],
)
def test_code_of_a_file_is_not_reached_by_what_is_typed(line, why):
    with pytest.raises(InputError, match=why):
        check_overrides(OverridesParser.create().parse_overrides([line]))


@pytest.mark.parametrize(
    "text",
    [
        "seed: 3\nmodel: {widths: [3]}\n",
        "optimizer: {lr: '${data.seed}'}\n",
        "defaults: [{override /head: sigmoid}, {override hydra/sweeper: optuna}]\n",
        "hydra: {sweeper: {params: {seed: '0,1'}, n_trials: 3}}\n",
        "resume: null\nsweep: {max_runs_per_batch: 3}\n",
    ],
)
def test_a_file_of_data_is_loaded(text):
    check_file(Path("experiment/mine.yaml"), "experiment/mine", "_global_", yaml.safe_load(text))


@pytest.mark.parametrize(
    ("line", "composed"),
    [
        ("head=sigmoid loss=se seed=3", False),
        ("-m hydra.sweep.dir=x hydra.run.dir=y seed=1,2", False),
        ("hydra.mode=MULTIRUN", True),
        ("hydra={mode: MULTIRUN}", True),
        ("hydra/sweeper=optuna", True),
        ("hydra.searchpath=[file://conf]", True),
        ("head@hydra=sigmoid", True),
        ("--config-name mine", True),
        ("--config-dir conf", True),
        ("--config-path conf", True),
    ],
)
def test_hydra_composes_for_its_mode_only_where_something_may_set_it(monkeypatch, line, composed):
    words = line.split() if not line.startswith("hydra={") else [line]
    flags = get_args_parser().parse_args(words)
    monkeypatch.setattr(config_policy, "check_overrides", lambda overrides: None)
    monkeypatch.setattr(Hydra, "get_mode", lambda *_, **__: "composed", raising=False)
    with config_policy.guarded(flags):
        assert Hydra.get_mode(None, "train", []) == ("composed" if composed else None)
    assert Hydra.get_mode(None, "train", []) == "composed"


@pytest.mark.parametrize("name", ["train.yaml", "experiment/mine.yaml"])
def test_a_mode_in_mlrs_own_files_counts(monkeypatch, tmp_path, name):
    copytree(config_policy.CONFIGS, tmp_path / "configs")
    monkeypatch.setattr(config_policy, "CONFIGS", tmp_path / "configs")
    monkeypatch.setattr(Hydra, "get_mode", lambda *_, **__: "composed", raising=False)
    flags = get_args_parser().parse_args(["seed=1"])
    with config_policy.guarded(flags):
        assert Hydra.get_mode() is None
    with (tmp_path / "configs" / name).open("a") as file:
        file.write("\nhydra: {mode: MULTIRUN}\n")
    with config_policy.guarded(flags):
        assert Hydra.get_mode() == "composed"
