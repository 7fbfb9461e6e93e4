"""A single run that an error ends: its exit code, its status, and what is printed."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mlr.core.checks import DataError
from mlr.core.durable import WriteError
from mlr.core.locks import hold
from mlr.records.run_folder import LOCK
from tests.app.sweeping import FAST, trained  # noqa: F401

ERRORS = {
    RuntimeError("boom"): (1, "RuntimeError: boom", True),
    MemoryError(): (74, "out of memory", False),
    RuntimeError("you tried to allocate 16 bytes. Cannot allocate memory"): (74, "16 bytes", False),
    DataError("the targets are damaged."): (3, "the targets are damaged.", False),
    WriteError(Path("it"), OSError(5, "Input/output error")): (74, "it: Input/output error", False),
}


@pytest.mark.parametrize(("error", "expected"), ERRORS.items(), ids=str)
def test_an_error_of_a_training(train, trained, error, expected):  # noqa: F811
    code, reason, traceback = expected
    trained.wrong = lambda seeds: error
    finished = train(*FAST, "hydra.run.dir=mine")
    assert finished.code == code
    assert finished.status()["status"] == "failed"
    assert reason in finished.status()["reason"]
    assert reason in finished.err
    assert finished.err.count("Traceback") == traceback
    assert len(finished.err.strip().splitlines()) == 1 or traceback
    assert trained.batches == [[0]]
    resumed = train("resume=mine")
    assert (resumed.code, resumed.status()["status"]) == (code, "failed")


def test_what_was_interrupted_says_so_and_is_not_locked(train, trained):  # noqa: F811
    trained.wrong = lambda seeds: KeyboardInterrupt()
    finished = train(*FAST, "hydra.run.dir=mine")
    assert finished.code == 130
    assert finished.status()["status"] == "interrupted"
    assert "interrupted; what was recorded until then is saved in " in finished.err
    trained.wrong = lambda seeds: None
    assert train("resume=mine").code == 0


def test_a_run_that_had_ended_a_moment_before_a_signal_stays_done(train, monkeypatch):
    from mlr.app.run import lifecycle

    finish_all = lifecycle.finish_all

    def interrupted(*arguments, **options):
        finish_all(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(lifecycle, "finish_all", interrupted)
    finished = train(*FAST, "hydra.run.dir=mine")
    assert (finished.code, finished.status()["status"]) == (130, "done")


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signal")
def test_a_signal_that_an_import_hides_still_ends_the_command(train, monkeypatch):
    from mlr.app.config.run_spec import RunSpec

    def build(spec):
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        raise AttributeError("module 'numpy' has no attribute 'matrix'")

    monkeypatch.setattr(RunSpec, "build", build)
    finished = train(*FAST)
    assert (finished.code, finished.err) == (143, "mlr: interrupted\n")


def test_a_part_that_cannot_be_built_leaves_no_folder(train, tmp_path):
    (tmp_path / "broken.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self): raise ZeroDivisionError('boom')\n"
    )
    line = ("model=custom", "model._target_=broken.Net", "allow_targets=[broken]")
    finished = train(*FAST, *line, "hydra.run.dir=mine")
    assert (finished.code, finished.err.count("Traceback")) == (1, 1)
    assert "ZeroDivisionError: boom" in finished.err
    assert not (tmp_path / "mine").exists()


def test_a_finished_run_of_a_sweep_has_a_checkpoint_to_go_on_from(train, tmp_path):
    from mlr.app.run.resume import newest

    assert train(*FAST, "hydra.run.dir=alone").code == 0
    assert train("-m", *FAST, "seed=0,1", "hydra.sweep.dir=sweep").code == 0
    alone, swept = (newest(next(tmp_path.glob(one)), {}) for one in ("alone", "sweep/*seed=0"))
    assert swept.about.keys() == alone.about.keys()
    assert swept.about["config"] == alone.about["config"]
    assert swept.state.step == alone.state.step
    for name, tensor in alone.state.state_dict.items():
        assert (swept.state.state_dict[name] == tensor).all()


def test_a_new_run_is_locked_while_it_is_trained(train, trained, tmp_path):  # noqa: F811
    locked = []

    def attempt(seeds):
        with pytest.raises(BlockingIOError):
            hold(tmp_path / "mine" / LOCK, "another process")
        locked.append(seeds)
        return RuntimeError("enough")

    trained.wrong = attempt
    train(*FAST, "hydra.run.dir=mine")
    assert locked == [[0]]
    os.close(hold(tmp_path / "mine" / LOCK, "the next"))
