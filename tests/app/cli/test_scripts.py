"""Scripts without their environment: one line that says how to get it, whatever Python is there."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPTS = sorted(path for path in (ROOT / "scripts").glob("[!_]*.py"))
CURE = "make install && source .venv/bin/activate"


@pytest.fixture
def start(monkeypatch):
    """scripts/_start.py, which any script imports first."""
    spec = importlib.util.spec_from_file_location("_start", ROOT / "scripts" / "_start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(ROOT)
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_without_packages_one_line_says_what_to_type(path):
    # -S: without the packages that are installed
    done = subprocess.run(
        [sys.executable, "-S", f"scripts/{path.name}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"mlr: torch and 10 other packages are not installed for {sys.executable}; run: {CURE}\n"
    )


def test_from_elsewhere_it_says_where_to_go(tmp_path):
    line = [sys.executable, "-S", str(ROOT / "scripts" / "train.py"), "head=sigmoid"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr.endswith(f"; run: cd '{ROOT}' && {CURE}\n")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("sys.version_info", (3, 10, 13)), "Python 3.10 is too old, it needs 3.11 or newer"),
        (("sys.version_info", (2, 7, 18)), "Python 2.7 is too old, it needs 3.11 or newer"),
        (
            ("importlib.util.find_spec", lambda name: None if name == "hydra" else name),
            f"hydra is not installed for {sys.executable}",
        ),
    ],
)
def test_the_fault_is_named(start, monkeypatch, capsys, change, told):
    monkeypatch.setattr(*change)
    with pytest.raises(SystemExit, match="2"):
        start.start("train")
    assert capsys.readouterr().err == f"mlr: {told}; run: {CURE}\n"


def test_old_pythons_can_read_the_scripts():
    for path in (*SCRIPTS, ROOT / "scripts" / "_start.py"):
        source = path.read_text(encoding="ascii")  # which 2.7 takes it for
        ast.parse(source, feature_version=(3, 0))
        assert not re.search(r"\bf\"|:=|-> ", source)


def test_what_is_looked_for_is_what_is_declared(start):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"]}
    homes = packages_distributions()
    found = {home.lower() for name in start.NEEDED for home in homes[name]}
    assert found >= declared
    assert len(start.NEEDED) == len(declared)


def test_a_module_of_the_persons_own_that_is_missing_is_named(train, tmp_path):
    (tmp_path / "own_net.py").write_text("import nowhere_to_be_found\n")
    line = ("model=custom", "model._target_=own_net.Net", "allow_targets=[own_net]")
    finished = train(*line, "data=neuron")
    assert finished.code == 2
    assert "No module named 'nowhere_to_be_found'" in finished.err
    assert "make install" not in finished.err


@pytest.mark.slow
def test_no_environment_is_needed_nor_hides_a_script_the_persons_own_module(tmp_path):
    (tmp_path / "report.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Linear):\n"
        "    def __init__(self, feature_shape, outputs):\n"
        "        super().__init__(feature_shape[0], outputs)\n"
    )
    line = ("model=custom", "model._target_=report.Net", "allow_targets=[report]", "data=neuron")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "train.py", *line, "batch_size=1", "epochs=1"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
