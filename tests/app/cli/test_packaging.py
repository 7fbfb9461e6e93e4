"""The distribution: what it holds, and that it works where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FIND = (
    "from hydra.core.plugins import Plugins; from hydra.plugins.launcher import Launcher;"
    "plugins = Plugins.instance().discover(Launcher);"
    "import hydra_plugins.mlr_batched.launcher as found;"
    "assert found.BatchedLauncher in plugins, plugins;"
    "from hydra.core.config_store import ConfigStore;"
    "assert 'batched.yaml' in ConfigStore.instance().list('hydra/launcher');"
    "print(found.__file__)"
)
# an application of somebody else's, which knows no more of mlr than the name of its configurations
THEIRS = """
import sys
import hydra
from omegaconf import DictConfig, OmegaConf

@hydra.main(version_base="1.3", config_path="conf", config_name="app")
def main(config: DictConfig) -> None:
    from hydra.utils import instantiate
    from mlr.objectives import Objective
    assert not {"mlr.app.config.schema", "mlr.app.cli.command"} & set(sys.modules)
    head, loss = instantiate(config.head), instantiate(config.loss)
    print(type(Objective(head, loss)).__name__, OmegaConf.to_container(config))

main()
"""
THEIR_CONFIG = """
defaults: [{head: sigmoid}, {loss: focal}, {optimizer: adam}, {probes: full}, _self_]
hydra:
  searchpath: [pkg://mlr.configs]
  output_subdir: null
  run: {dir: .}
name: theirs
"""


def run(*line: object, folder: Path, **options: object) -> subprocess.CompletedProcess[str]:
    """A process that must end well."""
    done = subprocess.run([*map(str, line)], cwd=folder, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def test_this_installation_is_found(tmp_path):
    done = run(sys.executable, "-c", FIND, folder=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(ROOT)


def test_the_entry_point_names_the_launcher():
    (point,) = entry_points(group="hydra.plugins", name="mlr_batched")
    assert point.load().__name__ == "BatchedLauncher"


def compose_theirs(python: Path | str, folder: Path) -> str:
    """Run another application; return what it prints of the configurations that it composes."""
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "app.yaml").write_text(THEIR_CONFIG)
    (folder / "app.py").write_text(THEIRS)
    return run(python, "app.py", "loss=gce", "loss.q=0.5", "+model=mlp", folder=folder).stdout


COMPOSED = (
    "Objective {'head': {'_target_': 'mlr.heads.Sigmoid'}, "
    "'loss': {'_target_': 'mlr.losses.GeneralisedCrossEntropy', 'q': 0.5}"
)


def test_another_application_composes_our_groups(tmp_path):
    told = compose_theirs(sys.executable, tmp_path)
    assert told.startswith(COMPOSED)
    assert "'sample_gradient': True" in told
    assert "'name': 'theirs'" in told


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository, as somebody clones it."""
    folder = tmp_path_factory.mktemp("clone") / "copy"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("mlr", "configs", "scripts", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(copy):
    """A wheel of it, built with the setuptools at hand."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    run(*command, "--no-deps", "--no-build-isolation", "-w", copy.parent, copy, folder=copy)
    (built,) = copy.parent.glob("*.whl")
    return built


class Environment:
    """An empty environment that sees the packages of this one, but not this mlr."""

    def __init__(self, home: Path) -> None:
        run(sys.executable, "-m", "venv", "--without-pip", home, folder=home.parent)
        self.bin = home / "bin"
        self.python = self.bin / "python"
        asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
        self.site = Path(run(self.python, "-c", asked, folder=home.parent).stdout.strip())
        # nothing is to be downloaded; a .pth in there, as that of this mlr, has no effect
        packages = [place for place in sys.path if Path(place).name == "site-packages"]
        below = f"import sys; sys.path += {packages!r}\n"
        (self.site / "below.pth").write_text(below)

    def install(self, *what: object) -> None:
        command = (sys.executable, "-m", "pip", "--python", self.python, "install", "--no-deps")
        options = ("--quiet", "--no-build-isolation", "--ignore-installed")
        run(*command, *options, *what, folder=self.bin)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel."""
    environment = Environment(tmp_path_factory.mktemp("wheel") / "venv")
    environment.install(wheel)
    return environment


def packaged() -> set[str]:
    """Files that belong into the distribution, by their names there."""
    code = {path for path in (ROOT / "mlr").rglob("*") if path.is_file()}
    for apart in ("benchmarks", "docs"):
        code -= {*(ROOT / "mlr" / apart).rglob("*")}
    named = {str(path.relative_to(ROOT)).removeprefix("mlr/plugins/") for path in code}
    configs = {path for path in (ROOT / "configs").rglob("*") if path.is_file()}
    configs.remove(ROOT / "configs" / "README.md")
    named |= {f"mlr/{path.relative_to(ROOT)}" for path in configs}
    return {name for name in named if "__pycache__" not in name}


@pytest.mark.slow
def test_a_wheel_holds_the_packages_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in names} == {"mlr", "hydra_plugins"}
    assert "hydra_plugins/__init__.py" not in names  # a namespace, shared with other plugins
    assert {"hydra_plugins/mlr_batched/launcher.py", "mlr/configs/head/sigmoid.yaml"} <= names
    assert names == packaged()


@pytest.mark.slow
def test_a_source_distribution_makes_the_same_wheel(copy, wheel, tmp_path):
    make = "from setuptools.build_meta import build_{0} as make; print(make({1!r}))"
    code = make.format("sdist", str(tmp_path))
    name = run(sys.executable, "-c", code, folder=copy).stdout.split()[-1]
    with tarfile.open(tmp_path / name) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    run(sys.executable, "-c", make.format("wheel", str(tmp_path)), folder=unpacked)
    (again,) = tmp_path.glob("*.whl")
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.slow
@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_installed_elsewhere_it_is_found(copy, installed, tmp_path, editable):
    environment = installed
    if editable:
        environment = Environment(tmp_path / "venv")
        environment.install("--editable", copy)
    done = run(environment.python, "-c", FIND, folder=tmp_path)
    place = copy if editable else environment.site
    assert Path(done.stdout.strip()).is_relative_to(place)
    told = compose_theirs(environment.python, tmp_path / "theirs")
    assert told.startswith(COMPOSED)


@pytest.mark.slow
def test_an_installed_mlr_does_all_outside_the_repository(installed, tmp_path):
    where = run(installed.python, "-c", "import mlr; print(mlr.__file__)", folder=tmp_path)
    assert Path(where.stdout.strip()) == installed.site / "mlr" / "__init__.py"
    mlr = installed.bin / "mlr"
    line = ("experiment=neuron", "epochs=20", "probes.figures=0")
    assert "/bin/mlr board runs/" in run(mlr, "train", *line, folder=tmp_path).stdout
    swept = run(mlr, "train", "-m", *line, "loss=se,bce", "hydra.sweep.dir=it", folder=tmp_path)
    assert "sigmoid+bce" in swept.stdout
    assert (tmp_path / "it" / "sweep.yaml").exists()  # by the batched launcher
    for command in ("compare", "explain", "report", "verify"):
        told = run(mlr, command, "it", folder=tmp_path)
        assert told.stderr == ""
        assert "scripts/" not in told.stdout
    assert (tmp_path / "it" / "report.html").stat().st_size > 100_000
    assert run(installed.python, "-m", "mlr", "--version", folder=tmp_path).stdout == "mlr 0.1.0\n"


@pytest.mark.slow
def test_a_repository_works_after_it_was_installed_as_a_wheel(copy, installed, tmp_path):
    """As `pip install '.[notebook]'` does in a clone: its scripts run its own code nevertheless."""
    line = ("data=neuron", "batch_size=1", "head=sigmoid", "loss=bce", "epochs=1", "seed=0,1")
    script = copy / "scripts" / "train.py"
    done = run(installed.python, script, "-m", *line, folder=tmp_path)
    assert "sigmoid+bce" in done.stdout
    mark = copy / "configs" / "loss" / "mine.yaml"
    mark.write_text("_target_: mlr.losses.BinaryCrossEntropy\n")
    try:
        helped = run(installed.python, script, "--help", folder=tmp_path).stdout
    finally:
        mark.unlink()
    assert "\n  mine" in helped
