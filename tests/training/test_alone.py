"""A run in a sweep is the run alone, to the bit: whatever runs beside it, and where it lies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mlr.core.checks import InputError
from mlr.core.domains import COUNTS, OPEN_UNIT, POSITIVE, REALS, Distributions, Interval
from mlr.data.base import Dataset, Split
from mlr.heads import HEADS
from mlr.heads import Linear as LinearHead
from mlr.losses import LOSSES, Focal, GaussianNll, GeneralisedCrossEntropy, SmoothedCrossEntropy
from mlr.models import Linear, Mlp
from mlr.objectives import KERNELS, Objective, check_pair
from mlr.probes import ProbeSettings
from mlr.probes.settings import NAMES
from mlr.records import Recorder, RunFolder
from mlr.training import SGD, Adam, AdamW, Experiment, step, train
from mlr.training.background import Background
from mlr.training.log import run_tags
from mlr.training.step import Kind, kind_of
from tests.looping import looped
from tests.training.conftest import split

ALL = ProbeSettings(**dict.fromkeys(NAMES, True))
OPTIMIZERS = {
    "sgd": lambda lr: SGD(lr=lr),
    "momentum": lambda lr: SGD(lr=lr, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda lr: SGD(lr=lr, momentum=0.8, nesterov=True),
    "adam": lambda lr: Adam(lr=lr / 10, weight_decay=0.1, beta1=min(0.99, 0.5 + lr / 2)),
    "adamw": lambda lr: AdamW(lr=lr / 10, weight_decay=0.1),
}


def legal(head, loss, classes: int) -> bool:
    try:
        check_pair(head.name, loss.name, head().outputs(classes))
    except InputError:
        return False
    return True


PAIRS = [
    (head.name, loss.name, classes)
    for head in HEADS
    for loss in LOSSES
    for classes in (2, 4)
    if legal(head, loss, classes)
]
PAIRS += [
    (head.name, loss.name, None)
    for head, loss in KERNELS
    if isinstance(head.range, Distributions) or (head, loss) == (LinearHead, GaussianNll)
]


class Cnn(nn.Module):
    """Neither dense nor without chance, in evaluation either."""

    def __init__(self, outputs: int):
        super().__init__()
        self.convolution = nn.Conv1d(1, 3, 3, padding=1)
        self.dropout = nn.Dropout(0.2)
        self.output = nn.LazyLinear(outputs)

    def forward(self, x):
        hidden = torch.relu(self.convolution(x.unsqueeze(1)))
        hidden = hidden + 0.01 * torch.randn_like(hidden)
        return self.output(self.dropout(hidden.flatten(1)))


def module_of(kind: str, features: int, outputs: int, seed: int, dtype: str) -> nn.Module:
    if kind == "module":
        torch.manual_seed(seed)
        module = Cnn(outputs)
        module(torch.zeros(1, features))
        return module.to(getattr(torch, dtype))
    model = {"lanes": Linear(), "tiny mlp": Mlp([5], "sigmoid"), "narrow": Mlp([12, 7], "tanh")}
    return model.get(kind, Mlp([260, 130])).build((features,), outputs, seed, dtype)


FEATURES = {"lanes": 3, "tiny mlp": 4, "narrow": 17, "wide": 70, "module": 9}
EXPECTED = {"lanes": Kind.LANES, "tiny mlp": Kind.LANES, "narrow": Kind.NARROW}
EXPECTED |= {"wide": Kind.WIDE, "module": Kind.MODULE}


def data_of(kind: str, classes: int | None, seed: int, support: Interval = REALS) -> Dataset:
    """Targets of a density lie where it can have them."""
    count = 300 if kind == "wide" else 53
    parts = [split(count, classes, 10 * seed + part, FEATURES[kind]) for part in range(3)]
    possible = {OPEN_UNIT: torch.sigmoid, POSITIVE: torch.exp, COUNTS: lambda y: y.exp().floor()}
    if support in possible:
        parts = [Split(part.features, possible[support](part.targets)) for part in parts]
    return Dataset("made", *parts, classes)


DATA = {}


def run_of(
    kind, head, loss, classes, seed, optimizer="sgd", dtype="float32", lr=0.3, own_data=True
):
    objective = Objective(head, loss)
    head_of = objective.head
    support = getattr(head_of.range, "support", REALS)
    key = (kind, classes, seed if own_data else 0, support)
    data = DATA.setdefault(key, data_of(*key))
    outputs = head_of.outputs(classes) if classes else head_of.range.per_target
    run = Experiment(
        objective=Objective(head, loss, outputs=outputs),
        module=module_of(kind, FEATURES[kind], outputs, seed, dtype),
        data=data,
        optimizer=OPTIMIZERS[optimizer](lr),
        epochs=2,
        batch_size=128 if kind == "wide" else 16,
        seed=seed,
        dtype=dtype,
    )
    assert kind_of(run) is EXPECTED[kind]
    return run


def assert_identical(found, alone):
    assert (found.status, found.steps) == (alone.status, alone.steps)
    np.testing.assert_equal(found.metrics, alone.metrics)
    assert found.parameters.keys() == alone.parameters.keys()
    for name, own in found.parameters.items():
        assert torch.equal(own.nan_to_num(7.5), alone.parameters[name].nan_to_num(7.5)), name


def assert_each_identical_once(runs, results):
    """Of runs with one seed, then the same ones with another: each is compared with one of both."""
    half = len(runs) // 2
    for number in range(half):
        place = number + half * (number % 2)
        assert_identical(results[place], train([runs[place]])[0])


def neighbours(kind, head, loss, classes, optimizer, dtype, count):
    """Other seeds, rates and data; one explodes."""
    rates = [1e30 if number == 1 else 0.05 * (1 + number % 7) for number in range(count)]
    return [
        run_of(kind, head, loss, classes, 100 + number, optimizer, dtype, lr, number % 3 > 0)
        for number, lr in enumerate(rates)
    ]


def assert_alone_as_beside(kind, head, loss, classes, optimizer):
    run = run_of(kind, head, loss, classes, 5, optimizer)
    (alone,) = train([run])
    beside = neighbours(kind, head, loss, classes, optimizer, "float32", 4)
    assert_identical(train([*beside[:3], run, beside[3]])[3], alone)


def in_turn():
    """Every pair, with kinds and optimizers in turn."""
    for number, pair in enumerate(PAIRS):
        yield ("lanes", "narrow")[number % 2], *pair, [*OPTIMIZERS][number // 2 % len(OPTIMIZERS)]


@looped("kind, head, loss, classes, optimizer", in_turn())
def test_every_pair(kind, head, loss, classes, optimizer):
    assert_alone_as_beside(kind, head, loss, classes, optimizer)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["lanes", "narrow"])
@looped("head, loss, classes", PAIRS)
def test_every_pair_and_optimizer(kind, head, loss, classes, optimizer):
    assert_alone_as_beside(kind, head, loss, classes, optimizer)


@pytest.mark.parametrize("kind", FEATURES)
@pytest.mark.parametrize(
    ("head", "loss", "classes", "dtype"),
    [
        ("sigmoid", "bce", 2, "float32"),
        ("softmax", "ce", 5, "float32"),
        ("softmax", "ce", 5, "float64"),
        ("gaussian", "gaussian_nll", None, "float32"),
    ],
)
def test_every_position_among_any_number(kind, head, loss, classes, dtype):
    run = run_of(kind, head, loss, classes, 5, "momentum", dtype)
    (alone,) = train([run])
    count = 6 if kind in ("wide", "module") else 70
    many = neighbours(kind, head, loss, classes, "momentum", dtype, count)
    places = [(1, 0), (1, 1), (2, 1), (6, 0), (6, 6), (64, 63), (70, 70)]
    if kind in ("wide", "module"):  # lane by lane: what runs beside it is in no product of its own
        places = [(1, 0), (2, 1), (6, 6)]
    for count, position in places:
        beside = many[:count]
        results = train([*beside[:position], run, *beside[position:]])
        assert_identical(results[position], alone)


def test_pairs_that_are_composed_beside_others():
    """Their operations are torch's own, some of which round the end of an array differently."""
    pairs = [("evidential", loss) for loss in ("focal", "symmetric_ce", "asymmetric")]
    assert not any(Objective(head, loss, outputs=4).exact for head, loss in pairs)
    runs = [run_of("wide", head, loss, 4, seed) for seed in (1, 2) for head, loss in pairs]
    runs = [replace(run, epochs=1) for run in runs]
    for together, run in zip(train(runs), runs, strict=True):
        assert_identical(together, train([run])[0])


@pytest.mark.parametrize(
    ("kind", "classes", "outputs"),
    [
        *(("lanes", 4, 4), ("narrow", 2, 1)),
        *(
            pytest.param(*part, marks=pytest.mark.slow)
            for part in (("lanes", 2, 1), ("lanes", 2, 2), ("narrow", 2, 2), ("narrow", 4, 4),
                         ("wide", 2, 1), ("wide", 2, 2), ("wide", 4, 4))
        ),
    ],
)  # fmt: skip
def test_other_pairs_beside_it(kind, classes, outputs):
    pairs = [
        (head, loss)
        for head, loss, known in PAIRS
        if known == classes and Objective(head, loss).head.outputs(classes) == outputs
    ]
    if kind == "wide":  # its layers are the costly part, and know nothing of the pair
        pairs = pairs[::3]
    assert len(pairs) > 2
    runs = [run_of(kind, head, loss, classes, seed) for seed in (1, 2) for head, loss in pairs]
    runs = [replace(run, epochs=1) for run in runs]
    assert_each_identical_once(runs, train(runs))


@pytest.mark.parametrize("kind", ["lanes", "narrow"])
def test_ordered_classes(kind):
    """Targets are levels: sweeps of ordered heads are computed together, as alone."""
    pairs = [("cumulative", "ordinal_nll"), ("coral", "bce"), ("corn", "ordinal_nll")]
    runs = [run_of(kind, head, loss, 4, seed) for seed in (1, 2) for head, loss in pairs]
    results = train([replace(run, epochs=2) for run in runs])
    assert_each_identical_once([replace(run, epochs=2) for run in runs], results)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_scalars_of_its_loss_beside_it(dtype):
    """One program of several formulas, each with its own γ, q or ε."""
    made = [
        *(Focal(gamma) for gamma in (0, 0.5, 2)),
        *(GeneralisedCrossEntropy(q) for q in (0.3, 1)),
        *(SmoothedCrossEntropy(epsilon) for epsilon in (0, 0.2)),
    ]
    runs = [
        run_of("lanes", head, loss, 4, seed, dtype=dtype)
        for seed in (1, 2)
        for head in ("softmax", "sparsemax")
        for loss in made
    ]
    results = train(runs)
    assert_each_identical_once(runs, results)
    weights = [result.parameters["output.weight"] for result in results[: len(made)]]
    assert not any(torch.equal(one, weights[0]) for one in weights[1:] if one is not weights[5])


@pytest.mark.parametrize("kind", FEATURES)
def test_limited_norms_and_early_ends(kind):
    changes = {"max_grad_norm": 0.3, "patience": 1, "epochs": 4}
    runs = [
        replace(run_of(kind, "softmax", "ce", 5, seed, lr=0.5 + seed), **changes)
        for seed in range(5)
    ]
    for run, together in zip(runs, train(runs), strict=True):
        assert_identical(together, train([run])[0])


def test_what_is_recorded(tmp_path):
    """metrics.csv, character for character, histograms and all."""

    def recorded(runs, name):
        folders = [RunFolder.claim(tmp_path / f"{name}{number}") for number in range(len(runs))]
        recorders = [Recorder(folder, run_tags(runs[0]), {}) for folder in folders]
        for recorder, result in zip(recorders, train(runs, recorders), strict=True):
            recorder.finish(result.status, result.metrics, sync=False)
        return [folder.metrics.read_text() for folder in folders]

    for kind in ("lanes", "narrow"):
        pairs = [("sigmoid", "bce"), ("clipped_linear", "se"), ("sigmoid", "se")]
        runs = [run_of(kind, *pairs[seed % 3], 2, seed) for seed in range(6)]
        runs = [replace(run, probes=ALL) for run in runs]
        together = recorded(runs, f"{kind}-together")
        assert together == [recorded([run], f"{kind}-{run.seed}")[0] for run in runs]


@pytest.mark.parametrize("count", [1, 2])
def test_on_more_threads(count):
    """A product may take all threads, but then as many for a run alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        for kind in FEATURES:
            runs = [run_of(kind, "softmax", "ce", 5, seed) for seed in range(3)]
            runs = [replace(run, epochs=1) for run in runs]
            assert_identical(train(runs)[1], train([runs[1]])[0])
        assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("share", [1, 1 << 13])
def test_lanes_differentiated_by_several_threads(monkeypatch, share):
    """In parts of different size, of one objective and of two."""
    runs = [
        run_of("narrow", head, loss, 4, seed)
        for seed in range(3)
        for head, loss in (("softmax", "ce"), ("softmax", "se"))
    ]
    before = torch.get_num_threads()
    alone = [train([run])[0] for run in runs]
    monkeypatch.setattr(step, "SHARE", share)
    parts = []
    real = Background.side_by_side
    monkeypatch.setattr(
        Background, "side_by_side", lambda self, each: parts.append(len(each)) or real(self, each)
    )
    torch.set_num_threads(4)
    try:
        for found, expected in zip(train(runs), alone, strict=True):
            assert_identical(found, expected)
    finally:
        torch.set_num_threads(before)
    assert set(parts) == ({4} if share == 1 else {3})


def test_equal_seeds_share_their_order_and_others_do_not():
    runs = [run_of("lanes", "sigmoid", "bce", 2, 1, lr=lr, own_data=False) for lr in (0.1, 0.3)]
    runs.append(replace(runs[0], seed=2))
    results = train(runs)
    for run, result in zip(runs, results, strict=True):
        assert_identical(result, train([run])[0])
    assert not torch.equal(
        results[0].parameters["output.weight"], results[2].parameters["output.weight"]
    )
