"""What each generated dataset is for, in numbers."""

import resource

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from mlr.checks import InputError
from mlr.data import Blobs, Digits, Line, Moons, Neuron, Outliers, SyntheticMnist, Xor


def arrays(split):
    return split.features.flatten(1).numpy(), split.targets.numpy()


def logistic(data, part="test"):
    return (
        LogisticRegression(max_iter=500)
        .fit(*arrays(data.train))
        .score(*arrays(getattr(data, part)))
    )


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_blobs_of_any_class_count_suit_a_linear_model(classes):
    data = Blobs(classes=classes).load(0)
    assert data.classes == classes
    assert data.train.targets.unique().tolist() == list(range(classes))
    assert logistic(data) > 0.93


def test_blobs_neighbours_are_two_apart():
    data = Blobs(classes=7, noise=0.0, scale="none", n=210).load(0)
    centres = torch.stack([data.train.features[data.train.targets == k][0] for k in range(7)])
    steps = (centres - centres.roll(1, 0)).norm(dim=1)
    torch.testing.assert_close(steps, torch.full((7,), 2.0))


def test_moons_bend():
    data = Moons().load(0)
    near = KNeighborsClassifier(5).fit(*arrays(data.train))
    assert logistic(data) < 0.92
    assert near.score(*arrays(data.test)) > 0.97


@pytest.mark.parametrize("seed", range(3))
def test_xor_defeats_a_line(seed):
    data = Xor().load(seed)
    near = KNeighborsClassifier(5).fit(*arrays(data.train))
    assert logistic(data) < 0.8
    assert near.score(*arrays(data.test)) > 0.99


def test_xor_is_balanced_in_its_four_clouds():
    data = Xor(noise=0.0, n=101).load(0)
    corners = torch.cat([s.features for s in (data.train, data.val, data.test)])
    _, counts = corners.unique(dim=0, return_counts=True)
    assert counts.tolist() in [
        [25, 25, 25, 26],
        [25, 25, 26, 25],
        [25, 26, 25, 25],
        [26, 25, 25, 25],
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("part", ["train", "test"])
def test_outliers_cost_least_squares_what_logistic_regression_keeps(seed, part):
    data = Outliers().load(seed)
    x, t = arrays(getattr(data, part))
    squares = LinearRegression().fit(*arrays(data.train))
    assert ((squares.predict(x) >= 0.5) == t).mean() < 0.85
    assert logistic(data, part) > 0.99


def test_outliers_are_correct():
    data = Outliers(scale="none").load(0)
    far = data.train.features[:, 0] > 6
    assert (data.train.targets[far] == 1).all()
    assert far.sum() == pytest.approx(0.1 * len(data.train), abs=15)


def test_outliers_must_lie_beyond_the_cloud():
    with pytest.raises(InputError, match=r"data\.distance=0\.5 must be above 1"):
        Outliers(distance=0.5)
    with pytest.raises(
        InputError, match=r"data\.outliers=0 would leave that split empty|data\.outl"
    ):
        Outliers(outliers=0)


def test_neuron_is_one_example():
    data = Neuron().load(5)
    for split in (data.train, data.val, data.test):
        assert split.features.tolist() == [[1.0]]
        assert split.targets.tolist() == [0]
    assert data.classes == 2


def test_line_has_its_slope_intercept_and_noise():
    data = Line(n=5000, slope=-3.0, intercept=1.5, noise=0.2).load(0)
    fit = LinearRegression().fit(data.train.features, data.train.targets)
    assert fit.coef_.item() == pytest.approx(-3.0, abs=0.03)
    assert fit.intercept_.item() == pytest.approx(1.5, abs=0.02)
    assert np.std(data.train.targets.numpy() - fit.predict(data.train.features)) == pytest.approx(
        0.2, abs=0.01
    )
    with pytest.raises(InputError, match=r"data\.slope=nan must be a finite number"):
        Line(slope=float("nan"))


def test_too_few_examples_for_the_classes_are_refused():
    with pytest.raises(InputError, match=r"data\.n=11 must be a whole number of at least 12"):
        Blobs(n=11, classes=4)
    with pytest.raises(InputError, match=r"data=blobs with 40 examples gives splits of 24, 8, 8"):
        Blobs(n=40, classes=10).load(0)


@pytest.mark.parametrize(
    ("most", "limit"),
    [(-1, r"memory\."), (3 << 29, r"memory \(ulimit -v gives all of this process 1,536 MiB\)\.")],
)
def test_more_than_memory_holds_is_refused(monkeypatch, most, limit):
    monkeypatch.setattr(resource, "getrlimit", {resource.RLIMIT_AS: (most, -1)}.get)
    with pytest.raises(InputError, match=rf"data\.n=\d+ examples do not fit into {limit}"):
        Xor(n=10**15).load(0)


def test_digits_suit_a_linear_model():
    data = Digits().load(0)
    assert data.feature_shape == (1, 8, 8)
    assert [len(s) for s in (data.train, data.val, data.test)] == [1258, 180, 359]
    assert logistic(data) > 0.95


def test_synthetic_mnist_looks_like_mnist():
    data = SyntheticMnist(n=500, noise=0.0).load(0)
    assert data.feature_shape == (1, 28, 28)
    assert data.train.features.min() == 0
    assert data.train.features.max() == 1
    # MNIST's own mean is 0.13; ink must not reach the rim often
    assert 0.08 < data.train.features.mean() < 0.2
    rim = data.train.features[:, 0, [0, -1], :]
    assert (rim > 0.5).float().mean() < 0.005


def test_synthetic_mnist_without_deformation_has_one_shape_a_way_of_writing():
    images, labels = SyntheticMnist(n=300, noise=0.0, deformation=0.0).draw(0)
    zeros = images[labels == 0, 0].astype(float)
    upright = [abs(image - image[:, ::-1]).mean() for image in zeros]
    assert max(upright) < 1.0


def test_synthetic_mnist_is_neither_trivial_nor_hopeless_for_a_linear_model():
    data = SyntheticMnist(n=5000, seed=0).load(0)
    assert (
        0.75
        < LogisticRegression(max_iter=60, tol=1e-2)
        .fit(*arrays(data.train))
        .score(*arrays(data.test))
        < 0.93
    )
