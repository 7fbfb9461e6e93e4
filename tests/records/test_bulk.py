"""A run recorded among others leaves the files it leaves alone, byte for byte."""

import json
import time
from pathlib import Path
from timeit import repeat

import numpy as np
import pytest

from mlr.core.durable import WriteError
from mlr.records import RunFolder
from mlr.records.recorder import (
    Recorder,
    RunEnd,
    finish_all,
    flush_all,
    record_histograms,
    record_scalars,
)
from mlr.records.series import read_series
from tests.records.reading import accumulate, event_files, events

TAGS = ("loss/train", "accuracy/val", "logit_grad/wrong", "größe", "loss/test")
FINAL = {"loss/test": 0.1, "accuracy/val": 0.5, "seconds": 2.0}
RUNS, POINTS, BINS = 9, 60, 5


@pytest.fixture
def clock(monkeypatch):
    """Time stands still, so that only the names of the files tell when they were written."""
    monkeypatch.setattr(time, "time", lambda: 1.7e9)


def recorders(folder: Path, runs: int = RUNS, tags=TAGS) -> list[Recorder]:
    claimed = [RunFolder.claim(folder / "sweep" / f"seed={run}", seed=run) for run in range(runs)]
    return [Recorder(one, tags, {"lr": 0.1}) for one in claimed]


def block(seed: int, first: int = 0, dtype=np.float32):
    """Rows of every kind: numbers of any size, cells and whole rows that are absent."""
    rng = np.random.default_rng(seed)
    shape = (POINTS, RUNS, len(TAGS))
    steps = first + np.cumsum(rng.integers(1, 9, POINTS))
    values = rng.normal(size=shape) * 10.0 ** rng.integers(-20, 8, shape)
    for special in (np.nan, np.inf, 0.0, -0.0, 0.5, 0.1, 9999.9996):
        values[rng.random(shape) < 0.02] = special
    present = rng.random(shape) < 0.9
    present[rng.random(shape[:2]) < 0.1] = False
    for run in range(RUNS):  # runs end at different steps, the first before its first
        present[run * POINTS // 8 :, run] = False
    return steps, steps / 7, values.astype(dtype), present, rng.random(POINTS) * 1e9


def bars(seed: int, steps: np.ndarray):
    rng = np.random.default_rng(seed)
    wide = (len(steps), RUNS, BINS)
    moments = [rng.normal(size=wide[:2]) for _ in range(4)]
    columns = (np.sort(rng.normal(size=wide)), rng.integers(0, 9, wide), *moments)
    return columns, rng.random(wide[:2]) < 0.7


def record_together(own, blocks):
    for steps, epochs, values, present, times in blocks:
        record_scalars(own, steps, epochs, values, present, times)
        columns, there = bars(1, steps)
        record_histograms(own, steps, "h", *columns, there, times)
        flush_all(own)
    finish_all(own, [RunEnd("done", FINAL, "why", {"steps": 3})] * len(own))


def record_alone(recorder, run, blocks):
    for steps, epochs, values, present, times in blocks:
        mine = slice(run, run + 1)
        record_scalars([recorder], steps, epochs, values[:, mine], present[:, mine], times)
        columns, there = bars(1, steps)
        own = [column[:, mine] for column in columns]
        record_histograms([recorder], steps, "h", *own, there[:, mine], times)
        recorder.flush()
    finish_all([recorder], [RunEnd("done", FINAL, "why", {"steps": 3})], sync=True)


def files(recorder):
    """Content of the run's files without times and places."""
    path = recorder.folder.path
    status = json.loads((path / "status.json").read_bytes())
    del status["started"], status["finished"], status["seal"]
    (event_file,) = event_files(path)
    status["files"]["events"] = status["files"].pop(event_file.name)
    return event_file.read_bytes(), (path / "metrics.csv").read_bytes(), status


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_runs_together_leave_the_files_of_runs_alone(tmp_path, dtype):
    together, alone = recorders(tmp_path / "a"), recorders(tmp_path / "b")
    # 300 steps: numbers of steps take one byte, or two
    blocks = [block(0, 0, dtype), block(1, 1000, dtype)]
    record_together(together, blocks)
    for run, recorder in enumerate(alone):
        record_alone(recorder, run, blocks)
        assert files(together[run]) == files(recorder)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_series_are_known_as_they_are_read(tmp_path, dtype):
    own = recorders(tmp_path)
    assert own[0].series() is None
    record_together(own, [block(0, 0, dtype), block(1, 1000, dtype)])
    for recorder in own:
        known, read = recorder.series(), read_series(recorder.folder.metrics)
        assert known.tags == read.tags
        for one, other in zip(known[1:], read[1:], strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


def test_series_of_too_many_numbers_or_begun_by_others_are_not_known(tmp_path, monkeypatch):
    first, second = recorders(tmp_path, 2)
    steps, there = np.arange(2), np.ones((2, 2, len(TAGS)), dtype=bool)
    monkeypatch.setattr("mlr.records.recorder.MOST_KNOWN", there[:, 0].size)
    record_scalars([first, second], steps, steps / 1, there * 0.5, there, steps / 1)
    record_scalars([first], steps[:1] + 2, steps[:1] / 1, there[:1] * 0.5, there[:1], steps[:1])
    assert (first.series(), len(second.series().steps)) == (None, 2)
    again = Recorder.resume(second.folder, TAGS, second.position(), 2)
    record_scalars([again], steps[:1] + 2, steps[:1] / 1, there[:1] * 0.5, there[:1], steps[:1])
    assert again.series() is None


@pytest.mark.usefixtures("clock")
def test_what_stands_beside_a_run_does_not_matter(tmp_path, monkeypatch):
    """However many runs are laid out together, and whether some record nothing."""
    monkeypatch.setattr("mlr.records.recorder._NUMBERS", 1)
    few = recorders(tmp_path / "a")
    record_together([None if run == 2 else one for run, one in enumerate(few)], [block(0)])
    monkeypatch.undo()
    monkeypatch.setattr(time, "time", lambda: 1.7e9)
    all_at_once = recorders(tmp_path / "b")
    record_together(all_at_once, [block(0)])
    for run in range(RUNS):
        if run != 2:
            assert files(few[run]) == files(all_at_once[run])


@pytest.mark.usefixtures("clock")
def test_big_blocks_are_written_before_they_are_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("mlr.records.recorder.SPILL_BYTES", 20_000)
    spilled = recorders(tmp_path / "a")
    steps, epochs, values, present, times = block(0)
    record_scalars(spilled, steps, epochs, values, present, times)
    columns, there = bars(1, steps)
    record_histograms(spilled, steps, "h", *columns, there, times)
    flushed = sum(one.events.size + one.table.size for one in spilled)
    flush_all(spilled)
    assert sum(one.events.size + one.table.size for one in spilled) - flushed < 60_000 < flushed
    monkeypatch.undo()
    monkeypatch.setattr(time, "time", lambda: 1.7e9)
    whole = recorders(tmp_path / "b")
    record_together(whole, [block(0)])
    finish_all(spilled, [RunEnd("done", FINAL, "why", {"steps": 3})] * RUNS)
    for one, other in zip(spilled, whole, strict=True):
        assert files(one) == files(other)


def test_rows_without_a_value_are_in_neither_file(tmp_path):
    (one,) = recorders(tmp_path, 1)
    steps, there = np.arange(4), np.ones((4, 1, 5), dtype=bool)
    there[1:3] = False
    record_scalars([one], steps, steps / 1, np.ones(there.shape), there, steps / 1)
    flush_all([one])
    assert [event.step for event in events(event_files(one.folder.path)[0])][-2:] == [0, 3]
    lines = (one.folder.path / "metrics.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "0", "3"]


def break_run(recorder):
    """Something else stands where the table would."""
    recorder.folder.metrics.mkdir()


def test_a_run_that_cannot_be_written_does_not_stop_the_others(tmp_path):
    own = recorders(tmp_path)
    break_run(own[4])
    record_together(own, [block(0), block(1, 1000)])
    assert [run for run, one in enumerate(own) if one.error] == [4]
    assert "metrics.csv" in str(own[4].error)
    status = json.loads((own[4].folder.path / "status.json").read_bytes())
    assert (status["status"], status["reason"]) == ("failed", str(own[4].error))
    good = json.loads((own[5].folder.path / "status.json").read_bytes())
    assert good["status"] == "done"
    assert len(accumulate(own[5].folder.path).Scalars("loss/train")) > 20
    with pytest.raises(WriteError, match=r"metrics\.csv"):
        own[4].finish("done")


def test_when_no_run_can_be_written_the_error_is_raised(tmp_path):
    own = recorders(tmp_path)
    for one in own:
        break_run(one)
    with pytest.raises(WriteError, match=r"metrics\.csv"):
        flush_all(own)
    assert all(one.error for one in own)


def test_recording_nothing_is_no_error():
    flush_all([None, None])
    finish_all([None], [RunEnd("done")])


def open_files() -> int:
    """Descriptors of this process; 0 where the system does not tell."""
    return sum(1 for _ in Path("/proc/self").glob("fd/*"))


def test_after_a_flush_runs_hold_no_files(tmp_path):
    before = open_files()
    own = recorders(tmp_path, 50, ("a", "b"))
    steps = np.arange(100)
    values = np.ones((100, 50, 2), dtype=np.float32)
    for part in range(3):
        record_scalars(own, steps + 100 * part, steps / 1, values, values > 0, steps / 1)
        flush_all(own)
    assert open_files() == before


@pytest.mark.parametrize("steps", [[0, 0, 1], [-1, 0, 1], [2, 1, 3]])
def test_steps_are_0_or_above_and_increase(tmp_path, steps):
    values, line = np.zeros((3, RUNS, len(TAGS))), np.zeros(3)
    with pytest.raises(ValueError, match="steps must be 0 or above and increase"):
        record_scalars(recorders(tmp_path), np.array(steps), line, values, values == 0, line)


@pytest.mark.slow
def test_a_million_scalars_are_read_back_equal(tmp_path):
    """And cost at most a microsecond each, tables included; measured 0.12 µs.

    Every seventh run is read: what each holds is that of a run alone, as tested above.
    """
    runs, points, tags = 50, 1000, tuple(f"group/name{number}" for number in range(20))
    values = np.random.default_rng(0).normal(size=(points, runs, 20)).astype(np.float32)
    steps = np.arange(points)
    arguments = (steps, steps / 10, values, np.ones(values.shape, dtype=bool), 1e9 + steps)
    sweeps = iter([recorders(tmp_path / str(trial), runs, tags) for trial in range(3)])

    def write():
        own = next(sweeps)
        record_scalars(own, *arguments)
        flush_all(own)

    assert min(repeat(write, number=1, repeat=3)) / values.size < 1e-6
    for run in range(0, runs, 7):
        found = accumulate(tmp_path / "0" / "sweep" / f"seed={run}")
        assert found.Tags()["scalars"] == list(tags)
        for column, tag in enumerate(tags):
            series = found.Scalars(tag)
            assert [point.step for point in series] == list(range(points))
            read = np.array([point.value for point in series], dtype=np.float32)
            np.testing.assert_array_equal(read, values[:, run, column])
