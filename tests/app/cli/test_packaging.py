"""The distribution: what it holds, and that it works where it is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import hydra
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


BUILD = """
import sys
sys.path.insert(0, ".ci")
import backend
print(getattr(backend, "build_" + sys.argv[1])(sys.argv[2]))
"""
# the time that files get in an archive, so that two of the same files are the same bytes
DATED = {**os.environ, "SOURCE_DATE_EPOCH": "1780000000"}


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
    if sys.version_info >= (3, 14) and hydra.__version__.startswith("1.3."):
        pytest.skip("only mlr's own command starts Hydra 1.3 on Python 3.14")
    (folder / "conf").mkdir(parents=True)
    (folder / "conf" / "app.yaml").write_text(THEIR_CONFIG)
    (folder / "app.py").write_text(THEIRS)
    return run(python, "app.py", "loss=gce", "loss.q=0.5", "+model=mlp", folder=folder).stdout


COMPOSED = (
    "Objective {'head': {'_target_': 'mlr.heads.Sigmoid'}, "
    "'loss': {'_target_': 'mlr.losses.GeneralisedCrossEntropy', 'q': 0.5}"
)


@pytest.mark.slow
def test_another_application_composes_our_groups(tmp_path):
    told = compose_theirs(sys.executable, tmp_path)
    assert told.startswith(COMPOSED)
    assert "'sample_gradient': True" in told
    assert "'name': 'theirs'" in told


def in_git() -> set[str]:
    """Files of the repository as somebody clones it, with those that are not committed yet."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = run(*listed, folder=ROOT).stdout.split("\0")
    return {name for name in names if name and (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the repository in which an older version was once installed."""
    folder = tmp_path_factory.mktemp("clone") / "copy"
    for name in in_git():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    removed = folder / "build" / "lib" / "mlr" / "configs" / "loss" / "removed.yaml"
    removed.parent.mkdir(parents=True)
    removed.touch()
    return folder


@pytest.fixture(scope="module")
def wheel(copy):
    """A wheel of it, built with the setuptools at hand."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-build-isolation", "-w", copy.parent]
    run(*command, *options, copy, folder=copy, env=DATED)
    (built,) = copy.parent.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def source(copy, tmp_path_factory):
    """A source distribution of it, unpacked."""
    folder = tmp_path_factory.mktemp("source")
    name = run(sys.executable, "-c", BUILD, "sdist", folder, folder=copy).stdout.split()[-1]
    with tarfile.open(folder / name) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return unpacked


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


@pytest.fixture
def alone(monkeypatch):
    """No modules but those that are installed."""
    monkeypatch.delenv("PYTHONPATH", raising=False)


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
def test_a_wheel_is_built_of_the_files_that_there_are_and_leaves_none(copy, wheel):
    assert "mlr/configs/loss/removed.yaml" not in zipfile.ZipFile(wheel).namelist()
    build = {path.name for path in (copy / "build").rglob("*") if path.is_file()}
    assert build == {"removed.yaml"}


@pytest.mark.slow
def test_a_source_distribution_holds_what_git_does(source):
    files = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    made = {name for name in files if name.startswith("mlr_lab.egg-info/")}
    assert files - made - {"PKG-INFO", "setup.cfg"} == in_git()
    links = re.findall(r"\]\(([^)#]+)", (source / "README.md").read_text(encoding="utf-8"))
    assert ".assets/gradient.png" in links
    assert {link for link in links if "://" not in link} <= files


@pytest.mark.slow
def test_a_source_distribution_makes_the_same_wheel(source, wheel, tmp_path):
    run(sys.executable, "-c", BUILD, "wheel", tmp_path, folder=source, env=DATED)
    (again,) = tmp_path.glob("*.whl")
    assert again.name == wheel.name
    assert again.read_bytes() == wheel.read_bytes()


@pytest.mark.slow
def test_both_distributions_hold_every_licence(source, wheel):
    archive = zipfile.ZipFile(wheel)
    (info,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    for name, words in {
        "LICENSE": "The mlr authors",
        "mlr/analysis/report/uplot/LICENSE": "Leon Sorokin",
    }.items():
        assert words in (source / name).read_text()
        assert words in archive.read(f"{info}/licenses/{name}").decode()


@pytest.mark.slow
def test_the_metadata_name_every_python_that_ci_tries(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = archive.read(name).decode()
    named = re.findall(r"^Classifier: Programming Language :: Python :: (3\.\d+)$", metadata, re.M)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    tried = {*re.findall(r'"(3\.\d+)"', workflow)}
    assert {*named} == tried
    assert re.search(rf"^Requires-Python: >={min(tried)}$", metadata, re.M)


@pytest.mark.slow
@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_installed_elsewhere_it_is_found(copy, installed, alone, tmp_path, editable):
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
def test_an_installed_mlr_does_all_outside_the_repository(installed, alone, tmp_path):
    where = run(installed.python, "-c", "import mlr; print(mlr.__file__)", folder=tmp_path)
    assert Path(where.stdout.strip()) == installed.site / "mlr" / "__init__.py"
    for name in ("mlr", "configs", "configs/loss"):  # folders of the person's own
        (tmp_path / name).mkdir()
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
    assert "numbers of slides" in run(mlr, "lecture", "--help", folder=tmp_path).stdout
    for command in ((mlr,), (installed.python, "-m", "mlr")):
        assert run(*command, "--version", folder=tmp_path).stdout == "mlr 0.1.0\n"
        wrong = subprocess.run([*command, "train", "head=no"], cwd=tmp_path, capture_output=True)
        assert (wrong.returncode, wrong.stdout) == (2, b"")


@pytest.mark.slow
def test_a_repository_works_after_it_was_installed_as_a_wheel(copy, installed, alone, tmp_path):
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
