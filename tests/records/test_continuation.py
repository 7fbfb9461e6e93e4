"""Positions from which the records of a run continue, and from which they do not."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from tensorboard.compat.proto.summary_pb2 import Summary

from mlr.core.checks import DataError
from mlr.records import Recorder, RunFolder
from mlr.records.continuation import check_files, check_position, repeated_records, truncate
from mlr.records.growing_file import new_events
from mlr.records.recorder import RunEnd, finish_all
from tests.records.reading import accumulate, event_files, points
from tests.records.written import record_one, write_events

TAGS = ("loss/train", "loss/val")


def record(recorder, steps, values):
    """Losses of training at these steps, and of validation at the last."""
    numbers = np.array([[value, 2 * value] for value in values], np.float32)
    present = np.ones(numbers.shape, dtype=bool)
    present[:-1, 1] = False
    steps = np.array(steps)
    record_one(recorder, steps, steps / 10, numbers, present)


@pytest.fixture
def kept(tmp_path):
    """A run's folder, and a position after step 4."""
    recorder = Recorder(RunFolder.claim(tmp_path / "run"), TAGS, {"lr": 0.1})
    record(recorder, [0, 2, 4], [1 / 3, 0.5, 0.25])
    position = recorder.position()
    record(recorder, [6, 8], [9.0, 9.0])  # taken back by whoever goes on
    recorder.flush()
    return recorder.folder, position


@pytest.mark.parametrize("times", [1, 2])
def test_a_run_goes_on_where_it_was_kept(kept, times):
    folder, position = kept
    for _ in range(times):
        recorder = Recorder.resume(folder, TAGS, position, 5)
    assert (recorder.step, recorder.epoch, recorder.dtype) == (4, 0.4, np.float32)
    assert recorder.seen.tolist() == [4, 4]
    record(recorder, [7], [1.5])
    # what the last step has keeps its number, and new ones have the digits of the others
    finish_all([recorder], [RunEnd("done", {"loss/train": 1 / 3, "loss/test": 0.1}, at=(7, 0.7))])
    assert folder.metrics.read_text().splitlines() == [
        "step,epoch,loss/train,loss/val",
        "0,0.0,0.33333334,",
        "2,0.2,0.5,",
        "4,0.4,0.25,0.5",
        "7,0.7,1.5,3.0",
    ]
    found = accumulate(folder.path)
    train = [(one.step, one.value) for one in found.Scalars("loss/train")]
    assert train == [(0, float(np.float32(1 / 3))), (2, 0.5), (4, 0.25), (7, 1.5)]
    assert [(one.step, one.value) for one in found.Scalars("loss/val")] == [(4, 0.5), (7, 3.0)]
    assert len(event_files(folder.path)) == 2
    assert {path.name for path in event_files(folder.path)} < folder.status["files"].keys()


def test_final_numbers_have_the_digits_of_what_was_recorded_before(kept):
    folder, position = kept
    recorder = Recorder.resume(folder, TAGS, position, 5)
    finish_all([recorder], [RunEnd("done", {"loss/train": 7.0, "loss/val": 1 / 3}, at=(5, 0.5))])
    assert folder.metrics.read_text().splitlines()[-1] == "5,0.5,7.0,0.33333334"


def test_a_run_with_other_tags_does_not_go_on(kept):
    folder, position = kept
    with pytest.raises(DataError, match="was recorded with other tags; its probes differ"):
        Recorder.resume(folder, (*TAGS, "accuracy/train"), position, 5)
    assert "9.0" in folder.metrics.read_text()


NAME = "events.out.tfevents.1"
WRONG = {
    "step": [-1, None, 4.0, True, 2**62],
    "epoch": [-0.5, None, "x"],
    "seen": [None, [4, -2], [4, None], 4],
    "dtype": ["int32", None],
    "table": [None, []],
    "events": [
        *(None, {}, [], {NAME: -1}, {NAME: None}, {NAME: 2**62}, {"metrics.csv": 1}),
        *({f"{NAME}{end}": 1} for end in ("/../../x", "\\x", "\0")),
    ],
    "table.bytes": [-1, None, 5, 2**62],
    "table.step": [-2, None, 4.0],
    "table.last": [None, 4],
    "table.sha256": [None, 4],
}


@pytest.mark.parametrize(("key", "value"), [(key, one) for key in WRONG for one in WRONG[key]])
def test_what_is_no_position_is_refused(kept, key, value):
    folder, position = kept
    check_position(folder.path, position)
    spoiled = deepcopy(position)
    *outer, name = key.split(".")
    (spoiled["table"] if outer else spoiled)[name] = value
    missing = deepcopy(position)
    del (missing["table"] if outer else missing)[name]
    for wrong in (spoiled, missing, None, []):
        with pytest.raises(DataError, match="does not say where its records end"):
            check_position(folder.path, wrong)


def test_the_least_position(tmp_path):
    """Of a run that has recorded nothing yet."""
    recorder = Recorder(RunFolder.claim(tmp_path / "run"), TAGS, {})
    position = recorder.position()
    assert (position["step"], position["table"]["step"], position["seen"]) == (0, -1, [-1, -1])
    check_position(recorder.folder.path, position)
    again = Recorder.resume(recorder.folder, TAGS, position, 0)
    record(again, [0], [0.5])
    again.flush()
    rows = ["step,epoch,loss/train,loss/val", "0,0.0,0.5,1.0"]
    assert recorder.folder.metrics.read_text().splitlines() == rows


def test_files_that_are_cut_off_are_named(kept):
    folder, position = kept
    (name, size), last = *position["events"].items(), position["table"]["last"]
    before = position["table"]["bytes"] - len(last)
    assert last == "4,0.4,0.25,0.5\n"
    for path, most in ((folder.metrics, before), (folder.path / name, size)):
        content = path.read_bytes()
        path.write_bytes(content[:most])  # the last row is written once more
        check_position(folder.path, position)
        path.write_bytes(content[: most - 1])
        with pytest.raises(DataError) as caught:
            check_position(folder.path, position)
        assert f"{path} has {most - 1} of the {most} bytes" in str(caught.value)
        aside = path.with_name("aside")
        aside.write_bytes(content)
        path.unlink()
        with pytest.raises(DataError, match=f"has 0 of the {most} bytes"):
            check_position(folder.path, position)
        path.symlink_to(aside)
        with pytest.raises(DataError, match=f"has 0 of the {most} bytes"):
            check_position(folder.path, position)
        path.unlink()
        aside.rename(path)


def test_files_that_were_changed_are_named(kept):
    folder, position = kept
    ((name, size),) = position["events"].items()
    check_files(folder.path, position)
    for path, most, told in (
        (folder.path / name, size, "is damaged at byte"),
        (folder.metrics, 60, "is damaged within its first"),
    ):
        content = path.read_bytes()
        for at, matters in ((most - 9, True), (len(content) - 1, False)):
            path.write_bytes(content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :])
            if matters:
                with pytest.raises(DataError, match=told):
                    check_files(folder.path, position)
            else:  # behind the position
                check_files(folder.path, position)
        path.write_bytes(content)


def test_event_files_of_later_are_removed(tmp_path):
    for name, content in ((NAME, b"abcdef"), (f"{NAME}.later", b"x"), ("notes.txt", b"mine")):
        (tmp_path / name).write_bytes(content)
    truncate(tmp_path, {NAME: 4})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        NAME: b"abcd",
        "notes.txt": b"mine",
    }


def test_however_often_it_goes_on_at_a_step_that_is_told_once(tmp_path):
    numbers = ((3, 0.5), (5, 0.25))
    values = (Summary.Value(tag="loss/val", simple_value=value) for _, value in numbers)
    pairs = zip((Summary(value=[one]) for one in values), (3, 5), strict=True)
    first = write_events(tmp_path, *pairs)
    sizes = {first.name: first.stat().st_size}
    for step in (5, 5, 3, 5):
        again = new_events(tmp_path, purge_step=step)
        again.add(repeated_records(tmp_path, sizes, step))
        again.flush()
        sizes[again.path.name] = again.size
        assert points(tmp_path) == {"loss/val": [(3, "0.5"), (5, "0.25")]}
