"""Figures as images, in event files that TensorBoard reads, and never in a run's way."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from tensorboard.plugins.pr_curve import metadata as pr_metadata
from tensorboard.util import tensor_util

from mlr.figures import canvas, record, weights
from mlr.figures.record import PICTURES
from mlr.models import Mlp
from tests.figures.made import KINDS, moment
from tests.records.reading import accumulate

EXPECTED = {
    "one output": {"loss_curve", "decision", "most_wrong", "confusion", "reliability"},
    "linear": {"loss_curve", "decision", "most_wrong", "confusion"},
    "images": {"loss_curve", "weights", "most_wrong", "confusion", "reliability"},
    "a line with spread": {"fit", "most_wrong"},
    "many features": {"loss_curve", "fit", "most_wrong"},
    "a neuron": {"loss_curve", "fit", "most_wrong", "confusion", "reliability"},
}
DIGITS = ("data=digits", "epochs=1", "probes.points=4")


@pytest.fixture
def drawing(train, monkeypatch):
    """Runs scripts/train.py's main with its figures."""
    monkeypatch.setattr("mlr.figures.record.PICTURES", PICTURES)
    return train


def pictures(folder) -> dict[str, list[int]]:
    """Steps of each figure and curve that TensorBoard finds in a run's folder."""
    found = accumulate(folder)
    tags = found.Tags()
    curves = [tag for tag in tags["tensors"] if tag.startswith("pr_curve/")]
    return {
        **{tag: [event.step for event in found.Images(tag)] for tag in tags["images"]},
        **{tag: [event.step for event in found.Tensors(tag)] for tag in curves},
    }


def assert_whole(figure):
    """Axes lie below the title, and all words within the figure."""
    renderer, paper = figure.canvas.get_renderer(), figure.bbox.padded(1)
    title = figure.texts[0].get_window_extent(renderer)
    for axes in figure.axes:
        assert paper.y0 <= axes.bbox.y0 < axes.bbox.y1 < title.y0
        assert paper.x0 <= axes.bbox.x0 < axes.bbox.x1 <= paper.x1
    for text in [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]:
        extent = text.get_window_extent(renderer)
        assert paper.x0 <= extent.x0 <= extent.x1 <= paper.x1, text
        assert paper.y0 <= extent.y0 <= extent.y1 <= paper.y1, text


@pytest.mark.parametrize("name", EXPECTED)
def test_what_makes_sense_is_drawn_as_a_card_shows_it(name):
    one = moment(**KINDS[name])
    drawn = {}
    for picture in PICTURES:
        found = picture.collect(one)
        if found is not None:
            figure = picture.draw(found, picture.title)
            drawn[picture.name] = canvas.png(figure)
            assert_whole(figure)
    assert set(drawn) == EXPECTED[name]
    for content in drawn.values():
        image = Image.open(BytesIO(content))
        assert (image.format, image.width) == ("PNG", 350)
        assert 250 <= image.height <= 350
        assert len(content) < 30_000
        pixels = np.asarray(image.convert("L"))
        assert pixels[0, 0] == 255
        assert (pixels < 128).mean() > 0.002  # something is written there


def test_hidden_units_and_many_classes_are_drawn():
    for changes in (
        {"classes": 3, "model": Mlp(widths=[30])},
        {"classes": 14, "model": Mlp(widths=[3])},
    ):
        one = moment((1, 4, 4), head="softmax", loss="ce", **changes)
        for picture in PICTURES:
            found = picture.collect(one)
            assert found is None or canvas.png(picture.draw(found, picture.title))


def test_a_run_has_figures_of_its_moments(drawing):
    finished = drawing(*DIGITS, "probes.figures=3")
    assert (finished.code, finished.err.strip()) == (0, "")
    (folder,) = finished.runs
    found = pictures(folder)
    assert found.pop("figure/course") == [40]  # before there is one point at most
    assert {tag for tag in found if tag.startswith("figure/")} == {
        f"figure/{name}" for name in EXPECTED["images"]
    }
    assert {f"pr_curve/{number}" for number in range(10)} <= set(found)
    assert set(map(tuple, found.values())) == {(0, 6, 40)}


def test_tensorboard_reads_the_images_and_the_curves(drawing):
    (folder,) = drawing(*DIGITS).runs
    found = accumulate(folder)
    (event,) = found.Images("figure/weights")
    image = Image.open(BytesIO(event.encoded_image_string))
    assert (image.width, image.height) == (event.width, event.height)
    about = found.SummaryMetadata("figure/weights")
    assert about.plugin_data.plugin_name == "images"
    assert about.summary_description == f"{weights.CAPTION} Run {folder.name}."
    (event,) = found.Tensors("pr_curve/3")
    columns = tensor_util.make_ndarray(event.tensor_proto)
    about = found.SummaryMetadata("pr_curve/3").plugin_data
    plugin = pr_metadata.parse_plugin_metadata(about.content)
    assert about.plugin_name == pr_metadata.PLUGIN_NAME
    assert columns.shape == (6, plugin.num_thresholds)
    assert columns[pr_metadata.RECALL_INDEX, 0] == 1  # at threshold 0 all are called


def test_figures_can_be_left_out(drawing):
    (folder,) = drawing(*DIGITS, "probes.figures=0").runs
    assert pictures(folder) == {}


def test_a_figure_that_fails_does_not_fail_the_run(drawing, monkeypatch):
    def broken(found, title):
        raise ZeroDivisionError("on purpose")

    first, *others = PICTURES
    monkeypatch.setattr(record, "PICTURES", (first, others[0]._replace(draw=broken), *others))
    finished = drawing("data=blobs", "epochs=1")
    assert finished.code == 0
    (line,) = finished.err.strip().splitlines()
    assert line.startswith("mlr: ")
    assert line.endswith("has not all figures: ZeroDivisionError: on purpose")
    assert finished.status()["status"] == "done"
    assert set(pictures(finished.runs[0])) == {"figure/loss_curve"}


def test_a_diverged_run_is_drawn_as_long_as_it_had_numbers(drawing):
    finished = drawing("experiment=line", "optimizer.lr=1e9", "probes.figures=3", "epochs=2")
    assert finished.status()["status"] == "diverged"
    assert finished.err.strip() == ""
    assert pictures(finished.runs[0])["figure/fit"][0] == 0


def test_of_a_sweep_the_first_run_of_each_kind_is_drawn(drawing):
    line = ("data=blobs", "epochs=1", "head=sigmoid", "loss=bce,se", "seed=0,1,2")
    finished = drawing("-m", *line, "hydra.sweep.dir=sweep")
    drawn = {run.name for run in finished.runs if pictures(run)}
    assert drawn == {f"sigmoid+{loss},seed=0" for loss in ("bce", "se")}
