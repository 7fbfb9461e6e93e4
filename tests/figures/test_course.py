"""The course of a run on logarithmic axes: what it shows, read again from metrics.csv."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import BytesIO
from math import log10

import numpy as np
import pytest
from PIL import Image

from mlr.figures import canvas, course
from mlr.figures.record import PICTURES
from tests.figures.made import KINDS, moment
from tests.records.reading import accumulate

HEADER = "step,epoch,loss/train,logit_grad/wrong,logit_grad/right,stuck/fraction,accuracy/train"
ROWS = """
0,0.0,4.0,100.0,0.5,0.0,0.25
1,0.1,2.0,0.0,0.25,1.0,0.5
10,1.0,,0.01,,0.5,0.75
100,9.0,0.5,inf,0.0,,1.0
"""


def at(tmp_path, step=100, rows=ROWS, name="one output", header=HEADER):
    """The course of a run that recorded these rows, at a moment of it."""
    path = tmp_path / "metrics.csv"
    path.write_text(f"{header}\n{rows.strip()}\n")
    return course.collect(replace(moment(**KINDS[name]), step=step, metrics=path))


def lines(found) -> dict[str, list[tuple[int, float]]]:
    return {
        f"{panel.label}: {line.name}": list(
            zip(line.steps.tolist(), line.values.tolist(), strict=True)
        )
        for panel in found.panels
        for line in panel.lines
    }


def test_the_panels_hold_what_was_recorded(tmp_path):
    found = lines(at(tmp_path))
    assert list(found) == [
        *("loss: train", "‖dL/dz‖: wrong", "‖dL/dz‖: right", "share: stuck", "share: accuracy")
    ]
    assert found["loss: train"] == [(0, 4.0), (1, 2.0), (100, 0.5)]
    assert found["‖dL/dz‖: right"] == [(0, 0.5), (1, 0.25), (100, 0.0)]
    assert found["share: stuck"] == [(0, 0.0), (1, 1.0), (10, 0.5)]
    *wrong, (last, nothing) = found["‖dL/dz‖: wrong"]
    assert wrong == [(0, 100.0), (1, 0.0), (10, pytest.approx(0.01))]
    assert last == 100
    assert np.isnan(nothing)


@pytest.mark.parametrize(("step", "points"), [(0, None), (1, 2), (10, 3), (99, 3)])
def test_a_moment_shows_what_was_before_it(tmp_path, step, points):
    found = at(tmp_path, step)
    assert (None if found is None else len(lines(found)["‖dL/dz‖: wrong"])) == points


def test_the_first_updates_have_room_and_the_spike_is_whole(tmp_path):
    (axes,) = course.draw(at(tmp_path), "title").axes
    updates = [0, log10(2), log10(11), log10(101)]  # 0 stands where log 1 does
    assert axes.get_xlim() == pytest.approx((0, log10(101)))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "10", "100"]
    assert axes.get_xticks().tolist() == pytest.approx(updates)
    curves = [one for one in axes.lines if one.get_color() == canvas.WRONG]
    (wrong,) = [one for one in curves if len(one.get_xdata()) == 4]
    assert wrong.get_xdata().tolist() == pytest.approx(updates)
    # of three bands the one from 1.45 to 2.45: from 100 to 0.01, and 0 below them
    heights = wrong.get_ydata()
    assert heights[:3].tolist() == pytest.approx([2.45, 1.45, 1.45 + 0.7 / 4.7])
    assert np.isnan(heights[3])
    band = [
        (label.get_text(), place)
        for label, place in zip(axes.get_yticklabels(), axes.get_yticks(), strict=True)
        if 1.4 < place < 2.5
    ]
    places = {"0": 1.45, "0.01": 1.45 + 0.7 / 4.7, "1": 1.45 + 2.7 / 4.7, "100": 2.45}
    assert dict(band) == pytest.approx(places)


@pytest.mark.parametrize(
    ("rows", "ticks"),
    [
        ("0,0,1\n9,1,1", ["1"]),
        ("0,0,0\n9,1,0", ["0"]),
        ("0,0,0.98\n9,1,0.015", ["0.02", "0.1", "0.5"]),
        ("0,0,3000\n9,1,2e-9", ["10⁻⁸", "10⁻⁴", "1"]),
        ("0,0,500\n9,1,0.5", ["1", "10", "100"]),
        ("0,0,2\n5,1,-7\n9,1,inf", ["-5", "0"]),
        ("0,0,-3\n9,1,-3", ["-6", "-4", "-2", "0"]),
        ("0,0,1e30\n9,1,1e-30\n10,2,0", ["0", "10⁻²⁰", "1", "10²⁰"]),
    ],
)
def test_few_ticks_say_where_the_curve_is(tmp_path, rows, ticks):
    found = at(tmp_path, 10, rows, header="step,epoch,loss/train")
    (axes,) = course.draw(found, "title").axes
    assert [one.get_text() for one in axes.get_yticklabels()] == ticks


def test_a_gradient_that_is_always_0_is_at_the_bottom(tmp_path):
    found = at(tmp_path, 9, "0,0,0\n9,1,0", header="step,epoch,logit_grad/wrong")
    (axes,) = course.draw(found, "title").axes
    (line,) = axes.lines
    assert (line.get_ydata().tolist(), axes.get_yticks().tolist()) == ([0.0, 0.0], [0.0])


def test_a_regression_has_no_wrong_examples(tmp_path):
    header = "step,epoch,loss/train,logit_grad/mean"
    found = lines(at(tmp_path, 9, "0,0,2,3\n9,1,1,2", "a line", header))
    assert found["‖dL/dz‖: all examples"] == [(0, 3.0), (9, 2.0)]


@pytest.mark.parametrize("rows", ["", "0,0,1", "0,0,inf\n9,1,inf", "0,0,\n9,1,"])
def test_without_numbers_there_is_no_course(tmp_path, rows):
    assert at(tmp_path, 9, rows, header="step,epoch,loss/train") is None


def test_a_run_has_one_by_default_as_a_card_shows_it(train, monkeypatch):
    monkeypatch.setattr("mlr.figures.record.PICTURES", PICTURES)
    finished = train("data=blobs", "head=sigmoid", "loss=se", "epochs=2")
    assert (finished.code, finished.err.strip()) == (0, "")
    (folder,) = finished.runs
    found = accumulate(folder)
    (event,) = found.Images("figure/course")
    image = Image.open(BytesIO(event.encoded_image_string))
    assert (image.width, image.height) == (350, 350)
    assert len(event.encoded_image_string) < 30_000
    with (folder / "metrics.csv").open(newline="") as file:
        last = max(int(row["step"]) for row in csv.DictReader(file))
    assert event.step == last
    assert "‖dL/dz‖" in found.SummaryMetadata("figure/course").summary_description
