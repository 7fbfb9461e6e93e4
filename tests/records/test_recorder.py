import csv
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from hashlib import sha256
from math import nan

import numpy as np
import pytest
from tensorboard.plugins.hparams import api_pb2, metadata

from mlr.core import durable as durable_module
from mlr.core.checks import DataError
from mlr.core.durable import WriteError
from mlr.records import Recorder, RunEnd, RunFolder, finish_all, record_histograms
from mlr.records.checksums import checksum
from mlr.records.run_folder import read_status
from tests.records.reading import accumulate, event_files, events
from tests.records.written import record_one, write_events

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
    record_one(recorder, steps, steps / 5, values, present)


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
    ones, there = np.ones((2, 1)), np.ones((2, 1), dtype=bool)
    limits = np.tile(np.arange(3.0), (2, 1, 1))
    columns = (limits, np.ones((2, 1, 3)), ones, ones, ones, ones, there, np.zeros(2))
    record_histograms([recorder], np.array([0, 9]), "logits", *columns)
    final = {"loss/train": 0.4, "loss/test": 0.1, "logit_grad/wrong": 9.0, "time": 3.0}
    finish_all([recorder], [RunEnd("done", final, fields={"steps": 7})], sync=True)

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
    record_one(recorder, np.arange(300), np.arange(300) / 10, values, present)
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
        from tests.records.written import record_one
        recorder = Recorder(RunFolder.claim(sys.argv[1]), ["a", "b"], {"lr": 0.1})
        for step in range(10**9):
            record_one(recorder, [step], np.array([0.0]), np.ones((1, 2)))
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


def add(recorder, steps, *rows):
    """Record rows where NaN is no value."""
    values = np.array(rows, dtype=float)
    record_one(recorder, steps, np.ones(len(steps)), values, ~np.isnan(values))


def test_every_step_has_one_row(tmp_path):
    """A step that is logged in two parts, the end of a run for one, fills one row."""
    recorder = Recorder(RunFolder.claim(tmp_path), ["a", "b", "c"], {})
    for late in (False, True):
        add(recorder, [10 * late], [1.0, nan, 3.0])
        if late:
            recorder.flush()
        with pytest.raises(ValueError, match="steps must be 0 or above and increase"):
            add(recorder, [10 * late] * 2, [nan, 2.0, 4.0], [nan, 2.0, 4.0])
        add(recorder, [10 * late], [nan, 2.0, 4.0])
    add(recorder, [11], [5.0, 6.0, 7.0])
    with pytest.raises(ValueError, match="steps must increase, from 11 on"):
        add(recorder, [10], [5.0, 6.0, 7.0])
    recorder.flush()
    assert [list(row.values()) for row in rows(recorder)] == [
        ["0", "1.0", "1.0", "2.0", "4.0"],
        ["10", "1.0", "1.0", "2.0", "4.0"],
        ["11", "1.0", "5.0", "6.0", "7.0"],
    ]


@pytest.mark.parametrize("tags", [["a", "a"], ["step"]])
def test_double_columns_are_refused(tmp_path, tags):
    with pytest.raises(ValueError, match="occurs twice"):
        Recorder(RunFolder.claim(tmp_path), tags, {})


def test_an_older_table_is_never_appended_to(recorder):
    recorder.folder.metrics.write_text("old")
    with pytest.raises(WriteError, match="exists"):
        recorder.flush()
    assert recorder.folder.metrics.read_text() == "old"


@pytest.mark.parametrize("seed", range(6))
def test_files_know_their_sha256_without_reading(tmp_path, seed):
    """Whenever they are flushed, and whether the last row is filled before that or after."""
    random = np.random.default_rng(seed)
    folder = RunFolder.claim(tmp_path)
    recorder = Recorder(folder, ["a", "b"], {})
    for call in range(40):
        row = [nan, nan]
        row[call % 2] = random.random()
        add(recorder, [call // 2], row)
        if random.random() < 0.5:
            recorder.flush()
            for file in (recorder.table, recorder.events):
                assert file.checksum() == checksum(file.path.read_bytes())
            if random.random() < 0.3:
                position = recorder.position()
                with folder.metrics.open("ab") as file:
                    file.write(b"9,9,9,9\n")
                recorder = Recorder.resume(folder, ["a", "b"], position, call // 2)
    recorder.flush()
    assert recorder.table.checksum() == checksum(folder.metrics.read_bytes())


def test_a_table_goes_on_only_with_the_rows_it_had(recorder):
    record_some(recorder)
    position, path = recorder.position(), recorder.folder.metrics
    content, size = path.read_bytes(), len(position["table"]["last"])
    assert position["table"]["sha256"] == sha256(content[:-size]).hexdigest()
    for at in range(len(content) - size):
        path.write_bytes(content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])
        with pytest.raises(DataError, match=r"metrics\.csv is damaged"):
            Recorder.resume(recorder.folder, TAGS, position, 5)


def test_files_are_named_in_the_order_of_their_writing(tmp_path, monkeypatch):
    """TensorBoard reads a run's files by name, and a clock may be set back (F25)."""
    names = []
    for now in (2_000_000_000.0, 1_000_000_000.0, 1_000_000_000.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        names.append(write_events(tmp_path).name)
    assert names == sorted(names)
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    ("host", "part"), [("lab-7.größe", "lab-7.größe"), ("a b/c", "a-b-c"), ("", "localhost")]
)
def test_a_file_is_named_by_time_and_machine(tmp_path, monkeypatch, host, part):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    monkeypatch.setattr(time, "time", lambda: 77.9)
    for second in ("0000000077", "0000000078"):
        start = f"events.out.tfevents.{second}.{part}.{os.getpid()}."
        assert re.fullmatch(re.escape(start) + r"\d+", write_events(tmp_path).name)


def test_what_an_earlier_flush_left_in_memory_is_waited_for(recorder, monkeypatch):
    """A checkpoint counts on it, and a power failure would otherwise take it."""
    waited = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: waited.append(real(descriptor)))
    recorder.flush()
    assert waited == []
    recorder.flush(sync=True)
    assert len(waited) == 2
    sizes = [file.path.stat().st_size for file in (recorder.events, recorder.table)]
    assert sizes == [recorder.events.size, recorder.table.size]


def modules_after(code):
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(run.stdout.split())


def test_claiming_a_folder_does_not_wait_for_numpy_or_tensorboard():
    loaded = modules_after("from mlr.records import RunFolder; import mlr.records.sweep")
    assert not {"numpy", "torch", "tensorboard", "google", "hydra", "omegaconf"} & loaded


def test_recording_needs_neither_torch_nor_tensorflow():
    loaded = modules_after("import mlr.records.recorder")
    assert not {"torch", "tensorflow", "hydra", "omegaconf"} & loaded


def test_names_of_the_package_are_there():
    import mlr.records

    assert [name for name in mlr.records.__all__ if getattr(mlr.records, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'Writer'"):
        mlr.records.Writer  # noqa: B018
