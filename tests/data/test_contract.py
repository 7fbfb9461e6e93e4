"""Contract of every source; a new one is tested here before its author writes a test."""

import inspect
import subprocess
import sys
from contextlib import suppress

import pytest
import torch
from omegaconf import OmegaConf

from mlr.core.checks import InputError
from mlr.data import SOURCES, Blobs, Digits, Source, SyntheticMnist
from mlr.data.validate import check_dataset
from tests.data.support import CONFIGS, OFFLINE, OWN_FILES

OVERRIDES = {"csv": {"path": "x.csv"}, "npz": {"path": "x.npz"}, "idx": {"root": "x"}}


def parameters(source):
    given = inspect.signature(source).parameters
    return {name: parameter.default for name, parameter in given.items()}


def test_config_folder_and_tuple_agree():
    names = {source.name for source in SOURCES}
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == names | {"custom"}
    assert len({source.name for source in SOURCES}) == len(SOURCES)


def test_config_gives_the_constructors_defaults(source):
    path = CONFIGS / f"{source.name}.yaml"
    config = OmegaConf.to_container(OmegaConf.load(path))
    assert config.pop("_target_") == f"mlr.data.{source.__name__}"
    assert config == parameters(source)


def test_config_has_a_sentence_and_a_comment_for_each_option(source):
    first, _, *rest = (CONFIGS / f"{source.name}.yaml").read_text().splitlines()
    assert first.startswith("# ")
    assert all("  # " in line for line in rest)


def test_docstring_describes_each_option(source):
    documented = "".join(kind.__doc__ for kind in source.__mro__ if kind is not Source)
    missing = [name for name in parameters(source) if f"{name}: " not in documented]
    assert not missing


def test_importing_and_constructing_imports_nothing_heavy():
    lines = ["import sys", "import mlr.data as d"]
    lines += [f"d.{source.__name__}(**{OVERRIDES.get(source.name, {})})" for source in SOURCES]
    lines += [
        "heavy = {'torch', 'numpy', 'sklearn', 'pooch', 'requests', 'scipy'}",
        "print(sorted(heavy & set(sys.modules)))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_dataset_keeps_the_contract(source, small):
    made = small(source)
    data = made.load(0)
    assert data.name == source.name
    assert data.train.features.dtype == torch.float32
    for split in (data.train, data.val, data.test):
        assert len(split) == len(split.targets) > 0
        assert split.features.ndim >= 2
        assert tuple(split.features.shape[1:]) == data.feature_shape
        assert split.features.is_contiguous()
        assert split.features.isfinite().all()
        if made.regression or made.multilabel:
            assert split.targets.dtype == torch.float32
            assert split.targets.ndim == 2
        else:
            assert split.targets.dtype == torch.int64
            assert split.targets.ndim == 1
            assert split.targets.min() >= 0
            assert split.targets.max() < data.classes
    assert (data.classes is None) == (made.regression or made.multilabel)
    assert data.multilabel == made.multilabel
    assert made.classes in (None, data.classes)


def same(one, other):
    return all(
        torch.equal(getattr(getattr(one, split), field), getattr(getattr(other, split), field))
        for split in ("train", "val", "test")
        for field in ("features", "targets")
    )


def test_seed_repeats_to_the_bit_and_moves_no_global_generator(source, small):
    import numpy as np

    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    assert same(small(source).load(3), small(source).load(3))
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before).all()


@pytest.mark.parametrize("source", OFFLINE, ids=lambda source: source.name)
def test_seed_changes_generated_data_and_no_other(source, small):
    generated = "seed" in parameters(source)
    assert same(small(source).load(0), small(source).load(1)) is not generated
    if generated:
        assert same(small(source, seed=7).load(0), small(source, seed=7).load(1))
        assert same(small(source, seed=7).load(0), small(source).load(7))


@pytest.mark.parametrize("options", [{}, {"label_noise": 0.2}, {"seed": 7}], ids=str)
def test_seed_of_tells_what_decides_the_data(source, options, small):
    if not options.keys() <= parameters(source).keys():
        pytest.skip("it has no such option")
    made = small(source, **options)
    assert same(made.load(0), made.load(1)) is (made.seed_of(0) == made.seed_of(1))


@pytest.mark.parametrize("source", OWN_FILES, ids=lambda source: source.name)
def test_runs_seed_does_not_split_real_data(source, small):
    assert same(small(source).load(0), small(source).load(1))


@pytest.mark.parametrize("name", ["digits", "idx", "csv", "npz"])
def test_split_seed_splits_real_data(name, small):
    source = next(source for source in SOURCES if source.name == name)
    assert not same(small(source).load(0), small(source, split_seed=1).load(0))


def test_splits_are_disjoint(source, small):
    if source.name == "neuron":
        pytest.skip("one example is all three splits, by design")
    data = small(source, scale="none").load(0) if "scale" in parameters(source) else None
    data = data or small(source).load(0)
    rows = torch.cat([s.features.flatten(1) for s in (data.train, data.val, data.test)])
    assert len(rows.unique(dim=0)) == len(rows)


@pytest.mark.parametrize("source", [Blobs, Digits, SyntheticMnist], ids=lambda s: s.name)
def test_splits_are_stratified(source, small):
    data = small(source).load(0)
    whole = torch.cat([data.train.targets, data.val.targets, data.test.targets]).bincount()
    for split in (data.train, data.val, data.test):
        expected = whole * len(split) / whole.sum()
        assert (split.targets.bincount(minlength=data.classes) - expected).abs().max() <= 1.5


def held_out(source) -> str | None:
    options = parameters(source)
    return next((name for name in ("val_fraction", "val_size") if name in options), None)


@pytest.mark.parametrize("source", [s for s in SOURCES if held_out(s)], ids=lambda s: s.name)
@pytest.mark.parametrize("order", ["shuffled", "given"])
def test_no_validation_leaves_all_of_it_to_training(source, order, small):
    whole = small(source, order=order).load(0)
    data = small(source, order=order, **{held_out(source): 0}).load(0)
    assert not data.validated
    assert whole.validated
    assert len(data.train) == len(whole.train) + len(whole.val)
    assert len(data.test) == len(whole.test)
    assert data.val.features.shape == (0, *data.feature_shape)
    assert data.val.targets.shape == (0, *data.train.targets.shape[1:])
    assert data.val.features.dtype == data.train.features.dtype
    check_dataset(data)


def test_every_source_has_an_order(source, small):
    made = small(source, order="given", drop_last=True)
    assert (made.order, made.drop_last) == ("given", True)
    assert made.in_file_order
    assert not small(source).in_file_order
    assert not small(source).drop_last


@pytest.mark.parametrize("name", ["digits", "idx"])
def test_files_are_split_in_their_order(name, small):
    source = next(one for one in SOURCES if one.name == name)
    data = small(source, order="given").load(0)
    if name == "idx":  # labels 0..9 in turn
        assert data.train.targets.tolist() == [i % 10 for i in range(len(data.train))]
        assert data.val.targets.tolist() == [(48 + i) % 10 for i in range(12)]
        return
    from sklearn.datasets import load_digits

    labels = [part.targets for part in (data.train, data.val, data.test)]
    assert torch.cat(labels).tolist() == load_digits().target.tolist()


def noisy_sources():
    return [source for source in SOURCES if "label_noise" in parameters(source)]


@pytest.mark.parametrize("source", noisy_sources(), ids=lambda source: source.name)
def test_label_noise_follows_the_seed(source, small):
    """It follows the seed of the data where they have one, as generated data do; else the run's."""
    fixed = {"seed": 7} if "seed" in parameters(source) else {}
    first, again, other = (small(source, label_noise=0.3, **fixed).load(n) for n in (0, 0, 1))
    assert same(first, again)
    assert torch.equal(first.train.features, other.train.features)
    assert torch.equal(first.train.targets, other.train.targets) is bool(fixed)


# what a pixel of each can be
LARGEST = {"digits": 16, "mnist": 255, "fashion_mnist": 255, "idx": 255, "synthetic_mnist": 255}


def scalings():
    for source in SOURCES:
        if "scale" in parameters(source):
            for kind in ("standardize", "minmax", "unit", "unit256"):
                with suppress(InputError):
                    source(**OVERRIDES.get(source.name, {}), scale=kind)
                    yield pytest.param(source, kind, id=f"{source.name}-{kind}")


@pytest.mark.parametrize(("source", "kind"), list(scalings()))
def test_every_scaling_is_that_of_the_training_split(source, kind, small):
    raw, scaled = small(source, scale="none").load(0), small(source, scale=kind).load(0)
    train = raw.train.features.double().numpy()
    axis = 0 if train.ndim == 2 else None
    offset, divisor = {
        "standardize": lambda: (train.mean(axis), train.std(axis)),
        "minmax": lambda: (train.min(axis), train.max(axis) - train.min(axis)),
        "unit": lambda: (0, LARGEST[source.name]),
        "unit256": lambda: (0, 256),
    }[kind]()
    for name in ("train", "val", "test"):
        expected = (getattr(raw, name).features.double().numpy() - offset) / divisor
        found = getattr(scaled, name).features.double().numpy()
        assert abs(found - expected).max() < 1e-5 * max(1, abs(expected).max()), name
        assert torch.equal(getattr(raw, name).targets, getattr(scaled, name).targets)


@pytest.mark.parametrize("source", noisy_sources(), ids=lambda source: source.name)
def test_label_noise_changes_its_share_of_training_labels_only(source, small):
    clean, noisy = small(source).load(0), small(source, label_noise=0.3).load(0)
    changed = (clean.train.targets != noisy.train.targets).sum()
    assert changed == round(0.3 * len(clean.train))
    assert torch.equal(clean.train.features, noisy.train.features)
    assert torch.equal(clean.val.targets, noisy.val.targets)
    assert torch.equal(clean.test.targets, noisy.test.targets)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("n", 0, r"data\.n=0 must be a whole number"),
        ("n", 10.5, r"data\.n=10\.5 must be a whole number"),
        ("classes", 1, r"data\.classes=1 must be a whole number of at least 2"),
        ("noise", -1, r"data\.noise=-1 must be a finite number, 0 or above"),
        ("noise", "much", r"data\.noise=much"),
        ("label_noise", 1.0, r"data\.label_noise=1\.0 must lie in \[0, 1\)"),
        ("val_fraction", -0.1, r"data\.val_fraction=-0\.1 must lie in \[0, 1\)"),
        ("test_fraction", 0, r"data\.test_fraction=0 would leave that split empty"),
        ("order", "file", r"data\.order=file.* given, shuffled"),
        ("drop_last", 1, r"data\.drop_last=1 must be true or false"),
        ("test_fraction", 1.5, r"data\.test_fraction=1\.5 must lie in"),
        ("val_fraction", 0.8, r"leave nothing to train on: their sum must stay below 1"),
        ("split_seed", -1, r"data\.split_seed=-1 must be a whole number of at least 0"),
        ("seed", "x", r"data\.seed=x must be a whole number of at least 0"),
        ("scale", "log", r"Unknown data\.scale=log. Choose from .*none.*standardize"),
        ("scale", "standardise", r"Did you mean data\.scale=standardize\?"),
    ],
)
def test_every_source_refuses_a_bad_option_at_construction(option, value, message):
    takers = [source for source in SOURCES if option in parameters(source)]
    assert takers
    for source in takers:
        options = OVERRIDES.get(source.name, {}) | {option: value}
        if "val_fraction" in options and options["val_fraction"] == 0.8:
            options["test_fraction"] = 0.2
        with pytest.raises(InputError, match=message):
            source(**options)


def test_unknown_option_is_refused(source):
    with pytest.raises(TypeError):
        source(**OVERRIDES.get(source.name, {}), colour="red")
