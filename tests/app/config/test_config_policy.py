"""Data pass the policy; code for Hydra to call needs `allow_targets` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser

from mlr.app.config.config_policy import check_file, check_overrides
from mlr.core.checks import InputError

CALLBACK = "+hydra.callbacks.x._target_=mine.Mark"


def check(*lines):
    check_overrides(OverridesParser.create().parse_overrides(list(lines)))


@pytest.mark.parametrize("names", ["[mine]", "[mine.Mark]", "[other],[mine]"])
def test_a_callback_that_is_allowed_may_be_typed(names):
    check(CALLBACK, f"allow_targets={names}")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (CALLBACK, r"add allow_targets=\[mine.Mark\]"),
        ("hydra={callbacks: {x: {_target_: mine.Mark}}}", "is not known to mlr"),
        ("+hydra.callbacks.x={y: [{_target_: mine.Mark}]}", "is not known to mlr"),
        ("hydra.launcher._target_=mine.Mark", "is not known to mlr"),
        ("hydra.sweeper.custom_search_space=mine.mark", "is not known to mlr"),
        ("+hydra.job_logging.handlers.h={class: mine.Mark}", "is not known to mlr"),
        ("+hydra.callbacks.x='${head.x}'", "must be a plain value"),
        ("+head@hydra.callbacks.x=evil", "moves a file into hydra"),
        ("hydra.output_subdir=.x", "must be null"),
    ],
)
def test_other_code_is_refused(line, why):
    with pytest.raises(InputError, match=why):
        check(line, "allow_targets=[mine.Mar,other]")


@pytest.mark.parametrize(
    "text",
    [
        "seed: 3\nmodel: {widths: [3]}\n",
        "optimizer: {lr: '${data.seed}'}\n",
        "defaults: [{override /head: sigmoid}, {override hydra/sweeper: optuna}]\n",
        "hydra: {sweeper: {params: {seed: '0,1'}, n_trials: 3}}\n",
        "hydra: {sweep: {subdir: '${seed}-${hydra.job.num}'}}\n",
        "resume: null\nsweep: {max_runs_per_batch: 3}\n",
    ],
)
def test_a_file_of_data_is_loaded(text):
    check_file(Path("experiment/mine.yaml"), "experiment/mine", "_global_", yaml.safe_load(text))
