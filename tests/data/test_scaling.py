"""Numbers of every scaling by hand: of training, and of examples that it was not fitted on."""

import numpy as np
import pytest

from mlr.data import Idx, scaling
from mlr.data.prepare import Arrays

TRAIN = [[1, 7, -2], [2, 7, 0], [3, 7, 2], [6, 7, 4]]
OTHER = [[10, 9, -100]]
# columns: means 3, 7, 1; variances (4 + 1 + 0 + 9) / 4 = 3.5, 0, (9 + 1 + 1 + 9) / 4 = 5
A, B = 3.5**0.5, 5**0.5
BY_COLUMN = {
    "none": (TRAIN, OTHER),
    "standardize": (
        [[-2 / A, 0, -3 / B], [-1 / A, 0, -1 / B], [0, 0, 1 / B], [3 / A, 0, 3 / B]],
        [[7 / A, 2, -101 / B]],
    ),
    # lows 1, 7, −2; spreads 5, 0, 6
    "minmax": (
        [[0, 0, 0], [0.2, 0, 1 / 3], [0.4, 0, 2 / 3], [1, 0, 1]],
        [[1.8, 2, -98 / 6]],
    ),
    # by the largest of training, 7
    "unit": (
        [[1 / 7, 1, -2 / 7], [2 / 7, 1, 0], [3 / 7, 1, 2 / 7], [6 / 7, 1, 4 / 7]],
        [[10 / 7, 9 / 7, -100 / 7]],
    ),
}
# all twelve numbers: mean 44/12, mean of the squares 270/12, from −2 to 7
M, D = 44 / 12, (270 / 12 - (44 / 12) ** 2) ** 0.5
AS_A_WHOLE = BY_COLUMN | {
    "standardize": [[[(x - M) / D for x in row] for row in rows] for rows in (TRAIN, OTHER)],
    "minmax": [[[(x + 2) / 9 for x in row] for row in rows] for rows in (TRAIN, OTHER)],
}


@pytest.mark.parametrize("kind", BY_COLUMN)
@pytest.mark.parametrize("image", [(), (1,)], ids=["table", "images"])
@pytest.mark.parametrize("dtype", [np.float64, np.int8])
def test_scaling_is_fitted_on_training_alone(kind, image, dtype):
    train, other = (
        Arrays(np.array(rows, dtype).reshape(-1, 3, *image), np.arange(len(rows)) % 2)
        for rows in (TRAIN, OTHER)
    )
    source = Idx(root="x")
    source.scale = kind
    data = source.dataset(0, 2, (train, other, other))
    expected = (AS_A_WHOLE if image else BY_COLUMN)[kind]
    for split, rows in ((data.train, expected[0]), (data.val, expected[1])):
        np.testing.assert_allclose(split.features.reshape(-1, 3), rows, rtol=1e-6, atol=1e-7)
    assert data.test.features.tolist() == data.val.features.tolist()


@pytest.mark.parametrize(
    ("kind", "dtype", "divisor"),
    [("unit", float, 8), ("unit", np.int8, 8), ("unit", np.uint8, 255), ("unit256", float, 256)],
)
def test_the_unit_is_that_of_bytes_or_the_largest_size(kind, dtype, divisor):
    train = np.array([[1, 2, 8]]).astype(dtype) * (-1 if dtype != np.uint8 else 1)
    assert scaling.fit(kind, train)(np.array(OTHER)) == pytest.approx(np.array(OTHER) / divisor)


@pytest.mark.parametrize("kind", ["standardize", "minmax"])
def test_a_column_that_is_constant_but_for_rounding_is_not_blown_up(kind):
    """The deviation of a hundred times 0.1 is 1e-17, which is not zero."""
    train = np.full((100, 1), 0.1)
    fitted = scaling.fit(kind, train)
    assert abs(fitted(train)).max() <= 1e-9
    assert fitted(train + 0.1).max() == pytest.approx(0.1)


@pytest.mark.parametrize("kind", ["standardize", "minmax", "unit"])
@pytest.mark.parametrize("image", [False, True], ids=["table", "images"])
def test_numbers_of_float32_far_from_zero_are_fitted_in_float64(kind, image):
    """Their sum takes more digits than float32 has."""
    train = (4096 + np.random.default_rng(0).uniform(size=(5000, 2))).astype(np.float32)
    whole = train.astype(np.float64)
    axis = None if image else 0
    offset, divisor = {
        "standardize": (whole.mean(axis), whole.std(axis)),
        "minmax": (whole.min(axis), whole.max(axis) - whole.min(axis)),
        "unit": (0, whole.max()),
    }[kind]
    fitted = scaling.fit(kind, train[:, :, None] if image else train)
    np.testing.assert_allclose(fitted.offset, offset, rtol=1e-12)
    np.testing.assert_allclose(fitted.divisor, divisor, rtol=1e-9)


@pytest.mark.parametrize("kind", ["unit", "standardize"])
def test_black_images_stay_black(kind):
    images = np.zeros((3, 1, 2, 2), np.uint8)
    assert not scaling.fit(kind, images)(images).any()


def test_bytes_divided_by_255_are_correctly_rounded():
    images = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    scaled = scaling.fit("unit", images)(images)
    exact = (np.arange(256) / 255).astype(np.float32).reshape(images.shape)
    assert (scaled == exact).all()
