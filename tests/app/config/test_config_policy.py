"""Data pass the policy; code for Hydra to call comes from no file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

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
