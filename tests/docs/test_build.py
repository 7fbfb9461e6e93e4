"""The site is built without a warning, and its generated pages say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mlr
import mlr.heads
import mlr.information
import mlr.losses
import mlr.objectives
from mlr.docs import build, part_pages, reference
from tests.docs.test_published import WITHOUT

ROOT = Path(__file__).parents[2]

pytest.importorskip("sphinx")


@pytest.mark.slow
def test_every_page_is_in_the_side_bar(source):
    assert {*build.CHAPTERS} == {page.stem for page in source.glob("*.md")} - {"index"}
    lists = [page.read_text() for page in source.glob("*.md")]
    for page in source.glob("*/*.md"):
        entries = (f"\n{page.parent.name}/*\n", f"\n{page.parent.name}/{page.stem}\n")
        assert any(entry in text for text in lists for entry in entries), page


def test_every_page_is_short_and_begins_with_its_purpose(source):
    pages = [*source.rglob("*.md")]
    assert len(pages) > 50
    for page in pages:
        lines = page.read_text().splitlines()
        # the generated list of names is as long as there are names
        assert len(lines) < 200 or page.name == "api.md", page
        assert lines[0].startswith("# "), page
        assert lines[2].startswith("This page "), page


@pytest.mark.parametrize("module", [mlr, mlr.heads, mlr.losses])
def test_public_names_are_in_the_reference(module):
    listed = {*reference.PUBLIC[module.__name__]}
    assert {name for name in module.__all__ if name[0].isupper() and not name.isupper()} <= listed


def test_names_of_the_reference_exist():
    for module, names in reference.PUBLIC.items():
        for name in names:
            found = __import__(module, fromlist=[name])
            assert getattr(found, name).__doc__, name


def rows(path: Path) -> dict[str, list[str]]:
    found = re.findall(r"^\| \[(\w+)\]\([^)]+\) \| (\w+) \| (\w+) \|$", path.read_text(), re.M)
    return {name: cells for name, *cells in found}


def refused(path: Path) -> set[str]:
    (line,) = re.findall(r"^Refused: (.+)\.$", path.read_text(), re.MULTILINE)
    return {*re.findall(r"\[(\w+)\]", line)}


def names_of(group: str) -> set[str]:
    """The parts of a group, by their files of configuration."""
    return {path.stem for path in (ROOT / "configs" / group).glob("*.yaml")}


def test_code_of_a_docstring_is_not_escaped(source):
    text = (source / "heads" / "cumulative.md").read_text()
    assert "With `loss=ordinal_nll` and" in text
    assert r"y\_k = σ(a\_k)" in text
    assert "\n**Source:** McCullagh" in text


def test_tables_of_pairs(source):
    """Values by hand, of a head and of a loss; each partner has a row or is named as refused."""
    sigmoid, ce = rows(source / "heads" / "sigmoid.md"), rows(source / "losses" / "ce.md")
    assert sigmoid.keys() | refused(source / "heads" / "sigmoid.md") == names_of("loss")
    assert ce.keys() | refused(source / "losses" / "ce.md") == names_of("head")
    assert sigmoid["bce"] == ["yes", "yes"]
    assert sigmoid["ce"] == ["yes", "refused"]
    assert ce["softmax"] == ["refused", "yes"]
    assert "linear" in refused(source / "losses" / "ce.md") - ce.keys()
    assert rows(source / "heads" / "mdn.md") == {"nll": ["yes", "yes"]}
    assert rows(source / "heads" / "gaussian.md")["gaussian_nll"] == ["yes", "yes"]


def test_a_page_has_the_section_of_its_part_alone(source):
    text = (source / "heads" / "cloglog.md").read_text()
    assert "can make a step too long.\n" in text
    assert "A class outside the support" not in text
    with pytest.raises(LookupError, match="no section cauchit"):
        part_pages.section("heads", "cauchit")


def test_experiments_are_described(source):
    for path in reference.EXPERIMENTS.glob("*.yaml"):
        text = (source / "experiments" / f"{path.stem}.md").read_text()
        assert re.search(r"^ *python scripts/train.py .*experiment=", text, re.MULTILINE)
    text = (source / "experiments" / "saturated.md").read_text()
    assert "Claim: the slope of a sigmoid there is 0.00005" in text


def test_every_head_and_loss_has_a_section_of_published_values(source):
    for name in (*(f"heads/{one.name}" for one in mlr.heads.HEADS),
                 *(f"losses/{one.name}" for one in mlr.losses.LOSSES)):  # fmt: skip
        _, _, section = (source / f"{name}.md").read_text().partition("\n## Published values\n")
        assert section.count("| printed | here |") == (name not in WITHOUT), name
    text = (source / "losses" / "bce.md").read_text()
    assert "| `0.21616` | `0.216161875` | [scikit-learn, `log_loss`](https://scikit-learn" in text


def test_curves_are_drawn_for_the_light_and_the_dark_theme(source):
    page = (source / "heads" / "sigmoid.md").read_text()
    inks = {"light": "#23272e", "dark": "#ced6dd"}
    for theme, ink in inks.items():
        drawn = (source / "heads" / f"sigmoid-{theme}.svg").read_text()
        assert f"(sigmoid-{theme}.svg){{.only-{theme}}}" in page
        others = {*inks.values()} - {ink}
        assert ink in drawn
        assert not any(other in drawn for other in others)
        assert "#ffffff" not in drawn  # no ground
    assert not [*(source / "heads").glob("gaussian*.svg")]
    assert [*(source / "losses").glob("hinge-*.svg")]


def test_axes_are_as_high_as_the_curves_and_end_where_they_rise_without_bound():
    """Tversky's loss is below 1; squared error and its gradient on a linear unit have no bound."""
    from matplotlib.figure import Figure

    found = {}
    for loss in (mlr.losses.Tversky, mlr.losses.SquaredError):
        left, right = Figure().subplots(1, 2)
        heads = mlr.heads.HEADS[loss is mlr.losses.Tversky : 4]
        part_pages.draw_loss([*heads], loss, left, right)
        found[loss.name] = (*left.get_ylim(), *right.get_ylim())
    assert found["se"] == (0, 6, -2.5, 1.1)
    bottom, top, low, high = found["tversky"]
    assert bottom == 0
    assert 0.5 < top < 0.6
    assert -0.5 < low < -0.4
    assert 0 < high < 0.1


def test_a_head_has_one_colour_on_all_pages(source):
    linear = part_pages.LINES[0]
    assert linear in (source / "losses" / "se-light.svg").read_text()
    assert linear not in (source / "losses" / "bce-light.svg").read_text()  # it is refused


def test_commands_show_their_help(source):
    from mlr.app.cli.main import COMMANDS

    assert {page.stem for page in (source / "commands").glob("*.md")} == {*COMMANDS}
    for name in COMMANDS:
        text = (source / "commands" / f"{name}.md").read_text()
        assert f"\nmlr {name} " in text or f" mlr {name} " in text
        assert max(map(len, text.splitlines()[6:])) <= 80 or name in ("compare", "lecture"), name
    compare = (source / "commands" / "compare.md").read_text()
    assert "usage: mlr compare [-h] [--by KEY[,KEY]]" in compare
    train = (source / "commands" / "train.md").read_text()
    assert "  optimizer.lr=0.5                learning rate\n" in train
    assert "Convolution, ReLU" not in train  # choices have pages of their own


@pytest.mark.slow
@pytest.mark.xdist_group("site")
def test_the_site_is_built_without_a_warning(site):
    for name in ("index", "api", "heads/softmax", "losses/focal", "commands/train", "citing"):
        assert (site / f"{name}.html").exists()
