"""The page of all slides as a lecturer and a student see it, in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlr.lecture import command
from tests.records.browser import Page, chromium

pytest.importorskip("selenium")

# one process asks the slides once, for all tests that read the answers
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("lecture")]

MOST_BYTES = 8 << 20
SCREENS = {"hall": (1600, 1000), "laptop": (1200, 800), "phone": (360, 780)}


@pytest.fixture
def written(whole_lecture) -> Path:
    """The page of all slides."""
    return whole_lecture.page


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as window:
        window.chrome.execute_cdp_cmd("Network.enable", {})
        yield window


def show(window: Page, written: Path, screen: str, scheme: str) -> None:
    window.show(written, SCREENS[screen], scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_the_page_is_whole_and_quiet(window, written, screen, scheme):
    show(window, written, screen, scheme)
    window.picture(f"lecture_{screen}_{scheme}")
    assert window.chrome.get_log("browser") == []
    loaded = window.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    assert window.run("return document.querySelectorAll('section').length") == len(command.SLIDES)
    wide, here = window.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= here, "the page is scrolled sideways"
    background = window.run("return getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]


def test_type_of_the_drawings_can_be_read_at_the_back_of_a_room(window, written):
    show(window, written, "hall", "light")
    heights = window.run(
        """return [...document.querySelectorAll('.drawing:not(.wide) svg')].map(svg =>
          17 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)"""
    )
    assert len(heights) >= len(command.SLIDES)
    assert min(heights) > 20


def test_every_link_inside_leads_somewhere(window, written):
    show(window, written, "laptop", "light")
    links = window.run(
        "return [...document.querySelectorAll('a')].map(a => a.getAttribute('href'))"
    )
    names = set(window.run("return [...document.querySelectorAll('[id]')].map(e => e.id)"))
    inside = {link[1:] for link in links if link.startswith("#")}
    assert inside <= names
    folders = {link for link in links if not link.startswith("#")}
    assert folders
    assert [link for link in folders if not (written.parent / link).is_dir()] == []


def test_the_page_is_small(written):
    assert written.stat().st_size < MOST_BYTES


def test_an_error_in_the_log_would_be_noticed(window, tmp_path):
    """The test above would notice an error and a request."""
    broken = tmp_path / "broken.html"
    broken.write_text("<script>console.error('no'); fetch('http://127.0.0.1:9/x')</script>")
    window.open(broken.as_uri())
    assert "no" in json.dumps(window.chrome.get_log("browser"))
