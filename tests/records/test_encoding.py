"""Bytes of logged steps: records that TensorBoard reads."""

from __future__ import annotations

import random
import subprocess
import time
from timeit import repeat

import numpy as np
import pytest
from tensorboard.compat.proto.summary_pb2 import Summary

from mlr.records import Recorder, RunFolder, record_histograms
from mlr.records.encoding import event, record, records, scalar_records
from mlr.records.growing_file import new_events
from tests.records.reading import accumulate, crc32c, events
from tests.records.written import record_one, write_events

TAGS = ("loss/train", "grad_norm/Schicht größer 0", "a", "梯度/错 🙂", "x" * 300)
VERSION = event(1000.0, 0, 3, b"brain.Event:2")


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


def written(folder, *columns):
    """Events of a file of these rows."""
    file = new_events(folder)
    file.add(b"".join(scalar_records(*columns)))
    file.flush()
    version, *rest = events(file.path)
    assert version.file_version == "brain.Event:2"
    return rest


def test_crc_of_the_standard_test_vector():
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("seed", range(30))
def test_every_record_holds_its_row(tmp_path, seed):
    steps, tags, values, wall_times, present = random_block(seed)
    rest = written(tmp_path, steps, tags, values, wall_times, present)
    rows = np.flatnonzero(present.any(axis=1))
    assert [event.step for event in rest] == steps[rows].tolist()
    assert [event.wall_time for event in rest] == wall_times[rows].tolist()
    with np.errstate(over="ignore"):
        expected = values.astype(np.float32)
    for event_, row in zip(rest, rows, strict=True):
        assert [value.tag for value in event_.summary.value] == [
            tag for tag, there in zip(tags, present[row], strict=True) if there
        ]
        read = np.array([value.simple_value for value in event_.summary.value], np.float32)
        np.testing.assert_array_equal(read, expected[row, present[row]])


@pytest.mark.parametrize("tags", [56, 57, 200])
def test_rows_of_many_tags_are_told_apart(tmp_path, tags):
    """Presence of more tags than a word of 8 bytes has bits, with the width of the step."""
    rng = np.random.default_rng(tags)
    names = tuple(f"grad_norm/layer{number}" for number in range(tags))
    steps, values = np.arange(120, 136), rng.normal(size=(16, tags)).astype(np.float32)
    present = np.ones(values.shape, dtype=bool)
    present[::2, -1], present[1::3, 0] = False, False
    rest = written(tmp_path, steps, names, values, np.arange(16.0), present)
    assert [event.step for event in rest] == steps.tolist()
    for event_, row, there in zip(rest, values, present, strict=True):
        read = {value.tag: value.simple_value for value in event_.summary.value}
        assert read == {names[column]: row[column] for column in np.flatnonzero(there)}


@pytest.mark.parametrize("there", ["all", "some"])
def test_scalars_read_back_equal_by_tensorboard(tmp_path, there):
    rng = np.random.default_rng(1)
    steps = np.arange(500) * 2**33
    values = rng.normal(size=(500, 5)).astype(np.float32)
    values[7, 2] = np.nan
    present = np.ones(values.shape, dtype=bool)
    if there == "some":
        present[::3, 1:] = False
    recorder = Recorder(RunFolder.claim(tmp_path), TAGS, {})
    for part in (slice(0, 100), slice(100, 500)):
        record_one(recorder, steps[part], np.arange(500.0)[part], values[part], present[part])
        recorder.flush()
    recorder.flush()
    found = accumulate(tmp_path)
    for column, tag in enumerate(TAGS):
        rows, series = present[:, column], found.Scalars(tag)
        assert [point.step for point in series] == steps[rows].tolist()
        read = np.array([point.value for point in series], np.float32)
        np.testing.assert_array_equal(read, values[rows, column])


def record_bars(recorder, tag, steps, bins):
    """Record a histogram of 1000 samples a step; returns its columns."""
    samples = np.random.default_rng(2).normal(size=(len(steps), 1000))
    limits = np.linspace(samples.min(axis=1), samples.max(axis=1), bins + 1, axis=1)
    pairs = zip(samples, limits, strict=True)
    counts = np.stack([np.histogram(row, bins=limit)[0] for row, limit in pairs])
    moments = (samples.min(1), samples.max(1), samples.sum(1), (samples**2).sum(1))
    columns = (limits[:, 1:], counts, *moments, np.ones(len(steps), dtype=bool))
    own = (column[:, None] for column in columns)
    record_histograms([recorder], steps, tag, *own, np.arange(float(len(steps))))
    return columns


@pytest.mark.parametrize("bins", [1, 15, 16, 30, 300])
def test_histograms_read_back_equal(tmp_path, bins):
    recorder = Recorder(RunFolder.claim(tmp_path), (), {})
    columns = record_bars(recorder, "logits/größe", np.arange(7) * 1000, bins)
    recorder.flush()
    limits, counts, minimum, maximum, total, squares, _ = columns
    for row, point in enumerate(accumulate(tmp_path).Histograms("logits/größe")):
        read = point.histogram_value
        assert point.step == row * 1000
        assert read.bucket_limit == limits[row].tolist()
        assert read.bucket == counts[row].tolist()
        assert (read.min, read.max, read.num) == (minimum[row], maximum[row], 1000)
        assert (read.sum, read.sum_squares) == (total[row], squares[row])


def test_any_summary_can_be_added(tmp_path):
    write_events(tmp_path, (Summary(value=[Summary.Value(tag="a", simple_value=2.0)]), 12))
    (point,) = accumulate(tmp_path).Scalars("a")
    assert (point.step, point.value) == (12, 2.0)


def test_rust_data_server_reads_scalars_and_histograms(tmp_path):
    """The server that TensorBoard starts by default is not the reader of EventAccumulator."""
    binary = pytest.importorskip("tensorboard_data_server").server_binary()
    if binary is None:
        pytest.skip("tensorboard_data_server has no binary for this platform")
    from tensorboard.context import RequestContext
    from tensorboard.data import server_ingester
    from tensorboard.util.grpc_util import ChannelCredsType

    recorder = Recorder(RunFolder.claim(tmp_path / "run"), ("a", "ü/b"), {})
    record_one(recorder, [0, 2**40], np.zeros(2), np.array([[1.5, np.nan], [2.5, 3.5]]))
    record_bars(recorder, "h", np.arange(2), 30)
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


def test_empty_blocks_leave_no_record():
    none = np.zeros((0, 1))
    assert scalar_records(np.array([], int), ("a",), none, np.zeros(0), none > 0) == []
    for tags, values in (((), np.zeros((1, 0))), (("a",), np.zeros((1, 1)))):
        assert scalar_records(np.array([3]), tags, values, np.zeros(1), values > 0) == [b""]


def test_a_scalar_costs_at_most_a_microsecond_and_a_half():
    """Measured 0.05 µs; the bound leaves room for a busy machine."""
    tags = tuple(f"group/name{number}" for number in range(14))
    values = np.random.default_rng(0).normal(size=(200, 14)).astype(np.float32)
    columns = (np.arange(200), tags, values, np.arange(200.0), np.ones(values.shape, dtype=bool))
    seconds = min(repeat(lambda: scalar_records(*columns), number=5, repeat=5))
    assert seconds / 5 / values.size < 1.5e-6


def some_records(count=12):
    """A file's records, of many lengths."""
    times = np.arange(count) + 1000.0
    values = np.random.default_rng(0).random((count, 2))
    rows = scalar_records(np.arange(count), ("loss/train", "a"), values, times, values >= 0)
    odd = [event(1000.0, step, 15, bytes(step * 37 % 500)) for step in range(0, count, 7)]
    return [VERSION, *rows, *odd, record(b"")]


def test_records_are_split():
    whole = some_records()
    assert list(records(b"".join(whole))) == whole
    assert list(records(b"")) == []


def read_until_damage(content):
    """The records before the damage, and where it is; None where there is none."""
    found = []
    try:
        found.extend(records(content))
    except ValueError as error:
        return [], int(str(error).removeprefix("is damaged at byte ").replace(",", ""))
    return found, None


def test_every_flipped_bit_and_truncation_is_found_at_its_record():
    whole = some_records()
    content, ends = b"".join(whole), np.cumsum([len(one) for one in whole])
    starts = [0, *ends.tolist()]
    for bit in random.Random(0).sample(range(8 * len(content)), 500):
        other = bytearray(content)
        other[bit // 8] ^= 1 << bit % 8
        lost = int(np.searchsorted(ends, bit // 8, side="right"))
        assert read_until_damage(bytes(other)) == ([], starts[lost])
    for size in range(len(content)):
        at = int(np.searchsorted(ends, size, side="right"))
        expected = (whole[:at], None) if starts[at] == size else ([], starts[at])
        assert read_until_damage(content[:size]) == expected


@pytest.mark.parametrize(
    "content", [bytes(100), b"\xff" * 100, b"<html>404</html>", random.Random(0).randbytes(1 << 16)]
)
def test_anything_else_is_no_event_file(content):
    with pytest.raises(ValueError, match="is damaged at byte 0"):
        list(records(content))
