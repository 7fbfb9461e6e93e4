"""Files of `.hydra` are read as the values that were written."""

from __future__ import annotations

import random
import string

import pytest
from omegaconf import OmegaConf

from mlr.app.run.hydra_files import HydraTexts, hydra_files, to_yaml
from mlr.records.identity import config_hash


def test_a_value_is_read_as_it_was_written():
    rng = random.Random(0)
    alphabet = string.printable + "éß\u2028\ufeff🙂"
    words = ["null", "true", "~", "1", "1.", ".5", "1e5", "0x1f", "0o7", "012", "+1", "=", "<<"]
    words += ["y", "1:30", "2024-01-01"]
    values: list = [0, -1, 10**30, 0.0, -0.0, 1e300, 1e-5, 0.1, float("nan"), True, None, *words]
    for length in range(1, 100):
        for letters in (alphabet, "abc =/,.+-019'\"", "abc=/,.+-019"):
            values.append("".join(rng.choices(letters, k=length)).replace("${", "$"))
    for value in values:
        plain = {"a": value, "b": {"c": [value]}}
        assert repr(OmegaConf.to_container(OmegaConf.create(to_yaml(plain)))) == repr(plain)


def test_letters_of_a_plain_locale_are_recorded_as_letters():
    """LC_ALL=C hands ü over as the lone bytes 0xc3 and 0xbc."""
    lone = "gr\udcc3\udcbc.csv"
    config = OmegaConf.create({"path": lone, "paths": [lone], "lr": 0.1, "same": "${path}"})
    assert to_yaml(config) == "path: grü.csv\npaths:\n- grü.csv\nlr: 0.1\nsame: ${path}\n"
    assert config_hash({"path": lone}) == config_hash({"path": "grü.csv"})


def test_nested_values_are_written_as_omegaconf_writes_them():
    rng = random.Random(0)
    words = ["null", "no", "1e5", "-0", "seed=3", "/tmp/a,b", "a: b", "# c", "?", "{}", "k:\n", ""]
    numbers = [0, True, 1, 1.0, 0.0, -0.0, 1e-5, float("nan"), float("inf"), None]
    keys = ["a", "lr", "x y", "1", "hydra/launcher", "b" * 90, "c" * 140, "-"]

    def drawn(depth: int):
        if depth < 4 and rng.random() < 0.5:
            count = rng.randrange(4)
            if rng.random() < 0.3:
                return [drawn(depth + 1) for _ in range(count)]
            return {rng.choice(keys): drawn(depth + 1) for _ in range(count)}
        letters = "".join(rng.choices("abc de'\"=/,.-019", k=rng.randrange(200)))
        return rng.choice((letters, rng.choice(words), rng.choice(numbers)))

    for _ in range(300):
        plain = {key: drawn(0) for key in rng.sample(keys, 4)}
        assert to_yaml(plain) == OmegaConf.to_yaml(OmegaConf.create(plain))


def test_a_run_that_differs_in_few_values_has_the_texts_of_its_own():
    config = {
        "head": {"_target_": "a.B"},
        "data": {"size": 5, "rest": {"x y": 1, "path": None}},
        "z": [],
    }
    hydra = {"job": {"num": "???", "id": "???"}, "overrides": {"task": ["seed=0"], "hydra": []}}
    texts = HydraTexts(config, hydra)
    assert texts.files({}, {}) == hydra_files(config, hydra)
    for value in (0, -0.0, 1e-5, True, None, "a: b", "", "1e5", "x" * 200):
        own = {**config, "data": {"size": value, "rest": {"x y": 1, "path": value}}}
        task = [f"data.size={value}"] if value else []
        job = {"job": {"num": 3, "id": "3"}, "overrides": {"task": task, "hydra": []}}
        found = texts.files(
            {("data", "size"): value, ("data", "rest", "path"): value},
            {("job", "num"): 3, ("job", "id"): "3", ("overrides", "task"): task},
        )
        assert found == hydra_files(own, job)
        assert found["config.yaml"] == OmegaConf.to_yaml(OmegaConf.create(own))
    with pytest.raises(AssertionError):  # else it would stand at the end of another group
        texts.files({("data", "other"): 1}, {})
