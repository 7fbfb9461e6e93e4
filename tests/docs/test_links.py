"""Links of the site and of other Markdown files lead somewhere; a broken one fails the build."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlr.docs import build, links

pytest.importorskip("sphinx")
# of Sphinx itself, by the parser of Markdown
pytestmark = pytest.mark.filterwarnings("ignore:'myst_parser")


def test_readme_and_the_files_of_folders_are_checked():
    names = {path.relative_to(links.ROOT).as_posix() for path in links.files()}
    assert {"README.md", "CHANGELOG.md", "configs/README.md", "scripts/README.md"} < names
    assert {".github/CONTRIBUTING.md", ".github/SECURITY.md"} < names


def test_their_links_lead_somewhere():
    assert list(links.broken_links(links.files())) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[x](mlr/docs/nowhere.md)", "mlr/docs/nowhere.md"),
        ("[x](mlr/docs/runs.md#no-such-heading)", "mlr/docs/runs.md#no-such-heading"),
        ("[x](#nothing)", "#nothing"),
        ("![x](.assets/none.png)", ".assets/none.png"),
        ("[x](mlr/docs/runs.md#exit-codes), [y](#own-words), <https://a.b>, [z](https://a.b)", ""),
        ("`[x](y)`\n```text\n[x](z)\n```", ""),
    ],
)
def test_a_broken_link_is_reported(text, fault, tmp_path, monkeypatch):
    for name in (".assets", "mlr"):
        (tmp_path / name).symlink_to(links.ROOT / name)
    monkeypatch.setattr(links, "ROOT", tmp_path)
    page = tmp_path / "README.md"
    page.write_text(f"# Own words\n\n{text}\n", encoding="utf-8")
    expected = [f"README.md: link to {fault}, which does not exist"] if fault else []
    assert list(links.broken_links([page])) == expected


def small_source(text: str):
    """A function that writes a site of two pages, the first with a text."""

    def write(folder: Path) -> None:
        (folder / "_static").mkdir()
        (folder / "conf.py").write_text((build.PAGES / "conf.py").read_text(), encoding="utf-8")
        build.write(folder / "index.md", f"# Index\n\n{text}\n\n{build.toctree('other')}")
        build.write(folder / "other.md", "# Other\n\n## A heading\n\nWords.\n")

    return write


@pytest.fixture
def without_notebooks(monkeypatch):
    """Notebooks are executed for the whole site only."""
    monkeypatch.setattr(build.notebook_pages, "write_pages", lambda folder: None)


@pytest.mark.usefixtures("without_notebooks")
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[x](nowhere.md)", "'nowhere.md'"),
        ("[x](other.md#a-heading)", ""),
        # a second each
        pytest.param("[x](other.md#nothing)", "'nothing'", marks=pytest.mark.slow),
        pytest.param("[x](#nothing)", "'nothing'", marks=pytest.mark.slow),
        pytest.param("![x](none.svg)", "none.svg", marks=pytest.mark.slow),
        pytest.param("[x](../other.md)", "'../other.md'", marks=pytest.mark.slow),
    ],
)
def test_a_broken_link_fails_the_build(text, fault, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(build, "write_source", small_source(text))
    assert build.build(tmp_path / "site") == int(bool(fault))
    assert fault in capfd.readouterr().err


@pytest.mark.usefixtures("without_notebooks")
def test_a_broken_link_of_another_file_fails_the_build(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(build, "write_source", small_source("Words."))
    monkeypatch.setattr(build, "broken_links", lambda paths: ["README.md: link to x"])
    assert build.build(tmp_path / "site") == 1
    assert "README.md: link to x" in capfd.readouterr().err


@pytest.mark.slow
def test_external_addresses_are_well_formed(source):
    """CI has no network: `make docs-links` asks for them, here only their form is looked at."""
    texts = [path.read_text(encoding="utf-8") for path in source.rglob("*.md")]
    texts.append(links.external_links())
    found = {one for text in texts for one in re.findall(r"\bhttps?://[^\s)>\]`]*", text)}
    assert len(found) > 5
    assert "https://keepachangelog.com/en/1.1.0/" in found
    for address in found:
        assert re.fullmatch(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+/[\w./-]*", address), address


@pytest.mark.slow
@pytest.mark.usefixtures("without_notebooks")
@pytest.mark.parametrize(("address", "code"), [("", 0), ("<https://127.0.0.1:9/none>", 1)])
def test_docs_links_asks_for_the_addresses(address, code, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(build, "write_source", small_source("Words."))
    page = f"---\norphan: true\n---\n# Links\n\nWords {address}\n"
    monkeypatch.setattr(build, "external_links", lambda: page)
    assert build.build(tmp_path / "links", "linkcheck") == code
    assert ("broken link: https://127.0.0.1:9/none" in capfd.readouterr().err) == bool(code)
