"""`_target_` names mlr's own parts and torch.nn's classes to the letter, else allowed packages."""

from __future__ import annotations

import pytest
import yaml

from mlr.app.config.output_paths import CONFIGS
from mlr.app.config.run_names import part_name
from mlr.core.checks import InputError
from mlr.heads import Head, Sigmoid
from mlr.models import Model, UserModule
from mlr.probes import ProbeSettings
from mlr.training.instantiate import ALIASES, OWN, make_part

MINE = """
import os
from os import system
from torch import nn
from torch.nn import Linear as Mine
from mlr.heads import Head
class Net(nn.Linear): pass
"""


def test_every_part_of_a_configuration_is_known_by_name():
    told = {yaml.safe_load(path.read_text()).get("_target_") for path in CONFIGS.glob("*/*.yaml")}
    assert told - {None, "???"} == set(OWN)


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "mlr.heads.base.Head",
        "mlr.heads.sigmoid.Sigmoid",
        "mlr.training.instantiate.Path",
        "mlr.heads.sigmoid",
        "mlr",
        ".",
        "..",
        "torch.nn.Module.x",
        "torch.nn.modules.linear.Linear",
        "torch.nn.functional.relu",
        "torch.nn.Parameter",
        "torch.nn.init",
        "torch.nn.",
        "torch.nn.__builtins__",
        "torch.load",
        "mlrx.Head",
        "",
        5,
        None,
    ],
)
def test_what_is_not_known_is_refused(target):
    with pytest.raises(InputError):
        make_part("model", {"_target_": target}, Model, [])


def test_an_older_name_of_a_part_is_still_known(monkeypatch):
    monkeypatch.setitem(ALIASES, "mlr.heads.Logistic", "mlr.heads.Sigmoid")
    assert type(make_part("head", {"_target_": "mlr.heads.Logistic"}, Head, [])) is Sigmoid
    assert part_name("mlr.heads.Logistic") == "sigmoid"


def test_a_class_of_torch_is_a_model():
    assert isinstance(make_part("model", {"_target_": "torch.nn.Linear"}, Model, []), UserModule)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine_of_parts.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return "mine_of_parts"


@pytest.mark.parametrize("allowed", ["{}", "{}.Net"])
def test_a_users_own_class_is_allowed_by_its_package_or_itself(mine, allowed):
    found = make_part("model", {"_target_": f"{mine}.Net"}, Model, [allowed.format(mine)])
    assert isinstance(found, UserModule)


@pytest.mark.parametrize("name", ["os.system", "system", "Mine", "nn.Linear", "Head"])
def test_what_it_imports_is_not_its_own(mine, name):
    with pytest.raises(InputError):
        make_part("model", {"_target_": f"{mine}.{name}"}, Model, [mine])


def test_a_name_is_allowed_as_a_whole(mine):
    with pytest.raises(InputError, match="is none of mlr's own parts"):
        make_part("model", {"_target_": f"{mine}.Net"}, Model, [mine[:-1], ""])


def test_a_users_module_hides_no_other(mine, tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit('hidden')\n")
    (tmp_path / "unheard_of.py").write_text("import json\nfrom torch import nn\nNet = nn.Linear\n")
    with pytest.raises(InputError, match="under another name"):
        make_part("model", {"_target_": "unheard_of.Net"}, Model, ["unheard_of"])


SIGMOID = {"_target_": "mlr.heads.Sigmoid"}


@pytest.mark.parametrize("settings", [3, "x", [1], None, {}, {**SIGMOID, 1: 2}])
def test_odd_settings_are_refused(settings):
    with pytest.raises(InputError):
        make_part("head", settings, Head, [])


def test_a_part_of_another_group_is_refused():
    with pytest.raises(InputError, match="is not a"):
        make_part("probes", SIGMOID, ProbeSettings, [])
