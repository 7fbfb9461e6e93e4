"""Ends of a watched loop: how a `with` block records them, and where a person is pointed to."""

from __future__ import annotations

import pytest
import torch

from mlr import GradientProbe
from mlr.core import commandline, console
from mlr.records.reading import read_runs
from tests.loop.loops import batches, module, table, train


def begun(folder):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, optimizer, GradientProbe(model, optimizer, folder)


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("on purpose"), "failed", "ValueError: on purpose"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (SystemExit(3), "interrupted", "SystemExit: 3"),
        (SystemExit(), "done", None),
    ],
    ids=["error", "ctrl-c", "exit 3", "exit"],
)
def test_a_with_block_records_how_it_was_left(tmp_path, error, status, reason):
    model, optimizer, probe = begun(tmp_path / "run")

    def left():
        with probe as entered:
            assert entered is probe
            train(model, optimizer, probe, data=batches(3))
            raise error

    with pytest.raises(type(error)) as raised:
        left()
    assert raised.value is error
    (run,) = read_runs(tmp_path / "run")
    assert (run.status, run.entries.get("reason")) == (status, reason)
    assert [row["step"] for row in table(tmp_path / "run")] == [0, 1, 2]
    assert run.entries["program"]["updates"] == 3
    assert not optimizer._optimizer_step_pre_hooks


def test_a_with_block_that_is_left_early_is_done(tmp_path):
    model, optimizer, probe = begun(tmp_path / "run")
    for _ in "once":
        with probe:
            train(model, optimizer, probe, data=batches(2))
            break
    assert read_runs(tmp_path / "run")[0].status == "done"


@pytest.mark.parametrize("read", [True, False])
def test_a_person_is_told_where_to_look(tmp_path, monkeypatch, capsys, read):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "is_watched", lambda: read)
    model, optimizer, probe = begun("runs/mine")
    train(model, optimizer, probe, data=batches(2))
    probe.close()
    probe.close()
    said = "mlr: recorded in runs/mine; its faults: mlr explain runs/mine\n"
    assert capsys.readouterr() == ("", said if read else "")


def test_in_a_checkout_the_command_is_its_script(tmp_path, monkeypatch):
    monkeypatch.chdir(commandline.SCRIPTS.parent)
    assert commandline.from_anywhere("explain", "a b") == "python scripts/explain.py 'a b'"
    monkeypatch.chdir(tmp_path)
    assert commandline.from_anywhere("explain", "a b") == "mlr explain 'a b'"
