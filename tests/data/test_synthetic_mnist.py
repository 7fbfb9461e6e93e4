"""Strokes of the digits: as long as they are by hand, points at equal distances, and ink."""

from __future__ import annotations

from hashlib import sha256
from math import dist, exp, hypot, pi

import numpy as np
import pytest

from mlr.data.synthetic_mnist import FONT, POINTS, SIZE, outline, render

GLYPHS = [glyph for digit in FONT for glyph in digit]
SEVEN = 0.7 + hypot(0.45, 1)


def test_every_digit_has_its_ways_of_writing():
    assert [len(digit) for digit in FONT] == [2, 3, 2, 2, 2, 2, 2, 3, 2, 2]


@pytest.mark.parametrize(
    ("digit", "way", "length"),
    [
        (1, 0, 1),
        (1, 1, hypot(0.25, 0.25) + 1),
        (1, 2, hypot(0.25, 0.25) + 1 + 0.5),
        (4, 0, 1 + hypot(0.5, 0.65) + 0.75),
        (7, 0, SEVEN),
        (7, 1, SEVEN + 0.45),
        (8, 0, pi * (0.52 + 0.59)),  # two rings, of about the circumference of round ones
        (9, 0, 2 * pi * 0.3 + hypot(0.08, 0.7)),
    ],
)
def test_a_glyph_is_as_long_as_its_lines_and_arcs(digit, way, length):
    points, found = outline(FONT[digit][way])
    assert points.shape == (POINTS, 2)
    assert found == pytest.approx(length, rel=5e-3)


@pytest.mark.parametrize("ends", [(0.3, 0.0, 0.3, 1.0), (0.1, 0.7, 0.9, 0.1)])
def test_points_are_at_equal_distances_from_end_to_end(ends):
    first, last = ends[:2], ends[2:]
    points, length = outline(((first, last),))
    np.testing.assert_allclose(points, np.linspace(first, last, 64), rtol=1e-12, atol=1e-15)
    assert length == pytest.approx(dist(first, last), rel=1e-12)


def test_arcs_go_clockwise_as_seen_from_the_right():
    points, _ = outline((((0.5, 0.4, 0.2, 0.1, 0, 2),),))
    np.testing.assert_allclose(points[0], [0.7, 0.4], atol=1e-12)
    np.testing.assert_allclose(points[-1], [0.3, 0.4], atol=1e-12)
    # half a turn that starts downward, which is where y grows
    np.testing.assert_allclose(points[31:33].mean(0), [0.5, 0.5], atol=1e-3)


def test_strokes_share_the_points_by_their_lengths():
    points, length = outline((((0, 0), (0, 0.75)), ((1, 0), (1, 0.25))))
    assert length == 1
    assert (points[:, 0] == [0] * 48 + [1] * 16).all()


def test_an_image_is_a_sum_of_round_dots():
    points = np.array([[[14.0, 14.0], [3.5, 20.0]], [[27.9, 0.1], [0.0, 40.0]]])
    ink, width = np.array([0.5, 3.0]), np.array([1.0, 2.0])
    images = render(points, ink, width)
    for image, dots, dark, wide in zip(images, points, ink, width, strict=True):
        for row in range(SIZE):
            for column in range(SIZE):
                squares = [(x - column - 0.5) ** 2 + (y - row - 0.5) ** 2 for x, y in dots]
                grey = sum(dark * exp(-square / (2 * wide**2)) for square in squares)
                assert image[row, column] == pytest.approx(min(1.0, grey), abs=1e-12)
    assert images.max() == 1.0


def test_the_font_is_drawn_as_ever():
    """Runs of one configuration are compared over years."""
    points = np.stack([outline(glyph)[0] for glyph in GLYPHS]) * [15, 18] + [6.5, 5]
    images = render(points, np.full(len(GLYPHS), 0.5), np.full(len(GLYPHS), 1.0))
    assert images.shape == (22, 28, 28)
    digest = sha256(np.round(255 * images).astype(np.uint8).tobytes()).hexdigest()
    assert digest == "4ac718bd745f507b663653c8ecfc11110df8a54615b9f2031808dd936a0d56c8"
