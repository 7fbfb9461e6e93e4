"""Properties that each generated dataset is made for, in numbers."""

import math
import resource
from hashlib import sha256

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs, make_moons
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from mlr.core.checks import InputError
from mlr.core.seeds import derive_seed
from mlr.data import Blobs, Digits, Line, Moons, Multilabel, Neuron, Outliers, SyntheticMnist, Xor
from mlr.data.digits import read_digits
from mlr.data.faults import DataWarning
from mlr.data.prepare import generator


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


def centres(data, k):
    return data.train.features[data.train.targets == k].unique(dim=0).tolist()


def test_blobs_begin_at_45_degrees_and_go_anticlockwise():
    data = Blobs(classes=4, noise=0.0, scale="none", n=40).load(0)
    corners = [[1, 1], [-1, 1], [-1, -1], [1, -1]]
    for k, corner in enumerate(corners):
        (centre,) = centres(data, k)
        assert centre == pytest.approx(corner)
    data = Blobs(noise=0.0, scale="none").load(0)
    assert centres(data, 0)[0] == pytest.approx([0.5**0.5] * 2)


def seed_of(name, seed):
    return derive_seed(seed, name, "points") % 2**32


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("classes", "n"), [(2, 1000), (3, 101), (7, 26)])
def test_blobs_are_scikit_learns(seed, classes, n):
    points, labels = Blobs(classes=classes, n=n, noise=0.7).draw(seed)
    turns = np.arange(classes) / classes + 1 / 8
    centres = np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], 1)
    centres /= np.sin(np.pi / classes)
    options = {"centers": centres, "cluster_std": 0.7, "random_state": seed_of("blobs", seed)}
    expected = make_blobs(n, **options)
    np.testing.assert_allclose(points, expected[0], rtol=1e-13)
    np.testing.assert_array_equal(labels, expected[1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("n", "noise"), [(1000, 0.15), (101, 0.0), (7, 2.0)])
def test_moons_are_scikit_learns(seed, n, noise):
    expected = make_moons(n, noise=noise, random_state=seed_of("moons", seed))
    for own, other in zip(Moons(n=n, noise=noise).draw(seed), expected, strict=True):
        np.testing.assert_array_equal(own, other)


def test_digits_are_scikit_learns():
    images, labels = read_digits()
    expected = load_digits()
    np.testing.assert_array_equal(images, expected.images)
    np.testing.assert_array_equal(labels, expected.target)
    assert (images.dtype, labels.dtype) == (expected.images.dtype, expected.target.dtype)


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


def test_xor_is_of_class_1_where_the_signs_differ():
    points, labels = Xor(noise=0.0, n=101).draw(0)
    assert (labels == (points[:, 0] * points[:, 1] < 0)).all()
    assert (abs(points) == 1).all()


@pytest.mark.parametrize("source", [Xor, Outliers], ids=lambda source: source.name)
def test_noise_is_drawn_after_the_labels_and_added(source):
    (points, _), (quiet, _) = (source(n=40, noise=noise).draw(3) for noise in (0.25, 0.0))
    rng = generator(3, source.name, "points")
    rng.permutation(40)
    np.testing.assert_allclose(points - quiet, 0.25 * rng.standard_normal((40, 2)), atol=1e-14)


def test_outliers_without_noise_are_at_three_places():
    points, labels = Outliers(n=101, noise=0.0, outliers=0.3, distance=5.0).draw(0)
    places = [(-1.0, 0), (1.0, 1), (5.0, 1)]
    assert set(zip(points[:, 0], labels, strict=True)) == set(places)
    # of the 50 of class 1 three tenths
    assert [(points[:, 0] == x).sum() for x, _ in places] == [51, 35, 15]
    assert not points[:, 1].any()


def test_outliers_are_correct():
    data = Outliers(scale="none").load(0)
    far = data.train.features[:, 0] > 6
    assert (data.train.targets[far] == 1).all()
    assert far.sum() == pytest.approx(0.1 * len(data.train), abs=15)


def test_outliers_must_lie_beyond_the_cloud():
    with pytest.raises(InputError, match=r"data\.distance=0\.5 must be above 1"):
        Outliers(distance=0.5)
    with pytest.raises(InputError, match=r"data\.distance=1 must be above 1"):
        Outliers(distance=1)
    assert Outliers(distance=1.01).distance == 1.01
    with pytest.raises(InputError, match=r"data\.outliers=0 would leave"):
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


def test_line_adds_noise_to_its_values():
    data = Line(n=50, slope=-3.0, intercept=1.5, noise=0.2).load(4)
    splits = (data.train, data.val, data.test)
    x, t = (
        torch.cat([getattr(split, name) for split in splits]) for name in ("features", "targets")
    )
    rng = generator(4, "line", "points")
    drawn = rng.uniform(-1, 1, (50, 1))
    expected = 1.5 - 3 * drawn + 0.2 * rng.standard_normal((50, 1))
    found, whole = x[:, 0].argsort(), drawn[:, 0].argsort()
    np.testing.assert_allclose(x[found], drawn[whole], rtol=1e-6)
    np.testing.assert_allclose(t[found], expected[whole], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["slope", "intercept"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "2"], ids=str)
def test_a_line_is_of_finite_numbers(name, value):
    with pytest.raises(
        InputError, match=rf"data\.{name}={str(value).lower()} must be a finite number"
    ):
        Line(**{name: value})
    assert Line(slope=2, intercept=0).load(0).classes is None


def test_too_few_examples_for_the_classes_are_refused():
    with pytest.raises(InputError, match=r"data\.n=11 must be a whole number of at least 12"):
        Blobs(n=11, classes=4)
    with pytest.raises(InputError, match="data=blobs cannot split 40 examples into 24, 8, 8"):
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


@pytest.mark.parametrize(
    ("n", "options", "digest"),
    [
        (1100, {}, "1104aa7fa22998e4"),
        (100, {"noise": 0.0, "deformation": 0.0}, "be113368de809dc3"),
        (100, {"noise": 0.0, "deformation": 9.0}, "c902e0bae2edec03"),
    ],
)
def test_the_images_of_a_seed_are_those_of_earlier_versions(n, options, digest):
    images, labels = SyntheticMnist(n=n, **options).draw(3)
    assert (np.bincount(labels) == n // 10).all()
    assert sha256(images.tobytes() + labels.astype("u1").tobytes()).hexdigest()[:16] == digest


def test_synthetic_mnist_is_neither_trivial_nor_hopeless_for_a_linear_model():
    data = SyntheticMnist(n=5000, seed=0).load(0)
    assert (
        0.75
        < LogisticRegression(max_iter=60, tol=1e-2)
        .fit(*arrays(data.train))
        .score(*arrays(data.test))
        < 0.93
    )


def test_multilabel_is_decided_by_half_planes_and_noise():
    data = Multilabel(n=4000, outputs=3, noise=0.0, val_fraction=0, seed=0).load(0)
    x, t = data.train.features.double(), data.train.targets
    angles = torch.tensor([0, 2 * math.pi / 3, 4 * math.pi / 3], dtype=torch.float64)
    expected = x @ torch.stack([angles.cos(), angles.sin()]) > 0.5
    # float32 features may fall on the other side
    assert (t.bool() != expected).sum() <= 2
    # P(x > ½) of a standard normal number
    assert t.mean().item() == pytest.approx(0.3085, abs=0.015)
    assert {0, 1, 2} <= set(t.sum(1).int().tolist())
    noisy = Multilabel(n=4000, outputs=3, noise=0.5, val_fraction=0, seed=0).load(0)
    # P(√1.25 x > ½)
    assert noisy.train.targets.mean().item() == pytest.approx(0.3274, abs=0.015)


def test_one_label_the_same_in_all_examples_is_told():
    with pytest.warns(DataWarning, match=r"^data=multilabel: \d+ of 40 labels are the same in all"):
        Multilabel(n=4, outputs=40, val_fraction=0, test_fraction=0.5, seed=0).load(0)
