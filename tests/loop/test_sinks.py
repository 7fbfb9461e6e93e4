"""The numbers reach any writer, and a person's own Hydra application."""

from __future__ import annotations

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from mlr import GradientProbe
from mlr.records.run_folder import read_status
from tests.loop.loops import module, table, train


def watched(tmp_path, writer):
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, writer=writer, head="softmax") as probe:
        train(model, optimizer, probe)
        probe.close({"accuracy/test": 0.25})
    twin = module()
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    with GradientProbe(twin, optimizer, tmp_path / "run", head="softmax") as probe:
        train(twin, optimizer, probe)
    return table(tmp_path / "run")


def test_torchs_summary_writer_gets_what_the_folder_gets(tmp_path):
    with SummaryWriter(tmp_path / "board") as writer:
        rows = watched(tmp_path, writer)
        writer.add_scalar("still/open", 1.0, 0)
    events = EventAccumulator(str(tmp_path / "board"), {"histograms": 0})
    events.Reload()
    for tag in set(rows[0]) - {"step", "epoch", "loss/val", "accuracy/val"}:
        found = {scalar.step: scalar.value for scalar in events.Scalars(tag)}
        assert found == pytest.approx({row["step"]: row[tag] for row in rows}, rel=1e-6)
    assert [(s.step, s.value) for s in events.Scalars("accuracy/test")] == [(5, 0.25)]
    assert events.Scalars("still/open")
    bars = events.Histograms("histogram/logit_grad")
    assert [bar.step for bar in bars] == [0, 1]
    assert bars[0].histogram_value.num == 16 * 3


def test_a_loop_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    for name in ("fsync", "sync"):
        monkeypatch.setattr(f"mlr.core.durable.os.{name}", lambda *file: pytest.fail("waits"))
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, tmp_path / "run") as probe:
        train(model, optimizer, probe)
        probe.flush()
    assert read_status(tmp_path / "run").status == "done"


class Plain:
    """All that a writer must have."""

    def __init__(self):
        self.found = {}

    def add_scalar(self, tag, number, step):
        self.found[tag, step] = number


def test_whatever_has_add_scalar_will_do(tmp_path):
    writer = Plain()
    rows = watched(tmp_path, writer)
    assert writer.found["grad_norm/total", 3] == pytest.approx(rows[3]["grad_norm/total"])
    assert writer.found["accuracy/test", 5] == 0.25


APP = """
import hydra, torch
from hydra.utils import instantiate
from torch.nn import functional as F

@hydra.main(version_base="1.3", config_path=".", config_name="config")
def main(config):
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with instantiate(config.probe)(model, optimizer) as probe:
        for _ in range(3):
            optimizer.zero_grad()
            logits, targets = model(torch.randn(8, 4)), torch.arange(8) % 3
            loss = F.cross_entropy(logits, targets)
            probe.watch(logits, targets, loss)
            loss.backward()
            optimizer.step()

main()
"""
CONFIG = """
probe:
  _target_: mlr.GradientProbe
  _partial_: true
  folder: ${hydra:runtime.output_dir}/gradient
  head: softmax
  settings: full
  schedule: every:2
"""


def test_it_is_a_part_of_a_persons_own_hydra_application(script, tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "config.yaml").write_text(CONFIG)
    quiet = ("hydra/job_logging=none", "hydra/hydra_logging=none")  # loggers outlive the test
    line = ("hydra.run.dir=out", "probe.settings=basic", *quiet)
    done = script(tmp_path / "app.py", *line, folder=tmp_path)
    assert done.code == 0, done.err
    rows = table(tmp_path / "out" / "gradient")
    assert [row["step"] for row in rows] == [0, 2]
    assert rows[0]["grad_norm/parameters"] > 0
