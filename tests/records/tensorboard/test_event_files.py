"""Scalars of event files, compared with TensorBoard's own reader."""

from __future__ import annotations

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event

from mlr.core.checks import DataError, UnreadableError
from mlr.records.tensorboard.event_files import Points, in_order, read_event_file, runs_of
from tests.records.reading import accumulate, event_files
from tests.records.tensorboard.logging import as_tensor, by_torch, scalar, text, write_events

NAME = "events.out.tfevents.1"


@pytest.mark.parametrize("new_style", [False, True])
def test_scalars_of_torch_are_read_as_tensorboard_reads_them(tmp_path, new_style):
    folder = by_torch(
        tmp_path, {"loss": [2.5, 0.1, float("nan")], "acc": [1.0]}, first=7, new_style=new_style
    )
    (path,) = event_files(folder)
    found = read_event_file(path)
    assert found.damage == ""
    read = accumulate(folder)
    shown = {
        tag: [(one.step, one.value) for one in read.Scalars(tag)] for tag in read.Tags()["scalars"]
    }
    if new_style:  # which that reader shows as tensors
        shown = {"loss": [(7, 2.5), (8, np.float32(0.1)), (9, np.nan)], "acc": [(7, 1.0)]}
    assert found.scalars.keys() == shown.keys() == {"loss", "acc"}
    for tag, points in shown.items():
        steps, values = zip(*points, strict=True)
        np.testing.assert_array_equal(found.scalars[tag].steps, steps)
        np.testing.assert_array_equal(found.scalars[tag].values, values)


def test_tensors_of_keras_are_read_and_texts_and_other_plugins_are_not(tmp_path):
    path = write_events(
        tmp_path / NAME,
        Event(wall_time=5.0, file_version="brain.Event:2"),
        as_tensor("epoch_loss", 3, 0.25),
        as_tensor("curve", 3, 0.25, plugin="pr_curves"),
        text("args"),
        scalar("old", 4, 0.5),
    )
    found = read_event_file(path)
    assert found.started == 5.0
    assert {tag: (*p.steps, *p.values) for tag, p in found.scalars.items()} == {
        "epoch_loss": (3, 0.25),
        "old": (4, 0.5),
    }


def test_a_file_that_ends_in_half_a_record_is_read_up_to_it(tmp_path):
    path = write_events(tmp_path / NAME, *(scalar("loss", step, 1.0) for step in range(9)))
    path.write_bytes(path.read_bytes()[:-3])
    found = read_event_file(path)
    assert list(found.scalars["loss"].steps) == list(range(8))
    assert found.damage.endswith("ends in half a record: its training was killed or runs")


def test_a_flipped_bit_is_named_and_what_follows_is_left_out(tmp_path):
    path = write_events(tmp_path / NAME, *(scalar("loss", step, 1.0) for step in range(9)))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = read_event_file(path)
    assert list(found.scalars["loss"].steps) == [0, 1, 2, 3]
    assert "is damaged at byte" in found.damage
    assert "left out" in found.damage


def test_records_of_something_else_are_named(tmp_path):
    from mlr.records.encoding import record

    path = write_events(tmp_path / NAME, scalar("loss", 1, 1.0))
    path.write_bytes(path.read_bytes() + record(b"\xff\xff\xff"))
    found = read_event_file(path)
    assert len(found.scalars["loss"].steps) == 1
    assert found.damage.endswith("holds a record that is no event of TensorBoard")


def test_anything_else_is_refused_in_a_sentence(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<html>404</html>")
    with pytest.raises(DataError, match=r"page\.html is damaged at its first record, or no event"):
        read_event_file(page)
    (tmp_path / "empty").touch()
    assert read_event_file(tmp_path / "empty").scalars == {}
    with pytest.raises(UnreadableError, match="none cannot be read: No such file"):
        read_event_file(tmp_path / "none")


def points(*pairs: tuple[int, float]) -> Points:
    steps, values = zip(*pairs, strict=True)
    return Points(np.array(steps), np.array(values, dtype=float))


def listed(found: Points) -> list[tuple[int, float]]:
    return list(zip(found.steps.tolist(), found.values.tolist(), strict=True))


def test_the_last_value_of_a_step_counts():
    found = in_order(points((0, 3), (1, 2), (1, 1), (2, 0)))
    assert listed(found) == [(0, 3), (1, 1), (2, 0)]
    assert found.counted


@pytest.mark.parametrize("steps", [[0] * 6, [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]])
def test_steps_that_do_not_count_updates_are_replaced_by_numbers(steps):
    """None given, epochs, and batches within an epoch of a loss that goes on falling."""
    found = in_order(points(*zip(steps, [6, 5, 4, 3, 2, 1], strict=True)))
    assert listed(found) == [(1, 6), (2, 5), (3, 4), (4, 3), (5, 2), (6, 1)]
    assert not found.counted


def test_a_second_training_in_the_same_file_replaces_the_first():
    found = in_order(points((0, 9), (1, 5), (2, 1), (0, 8), (1, 4), (2, 2)))
    assert listed(found) == [(0, 8), (1, 4), (2, 2)]
    assert found.counted


def test_a_training_that_goes_on_from_an_earlier_step_replaces_the_later_ones():
    found = in_order(points((0, 9), (1, 5), (2, 4), (3, 3), (2, 40), (3, 30), (4, 20)))
    assert listed(found) == [(0, 9), (1, 5), (2, 40), (3, 30), (4, 20)]
    assert found.counted


def file(folder, name, *events):
    return read_event_file(write_events(folder / name, *events))


def test_a_later_file_goes_on_and_one_that_begins_again_is_another_training(tmp_path):
    first = file(tmp_path, "b", *(scalar("loss", step, 9 - step, 100) for step in range(5)))
    resumed = file(tmp_path, "a", *(scalar("loss", step, -step, 200) for step in range(3, 6)))
    again = file(tmp_path, "c", *(scalar("loss", step, 1, 300) for step in range(2)))
    other = file(tmp_path, "d", scalar("val", 0, 5, 301))
    runs = list(runs_of([again, resumed, other, first]))
    assert [[one.path.name for one in files] for files, _ in runs] == [["b", "a"], ["c", "d"]]
    assert listed(runs[0][1]["loss"]) == [(0, 9), (1, 8), (2, 7), (3, -3), (4, -4), (5, -5)]
    assert runs[1][1].keys() == {"loss", "val"}


def test_a_file_without_scalars_is_of_the_next_training(tmp_path):
    empty = file(tmp_path, "a", Event(wall_time=1.0, file_version="brain.Event:2"))
    loss = file(tmp_path, "b", scalar("loss", 0, 1, 2))
    ((files, scalars),) = runs_of([loss, empty])
    assert [one.path.name for one in files] == ["a", "b"]
    assert scalars.keys() == {"loss"}
