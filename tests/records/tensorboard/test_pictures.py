"""Figures and curves are copied whole, and nothing else is."""

from tensorboard.compat.proto.summary_pb2 import Summary

from mlr.records.tensorboard.event_writer import EventWriter
from mlr.records.tensorboard.hparams import hparams_summaries
from mlr.records.tensorboard.pictures import picture_records
from tests.records.reading import events


def write(folder, *tags):
    folder.mkdir(exist_ok=True)
    writer = EventWriter(folder)
    for summary in hparams_summaries({"data.path": "figure/data.csv"}, ["loss/val"]):
        writer.summary(summary, 0)
    for step, tag in enumerate(tags):
        image = Summary.Image(height=1, width=1, colorspace=3, encoded_image_string=b"figure/x")
        writer.summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)
    writer.flush()
    return writer.path


def copied(folder, records):
    """Tags and steps of the records, their checksums verified."""
    path = folder / "copy"
    path.write_bytes(records)
    return [(event.summary.value[0].tag, event.step) for event in events(path)]


def test_pictures_are_copied_and_nothing_else(tmp_path):
    write(tmp_path / "run", "figure/weights", "other/figure", "pr_curve/1")
    found = picture_records(tmp_path / "run")
    assert copied(tmp_path, found) == [("figure/weights", 0), ("pr_curve/1", 2)]


def test_a_cut_file_gives_what_is_whole_in_it(tmp_path):
    path = write(tmp_path / "run", "figure/weights", "figure/fit")
    path.write_bytes(path.read_bytes()[:-3])
    assert copied(tmp_path, picture_records(tmp_path / "run")) == [("figure/weights", 0)]


def test_a_run_without_pictures_gives_nothing(tmp_path):
    write(tmp_path / "run", "other/figure")
    assert picture_records(tmp_path / "run") == b""
    assert picture_records(tmp_path / "nowhere") == b""
