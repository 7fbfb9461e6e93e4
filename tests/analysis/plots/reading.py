"""Runs' own files, read without mlr, and what a figure shows."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg


def table(run: Path, tag: str) -> dict[int, float]:
    """Recorded values of metrics.csv by update."""
    with (run / "metrics.csv").open(newline="") as file:
        return {int(row["step"]): float(row[tag]) for row in csv.DictReader(file) if row.get(tag)}


def statistics(runs: list[Path], tag: str) -> dict[str, np.ndarray]:
    """Updates, mean and the quantiles of 10 and 90 % over runs that logged the same updates."""
    tables = [table(run, tag) for run in runs]
    steps = sorted(tables[0])
    assert all(sorted(one) == steps for one in tables)
    values = np.array([[one[step] for step in steps] for one in tables])
    low, high = np.quantile(values, [0.1, 0.9], axis=0)
    return {"steps": np.array(steps), "mean": values.mean(0), "low": low, "high": high}


def final(run: Path, metric: str) -> float:
    """Final number of status.json."""
    return float(json.loads((run / "status.json").read_text())["metrics"][metric])


def curve(axes, name: str) -> np.ndarray:
    """Points (N, 2) of the line with this label."""
    (line,) = [one for one in axes.lines if one.get_label() == name]
    return np.column_stack(line.get_data())


def band(axes, nth: int = 0) -> np.ndarray:
    """Lower and upper edge (2, N) of a band."""
    vertices = axes.collections[nth].get_paths()[0].vertices
    xs = np.unique(vertices[:, 0])
    edges = [[vertices[vertices[:, 0] == x, 1] for x in xs]]
    return np.array([[own.min() for own in edges[0]], [own.max() for own in edges[0]]])


def names(figure) -> list[str]:
    """Texts of the legend."""
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


def assert_inside(figure) -> None:
    """Assert that legends are apart from the axes, and every text is within the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    for legend in figure.legends:
        box = legend.get_window_extent(renderer)
        assert not any(axes.get_window_extent(renderer).overlaps(box) for axes in figure.axes)
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1
    for axes in filter(Axes.get_visible, figure.axes):
        whole = axes.get_tightbbox(renderer)
        assert whole.x0 >= 0
        assert whole.y0 >= 0
        assert whole.x1 <= figure.bbox.x1 + 1
        assert whole.y1 <= figure.bbox.y1 + 1
