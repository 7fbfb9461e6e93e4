"""Any value at any place of a configuration: it is judged in a sentence, and nothing is left."""

from __future__ import annotations

import copy
import io
import os
import random
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mlr.app.cli.command import VERSION_BASE, main
from mlr.app.config.output_paths import CONFIGS
from mlr.app.config.run_spec import RunSpec, make_run_spec
from mlr.app.config.schema import register_schema
from mlr.app.sweep.resolvers import register_resolvers
from mlr.core.checks import InputError
from mlr.core.console import LONGEST, shortened
from mlr.core.text import is_unseen, printable

SEED = int(os.environ.get("MLR_FUZZ_SEED", "6"))
SECONDS = 5.0
GROUPS = ("head", "loss", "model", "data", "optimizer", "schedule", "probes")
CHOICES = {
    group: sorted(path.stem for path in (CONFIGS / group).glob("*.yaml")) for group in GROUPS
}
NUMBERS = [
    *(0, -1, 1, 2, 3, 10**6, 2**31, 2**63 - 1, 2**63, 2**64, -(2**70), 10**400),
    *(0.0, -0.0, 0.5, 1.0, 1.5, -0.1, 1e-300, 1e30, 1e308, float("nan"), float("inf")),
    *(float("-inf"), True, False, None),
]
WORDS = [
    *("", " ", "abc", "none", "0.1", "1e-3", "no", "???", "-1", "every:0", "every:x", "every:-1"),
    *("log_spaced:3", "../x", "a/b", "a\nb", "\x1b[31m", "\x00", "ü", "😀", "\udcff", "x" * 5000),
    *("${seed}", "${oc.env:HOME}", "${nope}", "${", "$", "%s", "{}", "[1", "a=b", "a,b", "'", '"'),
    *("torch.nn.Linear", "os.system", "mlr.heads.Sigmoid", ".", "..", "nan", "inf", "null"),
]


def anything(draw: random.Random, depth: int = 0) -> object:
    kind = draw.randrange(10 if depth < 3 else 6)
    if kind < 3:
        return draw.choice(NUMBERS)
    if kind < 6:
        return draw.choice(WORDS)
    if kind < 8:
        return [anything(draw, depth + 1) for _ in range(draw.randrange(4))]
    return {str(draw.choice(WORDS)): anything(draw, depth + 1) for _ in range(draw.randrange(3))}


def leaves(node: dict, path: tuple = ()) -> list[tuple]:
    found = [path] if path else []
    for key, value in node.items():
        found += leaves(value, (*path, key)) if isinstance(value, dict) else [(*path, key)]
    return found


def bases(draw: random.Random, count: int) -> list[dict]:
    """Configurations that other choices of the groups give."""
    register_schema()
    register_resolvers()
    found = []
    with initialize_config_dir(str(CONFIGS), job_name="train", **VERSION_BASE):
        for _ in range(count):
            lines = [f"{group}={draw.choice(names)}" for group, names in CHOICES.items()]
            found.append(OmegaConf.to_container(compose("train", lines), resolve=False))
    return found


def changed(draw: random.Random, base: dict) -> dict:
    config = copy.deepcopy(base)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        *above, last = draw.choice(leaves(config))
        node = config
        for key in above:
            node = node[key]
        if draw.random() < 0.1:
            last = draw.choice(WORDS)
        if draw.random() < 0.05:
            node.pop(last, None)
        else:
            node[last] = anything(draw)
    return config


def judge_values(seed: int, count: int, choices: int) -> None:
    draw = random.Random(seed)
    known = bases(draw, choices)
    for number in range(count):
        config = changed(draw, draw.choice(known))
        start = time.monotonic()
        try:
            make_run_spec(config)
        except InputError as error:
            line = shortened(printable(" ".join(f"mlr: {error}".split())))
            assert not any(map(is_unseen, line))
            assert 0 < len(line) <= LONGEST
        except Exception as error:
            raise AssertionError(f"seed {seed}, case {number}: {error!r} of {config}") from error
        assert time.monotonic() - start < SECONDS, f"seed {seed}, case {number}: {config}"


def override(draw: random.Random) -> str:
    group = draw.choice(GROUPS)
    keys = [
        *("seed", "epochs", "steps", "batch_size", "max_grad_norm", "patience", "dtype", "device"),
        *("optimizer.lr", "optimizer.momentum", "loss.gamma", "model.widths", "data.n", "probes.x"),
        *("objective.strict", "objective", "sweep.yes", "resume", "allow", "checkpoint.seconds"),
        *("allow_targets", "objective_metric", "learning_rate", "hydra.run.dir", "hydra.verbose"),
        *("hydra.job.name", "hydra.output_subdir", "hydra.launcher", "hydra.callbacks.x", "hydra"),
        *("hydra.sweep.subdir", "hydra.job_logging", "hydra.searchpath", "experiment", "head@x"),
        *(group, group, f"{group}._target_", f"{group}.x", str(draw.choice(WORDS))),
    ]
    key = draw.choice(["", "", "", "", "", "", "+", "++", "~"]) + draw.choice(keys)
    values = [
        str(draw.choice(NUMBERS)).lower(),
        str(draw.choice(WORDS)),
        str(anything(draw)),
        draw.choice(CHOICES[group]),
        repr(str(draw.choice(WORDS))),
    ]
    line = f"{key}={draw.choice(values)}" if draw.random() < 0.97 else key
    return line.replace("\x00", "0").lstrip("-") or "x"  # the system passes no NUL


def judge_lines(seed: int, count: int, folder, monkeypatch) -> None:
    draw = random.Random(seed)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(RunSpec, "build", judged)
    for number in range(count):
        lines = [override(draw) for _ in range(draw.choice((1, 1, 2, 3)))]
        told = f"seed {seed}, case {number}: {lines}"
        monkeypatch.setattr(sys, "argv", ["scripts/train.py", *lines])
        out, err = io.StringIO(), io.StringIO()
        start = time.monotonic()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = main()
        except Exception as error:
            raise AssertionError(told) from error
        assert time.monotonic() - start < SECONDS, told
        assert code in (2, 3), told
        (line,) = err.getvalue().splitlines()
        assert len(line) <= LONGEST, told
        assert not list(folder.iterdir()), told


def judged(spec, data=None):
    raise InputError("judged, and found good")


@pytest.mark.slow
def test_a_thousand_values_are_judged():
    judge_values(SEED, 1000, choices=6)


def test_a_few_lines_are_judged(tmp_path, monkeypatch):
    judge_lines(SEED, 12, tmp_path, monkeypatch)


@pytest.mark.faults
@pytest.mark.parametrize("part", range(4))
def test_many_values_are_judged(part):
    judge_values(SEED + 1 + part, 3000, choices=24)


@pytest.mark.faults
@pytest.mark.parametrize("part", range(4))
def test_many_lines_are_judged(part, tmp_path, monkeypatch):
    judge_lines(SEED + 1 + part, 100, tmp_path, monkeypatch)
