"""The playground as a person uses it, in a real browser."""

import re

import pytest

from mlr.lecture.lab import Lab
from mlr.playground.page import page_html
from mlr.playground.settings import Opening, opening_of
from tests.records.browser import Page, chromium, wait

pytest.importorskip("selenium")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("playground")]
SCREENS = {"hall": (1920, 1080), "laptop": (1400, 900), "phone": (360, 780)}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "playground.html"
    path.write_text(page_html(Opening({})), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as window:
        yield window


def click(window: Page, name: str) -> None:
    window.run(f"document.getElementById('{name}').click()")


def numbers(window: Page) -> list[str]:
    return window.run(
        "return ['a', 'b'].map(s => document.getElementById('numbers' + s).textContent)"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_page_is_whole_and_quiet(window, page, screen, scheme):
    window.show(page, SCREENS[screen], scheme)
    click(window, "step")
    window.picture(f"playground_{screen}_{scheme}")
    assert window.chrome.get_log("browser") == []
    assert window.run("return performance.getEntriesByType('resource').map(e => e.name)") == []
    wide, here = window.run("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= here, "the page is scrolled sideways"


def test_one_click_shows_se_stuck_and_bce_moving(window, page):
    window.show(page, SCREENS["hall"], "light")
    assert "100 % stuck" in numbers(window)[0]
    click(window, "play")
    wait(lambda: "100 % right" in numbers(window)[1], "cross-entropy learns", 10)
    click(window, "play")
    assert "0 % right" in numbers(window)[0]


def test_slide_30_in_seconds(window, page):
    window.show(page, SCREENS["hall"], "light")
    window.run(
        """const set = (name, value) => { const e = document.getElementById(name);
             e.value = value; e.dispatchEvent(new Event('change')); };
           set('weight', 6); set('bias', 6); set('lr', 0.5); set('speed', '4')"""
    )
    click(window, "play")
    wait(lambda: "since update 162,799" in numbers(window)[0], "squared error arrives", 60)
    assert "since update 13" in numbers(window)[1]


def test_setting_goes_into_the_address_and_back(window, page):
    window.show(page, SCREENS["laptop"], "light")
    window.run(
        """for (const [name, value] of [['data', 'moons'], ['widths', '8,8'], ['lossa', 'mae']]) {
             const e = document.getElementById(name); e.value = value;
             e.dispatchEvent(new Event('change')); }"""
    )
    address = window.run("return location.href")
    shown = window.run("return document.getElementById('commands').textContent")
    assert "'model.widths=[8,8]'" in shown
    assert "data=moons data.n=800 data.seed=0" in shown
    window.open(address)
    assert window.run("return document.getElementById('commands').textContent") == shown
    assert window.run("return document.getElementById('lossa').value") == "mae"


def test_nonsense_in_the_address_is_the_default(window, page):
    window.show(page, SCREENS["laptop"], "light")
    window.open(page.as_uri() + "#data=none&lr=fast&seed=99&batch=0&heada=x&widths=1e9&other=1")
    assert window.chrome.get_log("browser") == []
    state = window.run("return state")
    assert (state["data"], state["lr"], state["seed"], state["heada"]) == (
        "neuron",
        0.15,
        0,
        "sigmoid",
    )
    assert (state["batch"], state["widths"]) == (1, "")


def test_illegal_pair_shows_the_sentence_of_python(window, page):
    window.show(page, SCREENS["laptop"], "light")
    window.open(page.as_uri() + "#data=blobs3&heada=sigmoid&lossa=ce")
    said = window.run("return document.getElementById('refusala').textContent")
    assert said.startswith("loss=ce needs predictions that are probabilities and sum to 1")
    assert window.run("return document.getElementById('bodya').hidden")


def test_example_under_the_pointer_tells_its_numbers(window, page):
    window.show(page, SCREENS["laptop"], "light")
    window.run(
        """const plane = document.getElementById('planea'), box = plane.getBoundingClientRect();
           const [x, y] = panels.a.places[0];
           plane.dispatchEvent(new PointerEvent('pointermove',
             {clientX: box.left + x, clientY: box.top + y}))"""
    )
    said = window.run("return document.getElementById('examplea').textContent")
    # w = b = 2, x = 1: y = σ(4), dL/dz = y·y(1 − y)
    assert re.fullmatch(r"z = 4 · y = 0\.982 · t = 0 · L = 0\.482 · dL/dz = 0\.0173", said), said


def test_every_example_and_update_is_drawn(window, page):
    window.show(page, SCREENS["laptop"], "light")
    window.open(page.as_uri() + "#data=moons&weight=&bias=&widths=8,8&init=he&lr=0.3")
    assert window.run("return decoded.moons.labels.length") == 480
    window.run("advance(20); draw()")
    assert window.run("return panels.a.places.length") == 480
    assert window.run("return panels.a.series.step.length") > 1


def test_digits_of_a_run_are_its_own(window, tmp_path):
    """As many crosses and images as the run has examples, whose pixels are standardised."""
    overrides = ("data=digits", "data.test_fraction=0.75", "data.scale=standardize", "steps=1")
    run = Lab(tmp_path / "runs").run(*overrides, "head=sigmoid", "loss=se")
    path = tmp_path / "own.html"
    path.write_text(page_html(opening_of(run.folder)), encoding="utf-8")
    window.show(path, SCREENS["laptop"], "light")
    assert window.chrome.get_log("browser") == []
    assert window.run("return panels.a.places.length") == 269
    assert window.run("return sheet.name").startswith("run,")
