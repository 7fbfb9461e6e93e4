"""The report as a person sees and uses it, in a real browser."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlr.analysis.report.command import write
from tests.analysis.report.making import small_sweep
from tests.records.browser import Page, chromium

pytest.importorskip("selenium")

# one process makes the runs and starts the browser, for all tests that look at them
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("report")]

SCREENS = {"laptop": (1280, 900), "tablet": (800, 1000), "phone": (360, 780)}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    return write(small_sweep(tmp_path_factory.mktemp("report") / "sweep"))


@pytest.fixture(scope="module")
def window(tmp_path_factory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as window:
        yield window


def show(window: Page, written: Path, screen: str = "laptop", scheme: str = "light") -> None:
    window.show(written, SCREENS[screen], scheme)
    settle(window)


def settle(window: Page) -> None:
    """uPlot draws in a later turn of the browser's loop."""
    window.chrome.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done, 50))"
    )


def inked(window: Page) -> list[float]:
    """The share of each chart's points that something is drawn on."""
    return window.run(
        """return [...document.querySelectorAll('.chart canvas')].map(canvas => {
          const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
          let inked = 0;
          for (let at = 3; at < data.length; at += 4) inked += data[at] > 0;
          return inked / (data.length / 4) })"""
    )


def choose(window: Page, text: str) -> None:
    window.run(
        """[...document.querySelectorAll('fieldset label')].find(label =>
          label.textContent === arguments[0]).querySelector('input').click()""",
        text,
    )
    settle(window)


def key(window: Page, selector: str, name: str) -> None:
    """A key that is pressed while the first match has the focus."""
    window.run("document.querySelector(arguments[0]).focus()", selector)
    for kind in ("keyDown", "keyUp"):
        code = {"ArrowRight": 39, "Enter": 13}[name]
        text = {"text": "\r"} if name == "Enter" and kind == "keyDown" else {}
        event = {"type": kind, "key": name, "windowsVirtualKeyCode": code, **text}
        window.chrome.execute_cdp_cmd("Input.dispatchKeyEvent", event)
    settle(window)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_the_page_is_whole_and_quiet(window, written, screen, scheme):
    show(window, written, screen, scheme)
    window.picture(f"report_{screen}_{scheme}")
    assert window.chrome.get_log("browser") == []
    loaded = window.run("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []
    wide, here = window.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= here, "the page is scrolled sideways"
    background = window.run("return getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}[scheme]
    drawn = inked(window)
    assert len(drawn) == 3 + 1 + 3
    assert min(drawn) > 0.01


def test_every_choice_draws_every_chart(window, written):
    show(window, written)
    labels = window.run(
        "return [...document.querySelectorAll('fieldset label')].map(l => l.textContent)"
    )
    assert "‖dL/dz‖ where wrong" in labels
    assert "every setting" in labels
    for label in labels:
        choose(window, label)
        assert len(inked(window)) == 3 + 1 + 3
        assert min(inked(window)) > 0.01
    log = window.chrome.get_log("browser")  # warns of what `inked` does
    assert [entry for entry in log if entry["source"] != "rendering"] == []


def test_a_gradient_of_exactly_0_stands_at_the_foot_of_a_logarithmic_axis(window, written):
    show(window, written)
    choose(window, "‖dL/dz‖ where wrong")
    values = window.run("return document.querySelector('#curves .values b').textContent")
    assert values == "0 (0 … 0)"


def test_one_cursor_reads_all_charts(window, written):
    show(window, written)
    places = ".matrix .panel[data-pair] .where"
    shown = f"return [...document.querySelectorAll('#curves {places}')].map(e => e.textContent)"
    assert window.run(shown) == ["at the end"] * 3
    key(window, "#curves .chart", "ArrowRight")
    key(window, "#curves .chart", "ArrowRight")
    assert window.run(shown) == ["update 20"] * 3
    told = window.run("return document.getElementById('spoken').textContent")
    assert told == "sigmoid + SE, update 20: mean 6.0\u00a0% (6.0 … 6.1\u00a0%)"


def test_tables_are_sorted_by_the_keyboard(window, written):
    show(window, written)
    column = """return [...document.querySelectorAll('#ranking tbody tr')].map(row =>
      row.cells[4].textContent)"""
    values = window.run(column)
    key(window, "#ranking th:nth-child(5) button", "Enter")
    assert window.run(column) == sorted(values)
    sort = "return document.querySelector('#ranking th:nth-child(5)').getAttribute('aria-sort')"
    assert window.run(sort) == "ascending"
    key(window, "#ranking th:nth-child(5) button", "Enter")
    assert window.run(column) == sorted(values, reverse=True)
    assert window.run(sort) == "descending"


def test_what_has_the_focus_is_seen(window, written):
    show(window, written)
    key(window, "#ranking th:nth-child(5) button", "Enter")
    style = "return getComputedStyle(document.activeElement).outlineStyle"
    assert window.run(style) == "solid"
    key(window, "#curves .chart", "ArrowRight")
    assert window.run(style) == "solid"


def test_rows_are_filtered(window, written):
    show(window, written)
    window.run(
        """const input = document.querySelector('#runs input');
          input.value = 'sigmoid diverged'; input.dispatchEvent(new Event('input'))"""
    )
    assert window.count("#runs tbody tr") == 1
    assert window.shows("1 of 14 rows")


def test_every_chart_is_told_in_words(window, written):
    show(window, written)
    labels = window.run(
        "return [...document.querySelectorAll('.chart')].map(c => c.getAttribute('aria-label'))"
    )
    assert labels[0] == (
        "sigmoid + SE: validation accuracy from 0.0\u00a0% to 60.5\u00a0% in 200 updates"
    )
    assert all(": " in label for label in labels)


def test_paper_is_white_and_open_and_has_the_charts(window, written):
    show(window, written, scheme="dark")
    settings = {"printBackground": True, "paperWidth": 8.27, "paperHeight": 11.69}
    whole = window.chrome.execute_cdp_cmd("Page.printToPDF", settings)["data"]
    assert len(base64.b64decode(whole)) > 50_000
    window.run("dispatchEvent(new Event('beforeprint'))")
    settle(window)
    assert window.run("return document.querySelectorAll('main details:not([open])').length") == 0
    shot = window.chrome.execute_cdp_cmd("Page.captureScreenshot", {})["data"]
    pixels = np.asarray(Image.open(BytesIO(base64.b64decode(shot))).convert("L"))
    assert np.median(pixels) == 255
    assert min(inked(window)) > 0.01
    widest = window.run(
        "return Math.max(...[...document.querySelectorAll('.chart')].map(c => "
        "c.getBoundingClientRect().right))"
    )
    assert widest <= 720  # a sheet of A4 has 794 pixels, with its margins
    window.run("dispatchEvent(new Event('afterprint'))")
    assert window.run("return document.querySelectorAll('main details[open]').length") == 0


def test_what_is_slipped_in_does_not_run(window, written, tmp_path):
    """Neither the emptiness of the log above nor the policy is blindness of the tests."""
    broken = tmp_path / "broken.html"
    text = written.read_text(encoding="utf-8")
    slipped = "<script>console.error('ran')</script><img src='http://127.0.0.1:9/x'>"
    broken.write_text(text.replace("<main>", "<main>" + slipped), encoding="utf-8")
    window.open(broken.as_uri())
    log = json.dumps(window.chrome.get_log("browser"))
    assert "Content Security Policy" in log
    assert "ran" not in log.replace("transform", "")
