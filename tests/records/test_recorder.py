import csv
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from tensorboard.plugins.hparams import api_pb2, metadata

from mlr.core import durable as durable_module
from mlr.records import Recorder, RunFolder
from mlr.records.run_folder import read_status
from tests.records.reading import accumulate, event_files, events

TAGS = ("loss/train", "loss/val", "loss/test", "logit_grad/wrong")
HPARAMS = {"head": "sigmoid", "loss": "se", "lr": 0.1, "clip": None}


@pytest.fixture
def recorder(tmp_path):
    return Recorder(RunFolder.claim(tmp_path / "tag 1" / "größe"), TAGS, HPARAMS)


def record_some(recorder, first=0, points=5):
    steps = np.arange(first, first + points)
    values = np.tile(np.array([[0.5, 0.25, 0.0, 1.0]], dtype=np.float32), (points, 1))
    present = np.tile(np.array([[True, False, False, True]]), (points, 1))
    present[-1, 1] = True
    recorder.scalars(steps, steps / 5, values, present)


def rows(recorder):
    with recorder.folder.metrics.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def session_status(folder):
    content = accumulate(folder).PluginTagToContent("hparams")[metadata.SESSION_END_INFO_TAG]
    return metadata.parse_session_end_info_plugin_data(content).status


def test_a_run_from_start_to_end(recorder):
    folder = recorder.folder.path
    record_some(recorder)
    recorder.flush()
    record_some(recorder, first=5)
    ones = np.ones(2)
    counts = np.ones((2, 3))
    limits = np.tile(np.arange(3.0), (2, 1))
    recorder.histograms(np.array([0, 9]), "logits", limits, counts, ones, ones, ones, ones)
    final = {"loss/train": 0.4, "loss/test": 0.1, "logit_grad/wrong": 9.0, "time": 3.0}
    recorder.finish("done", final, steps=7)

    found = accumulate(folder)
    assert [point.step for point in found.Scalars("loss/train")] == list(range(10))
    assert [point.step for point in found.Scalars("loss/val")] == [4, 9]
    assert [(p.step, p.value) for p in found.Scalars("loss/test")] == [(9, np.float32(0.1))]
    assert [(p.step, p.value) for p in found.Scalars("time")] == [(9, 3.0)]
    assert [point.step for point in found.Histograms("logits")] == [0, 9]
    # the last step keeps what it has: no step holds two numbers of one tag
    assert found.Scalars("logit_grad/wrong")[-1].value == 1.0
    assert "custom_scalars__config__" in found.PluginTagToContent("custom_scalars")
    assert session_status(folder) == api_pb2.STATUS_SUCCESS
    assert len(rows(recorder)) == 10
    assert rows(recorder)[-1] == {
        "step": "9",
        "epoch": "1.8",
        "loss/train": "0.5",
        "loss/val": "0.25",
        "loss/test": "0.1",
        "logit_grad/wrong": "1.0",
    }
    status = read_status(folder)
    assert (status["status"], status["reason"], status["steps"]) == ("done", None, 7)
    assert status["metrics"] == final
    assert sorted(path.name for path in folder.iterdir()) == [
        event_files(folder)[0].name,
        "metrics.csv",
        "status.json",
    ]


def test_table_and_tensorboard_hold_the_same_numbers(recorder):
    rng = np.random.default_rng(0)
    values = rng.normal(size=(300, 4)).astype(np.float32)
    present = rng.random(values.shape) < 0.7
    recorder.scalars(np.arange(300), np.arange(300) / 10, values, present)
    recorder.finish("done", {})
    found = accumulate(recorder.folder.path)
    for tag in TAGS:
        table = [(int(r["step"]), np.float32(r[tag])) for r in rows(recorder) if r[tag]]
        assert table == [(p.step, np.float32(p.value)) for p in found.Scalars(tag)]


def test_a_final_number_may_be_nan(recorder):
    record_some(recorder)
    recorder.finish("diverged", {"loss/test": float("nan")}, reason="loss is nan at step 4")
    assert read_status(recorder.folder.path)["metrics"] == {"loss/test": "nan"}
    assert session_status(recorder.folder.path) == api_pb2.STATUS_FAILURE
    assert rows(recorder)[-1]["loss/test"] == "nan"


def test_a_run_without_steps_can_finish(recorder):
    recorder.finish("done", {"loss/test": 1.0})
    assert [row["step"] for row in rows(recorder)] == ["0"]


def test_without_wall_times_the_steps_are_spread_over_the_time_since_the_flush(recorder):
    record_some(recorder)
    recorder.flush()
    times = [point.wall_time for point in accumulate(recorder.folder.path).Scalars("loss/train")]
    assert times == sorted(times)
    assert len(set(times)) == 5


def test_a_run_that_failed_keeps_what_was_recorded(recorder):
    record_some(recorder)
    recorder.finish("failed", reason="RuntimeError: broken ü")
    found = read_status(recorder.folder.path)
    assert (found["status"], found["reason"]) == ("failed", "RuntimeError: broken ü")
    assert len(accumulate(recorder.folder.path).Scalars("loss/train")) == 5
    assert len(rows(recorder)) == 5
    assert session_status(recorder.folder.path) == api_pb2.STATUS_FAILURE


def _no_room(monkeypatch):
    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable_module.os, "write", fail)


def test_a_full_disk_names_the_file_and_keeps_the_numbers(recorder, monkeypatch):
    record_some(recorder)
    with monkeypatch.context() as patch:
        _no_room(patch)
        with pytest.raises(OSError, match=r"tfevents.*No space left"):
            recorder.flush()
    recorder.finish("done", {})
    assert len(accumulate(recorder.folder.path).Scalars("loss/train")) == 5
    assert len(rows(recorder)) == 5


def test_kill_between_flushes_leaves_whole_records(tmp_path):
    """SIGKILL at any moment: the file ends at a record, all that was flushed is there."""
    code = """
        import sys, numpy as np
        from mlr.records import Recorder, RunFolder
        recorder = Recorder(RunFolder.claim(sys.argv[1]), ["a", "b"], {"lr": 0.1})
        for step in range(10**9):
            recorder.scalars(np.array([step]), np.array([0.0]), np.ones((1, 2)))
            recorder.flush()
            print(step, flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if int(line) >= 20:
                os.kill(child.pid, signal.SIGKILL)
                break
        seen = [int(line), *map(int, child.stdout.read().split())][-1]
    (file,) = event_files(tmp_path / "run")
    steps = [event.step for event in events(file) if event.summary.value[:1]]
    assert steps[-1] in (seen, seen + 1)
    with (tmp_path / "run" / "metrics.csv").open(encoding="utf-8", newline="") as table:
        assert int(list(csv.DictReader(table))[-1]["step"]) in (seen, seen + 1)
    assert json.loads((tmp_path / "run" / "status.json").read_bytes())["status"] == "running"


def modules_after(code):
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_claiming_a_folder_does_not_wait_for_numpy_or_tensorboard():
    loaded = modules_after("from mlr.records import RunFolder, write_runs_table, atomic_write")
    assert not {"numpy", "torch", "tensorboard", "google", "hydra", "omegaconf"} & loaded


def test_recording_needs_neither_torch_nor_tensorflow():
    loaded = modules_after("import mlr.records.recorder")
    assert not {"torch", "tensorflow", "hydra", "omegaconf"} & loaded


def test_names_of_the_package_are_there():
    import mlr.records

    assert [name for name in mlr.records.__all__ if getattr(mlr.records, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'Writer'"):
        mlr.records.Writer  # noqa: B018
