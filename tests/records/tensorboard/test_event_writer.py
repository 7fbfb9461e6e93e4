import os
import re
import socket
import subprocess
import time
from timeit import repeat

import numpy as np
import pytest
from tensorboard.compat.proto.summary_pb2 import Summary

from mlr.records import Recorder, RunFolder
from mlr.records.tensorboard.event_writer import EventWriter, _host
from tests.records.reading import accumulate, crc32c, event_files, events

TAGS = ("loss/train", "grad_norm/Schicht größer 0", "a", "梯度/错 🙂", "x" * 300)


def random_block(seed: int):
    """Steps, values and presence with every kind of number in it."""
    rng = np.random.default_rng(seed)
    points, tags = int(rng.integers(1, 40)), TAGS[: rng.integers(1, len(TAGS) + 1)]
    largest = int(rng.choice([1, 127, 128, 2**31, 2**40, 2**62]))
    steps = np.cumsum(rng.integers(0, largest // points + 1, points))
    steps[0] = rng.choice([0, steps[0]])
    values = rng.normal(size=(points, len(tags))) * 10.0 ** rng.integers(-40, 39, points)[:, None]
    for special in (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e300):
        values[rng.random(values.shape) < 0.05] = special
    present = rng.random(values.shape) < rng.choice([0.0, 0.5, 1.0])
    return steps, tags, values, rng.random(points) * 2e9, present


def test_crc_of_the_standard_test_vector():
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("seed", range(30))
def test_every_record_holds_its_row(tmp_path, seed):
    steps, tags, values, wall_times, present = random_block(seed)
    writer = EventWriter(tmp_path)
    writer.scalars(steps, tags, values, wall_times, present)
    writer.flush()
    version, *rest = events(writer.path)
    assert version.file_version == "brain.Event:2"
    rows = np.flatnonzero(present.any(axis=1))
    assert [event.step for event in rest] == steps[rows].tolist()
    assert [event.wall_time for event in rest] == wall_times[rows].tolist()
    with np.errstate(over="ignore"):
        expected = values.astype(np.float32)
    for event, row in zip(rest, rows, strict=True):
        assert [value.tag for value in event.summary.value] == [
            tag for tag, there in zip(tags, present[row], strict=True) if there
        ]
        read = np.array([value.simple_value for value in event.summary.value], np.float32)
        np.testing.assert_array_equal(read, expected[row, present[row]])


@pytest.mark.parametrize("tags", [56, 57, 200])
def test_rows_of_many_tags_are_told_apart(tmp_path, tags):
    """Presence of more tags than a word of 8 bytes has bits, beside the width of the step."""
    rng = np.random.default_rng(tags)
    names = tuple(f"grad_norm/layer{number}" for number in range(tags))
    steps, values = np.arange(120, 136), rng.normal(size=(16, tags)).astype(np.float32)
    present = np.ones(values.shape, dtype=bool)
    present[::2, -1], present[1::3, 0] = False, False
    writer = EventWriter(tmp_path)
    writer.scalars(steps, names, values, np.arange(16.0), present)
    writer.flush()
    _, *rest = events(writer.path)
    assert [event.step for event in rest] == steps.tolist()
    for event, row, there in zip(rest, values, present, strict=True):
        read = {value.tag: value.simple_value for value in event.summary.value}
        kept = np.flatnonzero(there)
        assert read == {names[column]: row[column] for column in kept}


@pytest.mark.parametrize("present", [None, "all", "some"])
def test_scalars_read_back_equal_by_tensorboard(tmp_path, present):
    rng = np.random.default_rng(1)
    steps = np.arange(500) * 2**33
    values = rng.normal(size=(500, 5)).astype(np.float32)
    values[7, 2] = np.nan
    mask = None if present is None else np.full(values.shape, True)
    if present == "some":
        mask[::3, 1:] = False
    writer = EventWriter(tmp_path)
    for part in (slice(0, 100), slice(100, 500)):
        writer.scalars(
            steps[part],
            TAGS,
            values[part],
            np.arange(500.0)[part],
            None if mask is None else mask[part],
        )
        writer.flush()
    writer.flush()
    found = accumulate(tmp_path)
    for column, tag in enumerate(TAGS):
        rows = slice(None) if mask is None else mask[:, column]
        series = found.Scalars(tag)
        assert [point.step for point in series] == steps[rows].tolist()
        read = np.array([point.value for point in series], np.float32)
        np.testing.assert_array_equal(read, values[rows, column])


def histogram_columns(points: int, bins: int):
    rng = np.random.default_rng(2)
    samples = rng.normal(size=(points, 1000))
    edges = np.linspace(samples.min(axis=1), samples.max(axis=1), bins + 1, axis=1)
    pairs = zip(samples, edges, strict=True)
    counts = np.stack([np.histogram(row, bins=edge)[0] for row, edge in pairs])
    moments = (samples.min(1), samples.max(1), samples.sum(1), (samples**2).sum(1))
    return (edges[:, 1:], counts, *moments, np.arange(float(points)))


@pytest.mark.parametrize("bins", [1, 15, 16, 30, 300])
def test_histograms_read_back_equal(tmp_path, bins):
    columns = histogram_columns(7, bins)
    recorder = Recorder(RunFolder.claim(tmp_path), (), {})
    recorder.histograms(np.arange(7) * 1000, "logits/größe", *columns)
    recorder.flush()
    limits, counts, minimum, maximum, total, squares, _ = columns
    for row, point in enumerate(accumulate(tmp_path).Histograms("logits/größe")):
        read = point.histogram_value
        assert point.step == row * 1000
        assert read.bucket_limit == limits[row].tolist()
        assert read.bucket == counts[row].tolist()
        assert (read.min, read.max, read.num) == (minimum[row], maximum[row], 1000)
        assert (read.sum, read.sum_squares) == (total[row], squares[row])


def test_one_set_of_edges_serves_all_steps(tmp_path):
    ones = np.ones(3)
    recorder = Recorder(RunFolder.claim(tmp_path), (), {})
    counts = np.ones((3, 2))
    recorder.histograms(np.arange(3), "h", [1.0, 2.0], counts, ones, ones, ones, ones, ones)
    recorder.flush()
    assert accumulate(tmp_path).Histograms("h")[2].histogram_value.bucket_limit == [1.0, 2.0]


def test_any_summary_can_be_added(tmp_path):
    writer = EventWriter(tmp_path)
    writer.summary(Summary(value=[Summary.Value(tag="a", simple_value=2.0)]), 12, wall_time=3.0)
    writer.flush()
    (point,) = accumulate(tmp_path).Scalars("a")
    assert (point.step, point.value, point.wall_time) == (12, 2.0, 3.0)


def test_rust_data_server_reads_scalars_and_histograms(tmp_path):
    """The server that TensorBoard starts by default is not the reader of EventAccumulator."""
    binary = pytest.importorskip("tensorboard_data_server").server_binary()
    if binary is None:
        pytest.skip("tensorboard_data_server has no binary for this platform")
    from tensorboard.context import RequestContext
    from tensorboard.data import server_ingester
    from tensorboard.util.grpc_util import ChannelCredsType

    recorder = Recorder(RunFolder.claim(tmp_path / "run"), ("a", "ü/b"), {})
    steps, values = np.array([0, 2**40]), np.array([[1.5, np.nan], [2.5, 3.5]])
    recorder.scalars(steps, np.zeros(2), values, wall_times=np.array([1.0, 2.0]))
    recorder.histograms(np.arange(2), "h", *histogram_columns(2, 30))
    recorder.flush()
    port_file = tmp_path / "port"
    server = subprocess.Popen(
        [binary, f"--logdir={tmp_path}", "--reload=once", "--port=0", f"--port-file={port_file}"]
    )
    try:
        deadline = time.monotonic() + 10
        while not (port_file.exists() and port_file.read_text().endswith("\n")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        address = f"localhost:{int(port_file.read_text())}"
        ingester = server_ingester.ExistingServerDataIngester(
            address, channel_creds_type=ChannelCredsType.LOCAL
        )
        ask = {"ctx": RequestContext(), "experiment_id": "", "downsample": 1000}
        provider = ingester.data_provider
        while not provider.list_runs(ask["ctx"], experiment_id=""):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        # the histograms stand last in the file: when they are read, all is
        while "run" not in provider.read_tensors(plugin_name="histograms", **ask):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        read = provider.read_scalars(plugin_name="scalars", **ask)["run"]
        assert [(point.step, point.value) for point in read["a"]] == [(0, 1.5), (2**40, 2.5)]
        assert np.isnan(read["ü/b"][0].value)
        bars = provider.read_tensors(plugin_name="histograms", **ask)["run"]["h"]
        assert [bar.numpy[:, 2].sum() for bar in bars] == [1000, 1000]
    finally:
        server.kill()
        server.wait()


def test_nothing_is_written_before_flush_and_nothing_twice(tmp_path):
    writer = EventWriter(tmp_path)
    writer.scalars(np.array([1]), ["a"], np.array([[1.0]]), np.array([0.0]))
    assert event_files(tmp_path) == []
    writer.flush()
    size = writer.path.stat().st_size
    writer.flush()
    writer.flush()
    assert writer.path.stat().st_size == size


def test_files_are_named_in_the_order_of_their_writing(tmp_path, monkeypatch):
    """TensorBoard reads a run's files by name, and a clock may be set back (F25)."""
    names = []
    for now in (2_000_000_000.0, 1_000_000_000.0, 1_000_000_000.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        writer = EventWriter(tmp_path)
        writer.flush()
        names.append(writer.path.name)
    assert names == sorted(names)
    assert len(set(names)) == 3


def test_empty_blocks_leave_no_event(tmp_path):
    writer = EventWriter(tmp_path)
    writer.scalars(np.array([], int), ["a"], np.zeros((0, 1)), np.zeros(0))
    writer.scalars(np.array([3]), [], np.zeros((1, 0)), np.zeros(1))
    writer.scalars(np.array([3]), ["a"], np.zeros((1, 1)), np.zeros(1), np.array([[False]]))
    writer.flush()
    assert len(events(writer.path)) == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"steps": np.array([-1, 0])}, "0 or above"),
        ({"steps": np.array([0.5, 1.0])}, "whole numbers"),
        ({"steps": np.array([0, 2**63], dtype=np.uint64)}, "at most"),
        ({"steps": np.array([[0, 1]])}, "shape"),
        ({"tags": ["a", "a"]}, "occurs twice"),
        ({"values": np.zeros((2, 3))}, r"values must have shape \(2, 2\)"),
        ({"wall_times": np.zeros(3)}, r"wall_times must have shape \(2,\)"),
        ({"present": np.ones((2, 1), bool)}, r"present must have shape \(2, 2\)"),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, change, text):
    good = {
        "steps": np.arange(2),
        "tags": ["a", "b"],
        "values": np.zeros((2, 2)),
        "wall_times": np.zeros(2),
    }
    with pytest.raises(ValueError, match=text):
        EventWriter(tmp_path).scalars(**{**good, **change})


def test_wrong_histograms_are_refused(tmp_path):
    recorder, one = Recorder(RunFolder.claim(tmp_path), (), {}), np.ones(1)
    with pytest.raises(ValueError, match="bins"):
        recorder.histograms(np.arange(1), "h", [], np.ones((1, 0)), one, one, one, one, one)
    with pytest.raises(ValueError, match="limits"):
        recorder.histograms(np.arange(1), "h", [1.0], np.ones((1, 2)), one, one, one, one, one)
    with pytest.raises(ValueError, match="moments must"):
        recorder.histograms(
            np.arange(1), "h", [1.0], np.ones((1, 1)), one, one, np.ones(2), one, one
        )


def test_a_scalar_costs_at_most_a_microsecond_and_a_half(tmp_path):
    """Measured 0.05 µs; the bound leaves room for a busy machine."""
    writer = EventWriter(tmp_path)
    tags = [f"group/name{number}" for number in range(14)]
    values = np.random.default_rng(0).normal(size=(200, 14)).astype(np.float32)
    steps, wall_times = np.arange(200), np.arange(200.0)
    seconds = min(
        repeat(lambda: writer.scalars(steps, tags, values, wall_times), number=5, repeat=5)
    )
    assert seconds / 5 / values.size < 1.5e-6


def test_what_an_earlier_flush_left_in_memory_is_waited_for(tmp_path, monkeypatch):
    """A checkpoint tells of it, and a power failure would otherwise take it."""
    writer = EventWriter(tmp_path)
    writer.flush(sync=True)  # nothing is there to wait for
    writer.scalars([0], ["a"], np.zeros((1, 1)), np.zeros(1))
    waited = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: waited.append(real(descriptor)))
    writer.flush()
    assert waited == []
    writer.flush(sync=True)
    assert len(waited) == 1


@pytest.mark.parametrize(("host", "part"), [("lab-7.größe", "lab-7.größe"), ("a b/c", "a-b-c")])
def test_a_file_is_named_by_time_and_machine(tmp_path, monkeypatch, host, part):
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    monkeypatch.setattr(time, "time", lambda: 77.9)
    _host.cache_clear()
    for second in ("0000000077", "0000000078"):
        writer = EventWriter(tmp_path)
        writer.flush()
        start = f"events.out.tfevents.{second}.{part}.{os.getpid()}."
        assert re.fullmatch(re.escape(start) + r"\d+", writer.path.name)
    monkeypatch.setattr(socket, "gethostname", lambda: "")
    _host.cache_clear()
    assert ".0000000079.localhost." in EventWriter(tmp_path).path.name
    _host.cache_clear()
