"""Recorded numbers equal those that a plain loop with autograd sees at the same steps."""

from __future__ import annotations

import copy
import csv
import time
from math import isfinite

import pytest
import torch

from mlr.probes import ProbeSettings, measuring
from mlr.records import Recorder, RunFolder
from mlr.records.recorder import RunEnd, finish_all
from mlr.training import SGD, log, loop, train
from mlr.training.background import Background
from mlr.training.log import run_tags
from mlr.training.shuffling import Orders
from mlr.training.step import Program
from mlr.training.stopping import Stopping
from tests.records.reading import event_files, events
from tests.training.conftest import dataset, experiment
from tests.training.twin import optimizer


def trained(folder, runs):
    """Each run's result, and its metrics.csv read back: step → tag → number."""
    recorders = [
        Recorder(RunFolder.claim(folder / str(index)), run_tags(run), {})
        for index, run in enumerate(runs)
    ]
    results = train(runs, recorders)
    for recorder, result in zip(recorders, results, strict=True):
        end = RunEnd(result.status, result.metrics, result.reason, at=result.point)
        finish_all([recorder], [end])
    return [(result, table_of(one)) for result, one in zip(results, recorders, strict=True)]


def table_of(recorder):
    with recorder.folder.metrics.open(newline="", encoding="utf-8") as file:
        return {
            int(row["step"]): {tag: float(v) for tag, v in row.items() if v and tag != "step"}
            for row in csv.DictReader(file)
        }


def recorded(folder, runs):
    """The tables of `trained`."""
    return [table for _, table in trained(folder, runs)]


def watched(run):
    """The same numbers from autograd, one batch at a time."""
    module = copy.deepcopy(run.module).double()
    optim = optimizer(run.optimizer, module.parameters())
    features, labels = run.data.train.features, run.data.train.targets
    step, table = 0, {}
    for epoch in range(run.epochs):
        numbers = Orders([run.seed], len(features)).epoch(epoch)[0].astype(int)
        order = torch.from_numpy(numbers)
        for chosen in order.split(run.batch_size):
            logits = module(features[chosen])
            logits.retain_grad()
            targets = labels[chosen].double().unsqueeze(1)
            predictions = run.objective.head(logits)
            losses = run.objective.loss(predictions, targets)
            optim.zero_grad()
            losses.mean().backward()
            sizes = (logits.grad * len(chosen)).norm(dim=1)
            right = (predictions[:, 0] >= 0.5) == (targets[:, 0] == 1)
            norms = {
                f"grad_norm/{layer}": torch.cat(
                    [p.grad.flatten() for p in getattr(module, layer).parameters()]
                ).norm()
                for layer in ("hidden1", "hidden2", "output")
            }
            row = {
                "loss/train": losses.mean(),
                "accuracy/train": right.double().mean(),
                "logit_grad/mean": sizes.mean(),
                "logit_grad/max": sizes.max(),
                "stuck/fraction": (~right & (sizes < 0.01)).double().mean(),
                "grad_norm/total": torch.stack(list(norms.values())).norm(),
                **norms,
            }
            if not right.all():
                row["logit_grad/wrong"] = sizes[~right].mean()
            if right.any():
                row["logit_grad/right"] = sizes[right].mean()
            table[step] = {tag: value.item() for tag, value in row.items()}
            optim.step()
            step += 1
    return table


@pytest.mark.parametrize(("head", "loss"), [("sigmoid", "se"), ("sigmoid", "bce")])
def test_every_logged_number_is_that_of_a_plain_loop(tmp_path, mlp, head, loss):
    run = experiment(head=head, loss=loss, model=mlp, optimizer=SGD(lr=2.0), epochs=30)
    (table,) = recorded(tmp_path, [run])
    expected = watched(run)
    assert len([step for step in table if "grad_norm/total" in table[step]]) >= 100
    for step, row in table.items():
        if step not in expected or "grad_norm/total" not in row:
            continue
        for tag, value in expected[step].items():
            assert row[tag] == pytest.approx(value, rel=1e-9, abs=1e-15), (step, tag)
        assert ("logit_grad/wrong" in row) == ("logit_grad/wrong" in expected[step])


def test_the_last_point_is_over_whole_splits(tmp_path):
    run = experiment()
    (table,) = recorded(tmp_path, [run])
    (result,) = train([run])
    last = table[max(table)]
    assert max(table) == run.total_steps
    assert {tag: last[tag] for tag in result.metrics} == pytest.approx(result.metrics)


def test_epochs_and_times_are_those_of_their_steps(tmp_path):
    """Of 4 updates an epoch, the last with the 2 examples that are left."""
    run = experiment(epochs=2, probes=ProbeSettings(points="every:1"))
    before = time.time()
    ((result, table),) = trained(tmp_path, [run])
    assert {step: row["epoch"] for step, row in table.items()} == {n: n / 4 for n in range(9)}
    (file,) = event_files(tmp_path / "0")
    times = {
        one.step: one.wall_time
        for one in events(file)
        if any(value.tag == "loss/train" for value in one.summary.value)
    }
    assert before <= times[1] <= times[7] <= times[8] <= time.time()
    assert result.point == (8, 2.0)


def test_it_is_time_to_flush_after_so_many_bytes_or_seconds(monkeypatch):
    """A step of two runs is taken for 1,000 bytes."""
    monkeypatch.setattr(measuring, "FLUSH_SECONDS", 1e9)
    monkeypatch.setattr(measuring, "FLUSH_BYTES", 3_000)
    with Background(0) as background:
        program = Program([experiment(seed=seed) for seed in range(2)], background)
        kept = log.StepLog(program, [object(), None], Stopping(program))
    moments = kept.measurements.moments
    monkeypatch.setattr(kept.measurements, "keep", moments.append)
    for due in (False, False, False, True):
        kept.keep((0, 0.0))
        assert kept.measurements.due() is due
    kept.wanted = False
    kept.flush()
    assert not kept.measurements.due()
    monkeypatch.setattr(measuring, "FLUSH_SECONDS", 0.0)
    assert kept.measurements.due()


def test_validation_is_recorded_at_the_end_of_each_epoch(tmp_path):
    run = experiment(epochs=5)
    (table,) = recorded(tmp_path, [run])
    steps = [step for step, row in table.items() if "loss/val" in row]
    assert steps == [run.steps_per_epoch * epoch for epoch in range(1, 6)]


def test_a_diverging_run_ends_where_it_diverges_and_its_sibling_is_as_alone(tmp_path):
    runs = [
        experiment(head="linear", loss="se", optimizer=SGD(lr=lr), epochs=40) for lr in (0.1, 1e9)
    ]
    good, bad = recorded(tmp_path / "both", runs)
    (alone,) = recorded(tmp_path / "alone", runs[:1])
    assert good == alone
    assert not isfinite(bad[max(bad)]["loss/val"])
    assert max(bad) % runs[1].steps_per_epoch == 0  # judged at the end of an epoch
    assert max(bad) < runs[1].total_steps


def test_an_early_stopped_run_is_recorded_as_if_alone(tmp_path):
    changes = {"epochs": 60, "optimizer": SGD(lr=3.0), "data": dataset(2, 20)}
    runs = [experiment(patience=2, **changes), experiment(seed=1, **changes)]
    stopped, full = recorded(tmp_path / "both", runs)
    (alone,) = recorded(tmp_path / "alone", runs[:1])
    assert stopped == alone
    assert max(stopped) < max(full) == 120


def test_probes_off_records_validation_only(tmp_path):
    run = experiment(probes=ProbeSettings(points=0, histograms=0))
    (table,) = recorded(tmp_path, [run])
    assert sorted(table) == [4, 8, 12]
    assert all("grad_norm/total" not in row for row in table.values())


@pytest.mark.parametrize("at", ["record_scalars", "record_histograms", "flush_all"])
def test_interrupted_while_it_records_no_step_is_recorded_twice(tmp_path, monkeypatch, at):
    run = experiment()
    (whole,) = recorded(tmp_path / "whole", [run])
    real, calls = getattr(log, at), []

    def interrupted_once(*rest, **more):
        real(*rest, **more)
        calls.append(at)
        if len(calls) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(log, at, interrupted_once)
    monkeypatch.setattr(measuring, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(loop, "PROGRESS_SECONDS", 0.0)
    recorder = Recorder(RunFolder.claim(tmp_path / "cut"), run_tags(run), {})
    with pytest.raises(KeyboardInterrupt):
        train([run], [recorder])
    recorder.finish("interrupted")
    rows = recorder.folder.metrics.read_text().splitlines()[1:]
    steps = [int(row.partition(",")[0]) for row in rows]
    assert steps == sorted(set(steps))
    assert set(steps) <= set(whole)


def test_numbers_come_from_the_device_once_a_flush(tmp_path, monkeypatch):
    """And each kind of histogram once, however many stacks were measured."""
    run = experiment(epochs=20, probes=ProbeSettings(points="every:1", histograms="every:3"))
    monkeypatch.setattr(measuring, "STACK_VALUES", 200)
    fetched, real = [], measuring.Measurements.measured

    def counted(self):
        own = torch.Tensor.cpu
        with monkeypatch.context() as patch:
            patch.setattr(torch.Tensor, "cpu", lambda tensor: fetched.append(1) or own(tensor))
            return real(self)

    monkeypatch.setattr(measuring.Measurements, "measured", counted)
    (table,) = recorded(tmp_path, [run])
    assert len([step for step in table if "grad_norm/total" in table[step]]) == run.total_steps
    assert len(fetched) == 1 + len(measuring.SHOWN)
