"""The site is built without a warning, and its generated pages say what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import mlr
import mlr.heads
import mlr.information
import mlr.losses
import mlr.objectives
from mlr.docs import build

pytest.importorskip("sphinx")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    build.write_source(folder)
    return folder


def test_every_page_is_in_the_side_bar():
    written = {page.stem for page in build.PAGES.glob("*.md")} | {"api"}
    assert {*build.CHAPTERS} == written - {"index"}


@pytest.mark.parametrize("module", [mlr, mlr.heads, mlr.losses])
def test_public_names_are_in_the_reference(module):
    listed = {*build.REFERENCE[module.__name__]}
    assert {name for name in module.__all__ if name[0].isupper() and not name.isupper()} <= listed


def test_names_of_the_reference_exist():
    for module, names in build.REFERENCE.items():
        for name in names:
            found = __import__(module, fromlist=[name])
            assert getattr(found, name).__doc__, name


def rows(path: Path) -> dict[str, list[str]]:
    found = re.findall(r"^\| \[(\w+)\]\([^)]+\) \| (\w+) \| (\w+) \|$", path.read_text(), re.M)
    return {name: cells for name, *cells in found}


def test_tables_of_pairs(source):
    """Values by hand, of a head and of a loss; each table has a row a partner."""
    sigmoid, ce = rows(source / "heads" / "sigmoid.md"), rows(source / "losses" / "ce.md")
    assert len(sigmoid) == len(mlr.losses.LOSSES)
    assert len(ce) == len(mlr.heads.HEADS)
    assert sigmoid["bce"] == ["yes", "yes"]
    assert sigmoid["ce"] == ["yes", "refused"]
    assert ce["softmax"] == ["refused", "yes"]
    assert ce["linear"] == ["refused", "refused"]
    assert rows(source / "heads" / "gaussian.md")["gaussian_nll"] == ["yes", "yes"]


def test_a_page_has_the_section_of_its_part_alone(source):
    text = (source / "heads" / "cloglog.md").read_text()
    assert "can make a step too long.\n" in text
    assert "A class outside the support" not in text
    with pytest.raises(LookupError, match="no section cauchit"):
        build.section("heads", "cauchit")


def test_experiments_are_described(source):
    text = (source / "experiments.md").read_text()
    for path in build.EXPERIMENTS.glob("*.yaml"):
        assert f"### {path.stem}\n" in text
    assert "Claim: the slope of a sigmoid there is 0.00005" in text


def test_curves(source):
    assert (source / "heads" / "sigmoid.svg").stat().st_size > 5000
    assert not (source / "heads" / "gaussian.svg").exists()


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    shown = subprocess.run(
        [sys.executable, "-m", "mlr.docs.build", tmp_path / "site"],
        cwd=build.PAGES.parents[1],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")
    for name in ("index", "api", "heads/softmax", "losses/focal", "not_learning"):
        assert (tmp_path / "site" / f"{name}.html").exists()
