from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mlr.app.trained.restored import restore, trained_again
from mlr.core.checks import InputError
from mlr.records.reading import read_runs
from tests.app.figures.by_numpy import logits, parameters
from tests.records.written import retell, write_run

PARTS = """
import torch
from torch import nn


class Shifted(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.linear = nn.Linear(2, outputs)
        self.register_buffer("shift", torch.ones(2))

    def forward(self, x):
        return self.linear(x + self.shift)
"""


@pytest.fixture
def xor(trained_before):
    return trained_before("xor", "experiment=xor", "steps=30", "model.widths=[8]")


def run_of(folder):
    (run,) = read_runs(folder)
    return run


def test_a_run_is_restored_as_it_ended(xor):
    last = restore(run_of(xor), []).last
    status = json.loads((xor / "status.json").read_text())
    assert last.step == status["steps"] == 30
    for name, own in parameters(xor).items():
        np.testing.assert_array_equal(last.parameters[name].numpy(), own)
    x = last.train.features
    np.testing.assert_allclose(last.train.logits, logits(xor, x), rtol=1e-4, atol=1e-5)
    assert last.train.right.mean() == pytest.approx(status["metrics"]["accuracy/train"])
    assert last.val.losses.mean() == pytest.approx(status["metrics"]["loss/val"], rel=1e-5)


def test_a_run_that_stopped_early_is_as_it_was_then(trained_before):
    run = trained_before(
        "it", "experiment=line", "optimizer.lr=1.9", "patience=2", "epochs=30", "schedule=constant"
    )
    last, status = restore(run_of(run), []).last, json.loads((run / "status.json").read_text())
    assert last.step == status["steps"] < 30 * last.experiment.steps_per_epoch
    assert last.val.losses.mean() == pytest.approx(status["metrics"]["loss/val"], rel=1e-5)
    assert trained_again(restore(run_of(run), []))[-1].step == last.step


def test_training_again_ends_with_the_same_bits(xor, capfd):
    restored = restore(run_of(xor), [])
    found = trained_again(restored)
    assert capfd.readouterr() == ("", "")
    steps = [one.step for one in found]
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, 30)
    assert 15 <= len(steps) <= 31
    for name, own in parameters(xor).items():
        assert found[-1].parameters[name].numpy().tobytes() == own.tobytes()
        assert (found[0].parameters[name].numpy() != own).any() or "bias" in name


def test_scaled_targets_stay_in_their_unit(trained_before, tmp_path):
    """The first 18 of 30 lines train; their mean is 500 + 40·8.5 = 840."""
    lines = [f"{n},{500 + 40 * n}" for n in range(30)]
    (tmp_path / "rent.csv").write_text("\n".join(["size,rent", *lines]))
    run = trained_before(
        "it", "data=csv", f"data.path={tmp_path / 'rent.csv'}", "data.label=rent",
        "data.task=regression", "data.split=given", "head=linear", "loss=se", "steps=3",
        "batch_size=6",
    )  # fmt: skip
    restored = restore(run_of(run), [])
    for moment in (restored.last, *trained_again(restored)):
        targets = moment.told(moment.train.targets)[:, 0]
        np.testing.assert_allclose(targets, 500 + 40 * np.arange(18), rtol=1e-6)
        x = (np.arange(18) - 8.5) / np.arange(18).std()
        bias, weight = (float(moment.parameters[f"output.{name}"]) for name in ("bias", "weight"))
        expected = 840 + 40 * np.arange(18).std() * (weight * x + bias)
        np.testing.assert_allclose(moment.told(moment.train.predictions)[:, 0], expected, rtol=1e-5)
    assert weight == parameters(run)["output.weight"].item()


def test_another_end_is_reported(xor, capfd):
    restored = restore(run_of(xor), [])
    name, own = next(iter(restored.last.parameters.items()))
    other = own.clone()
    other.view(-1)[0] = torch.nextafter(other.view(-1)[0], torch.tensor(9.0))
    last = replace(restored.last, parameters={**restored.last.parameters, name: other})
    trained_again(restored._replace(last=last))
    assert "ends with other parameters than its checkpoint" in capfd.readouterr().err


def test_a_run_of_a_sweep_is_repeated_alone(trained_before, capfd):
    sweep = trained_before(
        "sweep", "-m", "experiment=saturated", "loss=se,bce", "seed=0,1", "steps=20"
    )
    run = next(one for one in read_runs(sweep) if one.name == "sigmoid+bce,seed=1")
    trained_again(restore(run, []))
    assert capfd.readouterr().err == ""


def test_other_data_are_refused(xor):
    retell(xor, data="0" * 64)
    with pytest.raises(InputError, match="data=xor loads other data now than xor was trained on"):
        restore(run_of(xor), [])


def test_a_run_without_configuration_is_refused(tmp_path):
    run = write_run(tmp_path / "own", series={"loss/train": [1.0, 0.5]})
    with pytest.raises(
        InputError, match="own has no configuration, as a run of a loop of one's own"
    ):
        restore(run_of(run), [])


def test_a_run_without_checkpoint_is_refused(xor):
    (xor / "checkpoint.safetensors").unlink()
    with pytest.raises(
        InputError, match="xor is done and has no checkpoint, so no network is left"
    ):
        restore(run_of(xor), [])


@pytest.mark.parametrize("status", ["interrupted", "running", "failed"])
def test_a_run_that_has_not_ended_is_not_repeated(xor, status):
    retell(xor, status)
    with pytest.raises(InputError, match=f"xor is {status}: it has no end to animate yet"):
        trained_again(restore(run_of(xor), []))


def test_parts_of_others_are_imported_only_if_they_are_allowed_now(
    trained_before, tmp_path, monkeypatch
):
    (tmp_path / "their_parts.py").write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    part = ("model._target_=their_parts.Shifted", "allow_targets=[their_parts]")
    run = trained_before(
        "it", "data=xor", "head=sigmoid", "loss=bce", "model=custom", *part, "steps=5"
    )
    with pytest.raises(InputError, match=r"add allow_targets=\[their_parts\]"):
        restore(run_of(run), [])
    restored = restore(run_of(run), ["their_parts"])
    status = json.loads((run / "status.json").read_text())
    assert restored.last.train.losses.mean() == pytest.approx(
        status["metrics"]["loss/train"], rel=1e-4
    )
    assert trained_again(restored)[-1].step == 5
