"""The distribution: what a wheel holds, and that Hydra finds the launcher where it is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIND = (
    "from hydra.core.plugins import Plugins; from hydra.plugins.launcher import Launcher;"
    "plugins = Plugins.instance().discover(Launcher);"
    "import hydra_plugins.mlr_batched.launcher as found;"
    "assert found.BatchedLauncher in plugins, plugins;"
    "from hydra.core.config_store import ConfigStore;"
    "assert 'batched.yaml' in ConfigStore.instance().list('hydra/launcher');"
    "print(found.__file__)"
)


def test_this_installation_is_found(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FIND], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert Path(done.stdout.strip()).is_relative_to(ROOT)


def test_the_entry_point_names_the_launcher():
    (point,) = entry_points(group="hydra.plugins", name="mlr_batched")
    assert point.load().__name__ == "BatchedLauncher"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of a copy of the repository, built with the setuptools at hand."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("mlr", "configs", "scripts", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*command, "--no-deps", "--no-build-isolation", "-w", str(folder), str(copy)], check=True
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.mark.slow
def test_a_wheel_holds_the_packages_and_nothing_else(wheel):
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.partition("/")[0] for name in names} == {"mlr", "hydra_plugins"}
    assert "hydra_plugins/__init__.py" not in names  # a namespace, shared with other plugins
    assert "hydra_plugins/mlr_batched/launcher.py" in names
    assert not [name for name in names if name.startswith("mlr/plugins")]
    own = {str(path.relative_to(ROOT)) for path in (ROOT / "mlr").rglob("*.py")}
    own = {name.removeprefix("mlr/plugins/") for name in own}
    assert {name for name in names if name.endswith(".py")} == own


@pytest.mark.slow
@pytest.mark.parametrize("editable", [False, True], ids=["wheel", "editable"])
def test_installed_elsewhere_it_is_found(wheel, tmp_path, editable):
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    python = home / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    what = ["--editable", str(wheel.parent / "copy")] if editable else [str(wheel)]
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps"]
    # the build's own tools come from here, as nothing is to be downloaded
    below = f"import sys; sys.path.append({sysconfig.get_path('purelib')!r})\n"
    (Path(site) / "below.pth").write_text(below)
    subprocess.run([*command, "--quiet", "--no-build-isolation", *what], check=True)
    done = subprocess.run(
        [python, "-c", FIND], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    place = wheel.parent / "copy" if editable else home
    assert Path(done.stdout.strip()).is_relative_to(place)
