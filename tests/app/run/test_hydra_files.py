"""Files of `.hydra` are read as the values that were written."""

from __future__ import annotations

import random
import string

from omegaconf import OmegaConf

from mlr.app.run.hydra_files import to_yaml
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
