"""Names of runs against literals."""

from __future__ import annotations

import pytest

from mlr.app.config.run_names import LONGEST_NAME, pair_of, part_name, run_name


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "sigmoid+se"),
        ({"seed": "3", "optimizer.lr": "0.1"}, "sigmoid+se,lr=0.1,seed=3"),
        ({"model": "mlp", "model.widths": "[32,16]"}, "sigmoid+se,model=mlp,widths=[32,16]"),
        ({"experiment": "nielsen_se", "seed": "-1"}, "sigmoid+se,experiment=nielsen_se,seed=-1"),
        # keys whose last part is that of another one, or a key of its own
        ({"data.n": "1", "model.n": "2"}, "sigmoid+se,data.n=1,model.n=2"),
        ({"data.seed": "1", "seed": "2"}, "sigmoid+se,data.seed=1,seed=2"),
        ({"model._target_": "a.B"}, "sigmoid+se,model._target_=a.B"),
    ],
)
def test_the_pair_comes_first_and_the_seed_last(settings, name):
    assert run_name("sigmoid+se", settings) == name


@pytest.mark.parametrize(
    "value",
    ["/a/b c.csv", "ü😀", "a\nb", "long" * 100, "漢" * 120, "..", 'C:\\a?*"<>|', "\udc80"],
)
@pytest.mark.parametrize("seed", [{}, {"seed": "12"}])
def test_any_value_gives_a_name_that_file_systems_take(value, seed):
    name = run_name("sigmoid+se", {"data.path": value} | seed)
    assert name.startswith("sigmoid+se,path=")
    assert len(name.encode()) <= LONGEST_NAME
    assert not set(name) & set("/\\\n\0 :*?\"<>|'$")
    assert not name.endswith(".")  # Windows leaves it out
    assert name.endswith(",seed=12") == bool(seed)


def test_a_long_name_keeps_what_differs_before_its_hash_and_the_seed_behind():
    settings = {"optimizer.lr": "0.1", "data.path": "x" * 200, "seed": "123456"}
    first, other = (run_name("softmax+ce", settings | {"optimizer.lr": lr}) for lr in ("1", "2"))
    assert first.startswith("softmax+ce,lr=1,path=xxx")
    assert first.endswith(",seed=123456")
    assert len(first) == len(other) == LONGEST_NAME
    assert first.rpartition("-")[2] != other.rpartition("-")[2]


def test_a_seed_that_is_none_is_cut_as_anything_else():
    assert len(run_name("a+b", {"seed": "9" * 300})) == LONGEST_NAME
    assert len(run_name("a+b", {"seed": "${x}/y"})) < 40


def test_names_that_had_to_change_stay_apart():
    assert len({run_name("a+b", {"path": f"x{mark}y"}) for mark in "/ :*"}) == 4
    long = [{"data.path": f"{'x' * 150}{number}"} for number in range(20_000)]
    assert len({run_name("sigmoid+se", one) for one in long}) == len(long)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("mlr.heads.ClippedLinear", "clipped_linear"),
        ("mlr.losses.BinaryCrossEntropy", "bce"),
        ("my_parts.Arctan", "Arctan"),
        ("a.b.heads.Sigmoid", "Sigmoid"),
        ("torch.nn.Identity", "Identity"),
    ],
)
def test_a_part_is_called_by_mlrs_name_or_by_its_class(target, name):
    assert part_name(target) == name


def test_the_pair_of_a_configuration():
    loss = {"_target_": "mlr.losses.Matching"}
    assert pair_of({"head": {"_target_": "my.Arctan"}, "loss": loss}) == "Arctan+matching"
    assert pair_of({"head": {"_target_": "a/../b c"}, "loss": loss}) == "_b_c+matching"
    for broken in (None, {}, 3, {"_target_": None}, {"_target_": "a."}):
        assert pair_of({"head": broken, "loss": loss}) == "_+matching"
