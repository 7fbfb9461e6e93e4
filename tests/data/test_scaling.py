import numpy as np
import pytest

from mlr.data import scaling


@pytest.fixture
def table():
    x = np.random.default_rng(0).normal(5.0, 3.0, (100, 3))
    x[:, 1] = 0.1
    return x


def test_standardize_gives_each_column_mean_0_and_deviation_1(table):
    scaled = scaling.fit("standardize", table)(table)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.std(0)[[0, 2]], 1, rtol=1e-6)


def test_minmax_gives_0_to_1(table):
    scaled = scaling.fit("minmax", table)(table)
    assert scaled.min(0).tolist() == [0, 0, 0]
    assert scaled.max(0).tolist() == [1, 0, 1]


@pytest.mark.parametrize("kind", ["standardize", "minmax", "none"])
def test_a_constant_column_is_not_divided_by_zero(kind, table):
    """0.1 has a standard deviation of 1e-17 by rounding, which is not zero either."""
    fitted = scaling.fit(kind, table)
    other = table.copy()
    other[:, 1] = 0.2
    assert abs(fitted(table)[:, 1]).max() <= 0.1001
    assert abs(fitted(other)[:, 1]).max() <= 0.2001


@pytest.mark.parametrize("kind", ["unit", "standardize"])
def test_black_images_stay_finite(kind):
    images = np.zeros((3, 1, 2, 2), np.uint8)
    assert np.isfinite(scaling.fit(kind, images)(images)).all()


def test_images_are_scaled_as_a_whole():
    images = np.random.default_rng(0).integers(0, 256, (50, 1, 4, 4)).astype(np.uint8)
    images[:, 0, 0, 0] = 0
    scaled = scaling.fit("standardize", images)(images)
    assert scaled.mean() == pytest.approx(0, abs=1e-5)
    assert scaled.std() == pytest.approx(1, abs=1e-5)
    assert len(np.unique(scaled[:, 0, 0, 0])) == 1


def test_bytes_divided_by_255_are_correctly_rounded():
    images = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    scaled = scaling.fit("unit", images, 255.0)(images)
    exact = (np.arange(256) / 255).astype(np.float32).reshape(images.shape)
    assert (scaled == exact).all()


def test_fitted_on_training_alone():
    fitted = scaling.fit("minmax", np.array([[0.0], [1.0]]))
    assert fitted(np.array([[3.0]])).item() == 3.0
