"""The site in a browser: light and dark, wide and on a phone, and its search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.records.browser import Page, chromium, wait

pytest.importorskip("selenium")
pytest.importorskip("sphinx")

# one process builds the site, for all tests that look at it
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]

SCREENS = {"wide": (1400, 900), "phone": (390, 844)}
PAGES = (
    "index", "heads_and_losses", "dashboards", "heads/sigmoid", "losses/bce", "losses/focal",
    "experiments/neuron", "commands", "commands/train", "api", "numerics", "citing",
)  # fmt: skip
"""One of every kind, and those with wide tables."""


@pytest.fixture(scope="module")
def window(tmp_path_factory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as window:
        yield window


def show(window: Page, path: Path, screen: str = "wide", scheme: str = "light") -> None:
    window.show(path, SCREENS[screen], scheme)


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_wider_than_the_screen(page, screen, site, window):
    """A table or a program that is, scrolls by itself."""
    show(window, site / f"{page}.html", screen)
    width = SCREENS[screen][0]
    assert window.run("return document.documentElement.scrollWidth") <= width
    wider = """return [...document.querySelectorAll('article table, article pre, article img')]
      .filter(one => {
        const box = one.closest('.table-wrapper') || one;
        return box.getBoundingClientRect().right > innerWidth + 1;
      }).map(one => one.outerHTML.slice(0, 80))"""
    assert window.run(wider) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["heads/sigmoid", "losses/bce"])
def test_the_picture_is_that_of_the_theme(page, scheme, site, window):
    show(window, site / f"{page}.html", scheme=scheme)
    shown = window.run(
        """return [...document.querySelectorAll('article img')]
          .filter(one => one.offsetWidth > 0).map(one => [one.src, one.naturalWidth])"""
    )
    assert len(shown) == 1
    (source, width) = shown[0]
    assert source.endswith(f"-{scheme}.svg")
    assert width > 300  # it was loaded
    ground = window.run("return getComputedStyle(document.body).backgroundColor")
    bright = sum(int(part) for part in ground[4:-1].split(",")) > 600
    assert bright == (scheme == "light")


def test_the_phone_shows_a_picture_whole(site, window):
    show(window, site / "losses" / "bce.html", "phone", "dark")
    (width,) = window.run(
        """return [...document.querySelectorAll('article img')]
          .map(one => one.offsetWidth).filter(width => width > 0)"""
    )
    assert 300 < width <= 390


@pytest.mark.parametrize(
    ("words", "page"), [("saturated", "not_learning.html"), ("sparsemax", "heads/sparsemax.html")]
)
def test_search_finds_pages(words, page, site, window):
    show(window, site / "search.html")
    window.chrome.get(f"{(site / 'search.html').as_uri()}?q={words}")
    links = "return [...document.querySelectorAll('#search-results li a')].map(one => one.href)"
    wait(lambda: any(page in link for link in window.run(links)), f"{page} in the results", 20)
