from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mlr.app.figures.command import main
from mlr.app.figures.drawings import Drawings
from mlr.app.trained import restored
from mlr.records.reading import read_runs
from tests.app.figures.by_numpy import logits
from tests.app.figures.conftest import PICTURES

FRAMES = 5


@pytest.fixture(autouse=True)
def few_frames(monkeypatch):
    monkeypatch.setattr(restored, "FRAMES", FRAMES)


def drawn(run, name):
    return Drawings(read_runs(run), [], []).moving[name]()


def limits(figure):
    return [(axes.get_xlim(), axes.get_ylim(), tuple(axes.get_xticks())) for axes in figure.axes]


@pytest.mark.parametrize("name", ["loss_curve", "decision"])
def test_axes_are_the_same_in_all_frames(xor, name):
    frames = drawn(xor, name)
    assert len(frames) == FRAMES
    assert {str(limits(one)) for one in frames} == {str(limits(frames[0]))}
    titles = [one.texts[0].get_text() for one in frames]
    assert titles[0].endswith(", step 0 of 30")
    assert titles[-1].endswith(", step 30 of 30")
    assert len(set(titles)) == FRAMES


def test_the_axes_of_a_fit_are_the_same_in_all_frames(made):
    frames = drawn(made("line", "experiment=line", "steps=30"), "fit")
    assert len(frames) == FRAMES
    assert {str(limits(one)) for one in frames} == {str(limits(frames[0]))}
    (axes,) = frames[-1].axes
    for one in frames:
        y = one.axes[0].lines[-1].get_ydata()
        assert axes.get_ylim()[0] <= y.min() <= y.max() <= axes.get_ylim()[1]


def test_the_last_frame_has_the_examples_where_the_final_parameters_put_them(xor):
    frames = drawn(xor, "loss_curve")
    last = Drawings(read_runs(xor), [], [])._restored.last
    x, t = last.train.features, last.train.labels
    z = logits(xor, x)[:, 0]
    marks = [line for line in frames[-1].axes[0].lines if line.get_marker() == "|"]
    found = np.concatenate([np.column_stack(line.get_data()) for line in marks])
    told = np.column_stack([z, np.log1p(np.exp(np.where(t == 1, -z, z)))])
    for points in (found, told):
        assert len(points) == len(x)
    order = lambda points: points[np.lexsort(points.round(3).T)]  # noqa: E731
    np.testing.assert_allclose(order(found), order(told), rtol=1e-3, atol=1e-3)


def test_the_last_boundary_is_where_the_final_parameters_give_logit_0(xor):
    (axes,) = drawn(xor, "decision")[-1].axes
    (lines,) = axes.collections
    points = np.concatenate([path.vertices for path in lines.get_paths()])
    assert len(points) > 50
    assert np.abs(logits(xor, points)).max() < 0.1
    inner = np.random.default_rng(0).uniform([-1.5, -1.5], [1.5, 1.5], (200, 2))
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    size = len(image.get_array())
    columns = ((inner[:, 0] - left) / (right - left) * size).astype(int)
    rows = ((inner[:, 1] - bottom) / (top - bottom) * size).astype(int)
    colours = image.get_array()[rows, columns]
    z = logits(xor, inner)[:, 0]
    blue = colours[:, 2] > colours[:, 0]
    sure = np.abs(z) > 0.2
    np.testing.assert_array_equal(blue[sure], z[sure] > 0)


@pytest.mark.slow
def test_an_animation_repeats_for_ever_and_holds_its_last_frame(xor, capfd):
    assert main([str(xor)], formats="gif,webp,apng") == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert "\n  decision.gif  decision.webp  decision.apng\n" in out
    lasts = []
    for name in ("decision", "loss_curve"):
        for kind in ("gif", "webp", "apng"):
            path = xor / "figures" / f"{name}.{kind}"
            image = Image.open(BytesIO(path.read_bytes()))
            assert image.format == {"gif": "GIF", "webp": "WEBP", "apng": "PNG"}[kind]
            assert (image.n_frames, image.size) == (FRAMES, (700, 660))
            assert image.info["loop"] == 0
            times = []
            for place in range(FRAMES):
                image.seek(place)
                image.load()
                times.append(image.info["duration"])
            assert times == [150] * (FRAMES - 1) + [2500]
            lasts.append(np.asarray(image.convert("RGB")))
            assert (lasts[-1][0, 0] == 255).all()  # white paper
            assert path.stat().st_size < 3e6
    for one in (1, 2):
        np.testing.assert_array_equal(lasts[0], lasts[one])
        np.testing.assert_array_equal(lasts[3], lasts[3 + one])
    assert main([str(xor)], formats="gif,webp,apng") == 0  # replaced: they are its own


def test_a_run_that_nothing_suits_is_not_trained_again(made, monkeypatch, capfd):
    run = made("gaussian", "experiment=line", "head=gaussian", "loss=gaussian_nll", "steps=3")
    frames = Drawings(read_runs(run), [], [])
    monkeypatch.setattr("mlr.app.figures.drawings.trained_again", None)
    for name in ("decision", "loss_curve"):
        with pytest.raises(Exception, match="It needs"):
            frames.moving[name]()


def test_frames_without_finite_numbers_are_left_out(train, tmp_path, monkeypatch):
    line = ("experiment=line", "optimizer.lr=1e6", "schedule=constant", "steps=30")
    assert train(*line, f"hydra.run.dir={tmp_path / 'high'}").code == 4
    monkeypatch.setattr("mlr.figures.record.PICTURES", PICTURES)
    frames = drawn(tmp_path / "high", "fit")
    assert 1 <= len(frames) <= FRAMES
    for axes in frames[-1].axes:
        assert np.isfinite(axes.get_ylim()).all()
