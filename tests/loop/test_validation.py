"""Validation numbers by one call: curves, final numbers, and no step that is measured for them."""

from __future__ import annotations

import math

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.records.reading import read_runs
from tests.loop.loops import batches, module, table, train


def made(folder, **more):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return model, optimizer, GradientProbe(model, optimizer, folder, head="softmax", **more)


def column(folder, tag):
    return {
        int(row["step"]): row[tag] for row in table(folder) if tag in row and row[tag] == row[tag]
    }


@pytest.mark.parametrize("schedule", ["every:1", "every:4"])
def test_validations_are_curves_at_their_updates(tmp_path, schedule):
    model, optimizer, probe = made(tmp_path / "run", schedule=schedule)
    probe.log_validation(loss=3.0, accuracy=torch.tensor(0.125))  # before the first update
    for number, one in enumerate(batches(6)):
        train(model, optimizer, probe, data=[one])
        if number % 2:
            probe.log_validation(loss=1 / (number + 1), accuracy=number / 8, f1=0.5)
    probe.close()
    losses, right = {0: 3, 2: 1 / 2, 4: 1 / 4, 6: 1 / 6}, {0: 1 / 8, 2: 1 / 8, 4: 3 / 8, 6: 5 / 8}
    assert column(tmp_path / "run", "loss/val") == pytest.approx(losses)
    assert column(tmp_path / "run", "accuracy/val") == pytest.approx(right)
    steps = [row["step"] for row in table(tmp_path / "run")]
    assert steps == sorted(set(steps))
    measured = range(0, 6, 1 if schedule == "every:1" else 4)
    assert list(column(tmp_path / "run", "loss/train")) == list(measured)
    (run,) = read_runs(tmp_path)
    finals = {tag: value for tag, value in run.metrics.items() if tag.endswith("/val")}
    assert finals == pytest.approx({"loss/val": 1 / 6, "accuracy/val": 5 / 8, "f1/val": 0.5})
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    assert [(one.step, one.value) for one in events.Scalars("f1/val")] == [
        *((2, 0.5), (4, 0.5), (6, 0.5))
    ]
    found = {one.step: one.value for one in events.Scalars("loss/val")}
    assert found == pytest.approx(losses)


def test_the_numbers_of_the_training_are_the_same_with_validations(tmp_path):
    rows = []
    for validated in (False, True):
        folder = tmp_path / str(validated)
        model, optimizer, probe = made(folder, schedule="every:1", settings="full")
        for one in batches(5):
            train(model, optimizer, probe, data=[one])
            if validated:
                with torch.no_grad():
                    probe.log_validation(loss=F.cross_entropy(model(one[0]), one[1]))
        probe.close()
        rows.append(table(folder))
    assert len(rows[1]) == 6  # the last validation is after the last update
    for plain, other in zip(*(one[:5] for one in rows), strict=True):
        for tag, number in plain.items():
            if not tag.endswith("/val"):
                assert other[tag] == pytest.approx(number, rel=0, abs=0, nan_ok=True), tag


def test_a_run_without_measurements_keeps_its_validations(tmp_path):
    model, optimizer, probe = made(tmp_path / "run", settings="off")
    train(model, optimizer, probe)
    probe.log_validation(loss=0.5)
    probe.close()
    assert column(tmp_path / "run", "loss/val") == {6: 0.5}
    (run,) = read_runs(tmp_path)
    assert (run.status, run.metrics) == ("done", {"loss/val": 0.5})
    probe.log_validation(loss=0.1)  # of a closed probe, nothing


def test_a_regression_has_no_column_of_accuracies(tmp_path):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    data = [(inputs, torch.randn(16, 3)) for inputs, _ in batches(2)]
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        train(model, optimizer, probe, F.mse_loss, data)
        probe.log_validation(loss=0.25)
    row = table(tmp_path / "run")[-1]
    assert row["loss/val"] == 0.25
    assert "accuracy/val" not in row


def test_a_writer_gets_them(tmp_path):
    found = {}

    class Writer:
        def add_scalar(self, tag, number, step):
            found[tag, step] = number

    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, writer=Writer()) as probe:
        train(model, optimizer, probe)
        probe.log_validation(loss=0.25, accuracy=0.5)
    assert found["loss/val", 6] == 0.25
    assert found["accuracy/val", 6] == 0.5
    assert not math.isnan(found["loss/train", 5])


def test_a_loss_that_is_lost_makes_the_run_diverged(tmp_path):
    model, optimizer, probe = made(tmp_path / "run", schedule="every:1")
    train(model, optimizer, probe, data=list(batches(4)))
    with torch.no_grad():
        model[3].weight.fill_(torch.nan)
    train(model, optimizer, probe, data=list(batches(4)))
    probe.close()
    (run,) = read_runs(tmp_path)
    assert run.status == "diverged"


def test_a_probe_that_a_function_lets_go_of_is_closed(tmp_path):
    import gc

    def program():
        model, optimizer, probe = made(tmp_path / "run")
        train(model, optimizer, probe)

    program()
    gc.collect()
    (run,) = read_runs(tmp_path)
    assert run.status == "done"
    assert len(table(tmp_path / "run")) == 6
