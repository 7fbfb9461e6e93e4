"""TensorBoard as a subprocess, and a headless Chromium that looks at it."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
    "--window-size=1600,1000",
)
# the page is a tree of shadow roots: text and elements are gathered through all of them
_EVERYTHING = """
const found = [];
(function walk(node) {
  for (const child of node.children || []) {
    found.push(child);
    if (child.shadowRoot) walk(child.shadowRoot);
    walk(child);
  }
})(document);
"""


@contextmanager
def tensorboard(logdir: Path, *flags: str) -> Iterator[str]:
    """The address of a TensorBoard over `logdir`, as a user starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir)]
    server = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: _answers(address, server), "TensorBoard answers")
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _answers(address: str, server: subprocess.Popen) -> bool:
    assert server.poll() is None, "tensorboard ended"
    try:
        with urlopen(f"{address}/data/runs", timeout=5) as answer:
            return answer.read().strip() not in (b"", b"[]")
    except OSError:
        return False


def wait(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.2)


@contextmanager
def chromium(profile: Path) -> Iterator["Page"]:
    """The system's Chromium with a fresh profile; skips where it is missing."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("chromium or chromedriver is not installed")
    options = ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    chrome = Chrome(options=options, service=Service(driver))
    try:
        yield Page(chrome)
    finally:
        chrome.quit()


class Page:
    """A page of TensorBoard in the window, read as a person sees it."""

    def __init__(self, chrome: Chrome):
        self.chrome = chrome

    def open(self, address: str) -> None:
        self.chrome.get("about:blank")  # a change of the part behind # loads nothing
        self.chrome.get(address)

    def show(self, file: Path, screen: tuple[int, int], scheme: str) -> None:
        """Open a file on a screen of this width and height, in a light or a dark scheme."""
        width, height = screen
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        self.open(file.as_uri())

    def run(self, script: str, *arguments: object) -> object:
        return self.chrome.execute_script(_EVERYTHING + script, *arguments)

    def text(self) -> str:
        """All text that is shown, shadow roots included."""
        return str(
            self.run(
                """return found.filter(e => e.getClientRects().length)
                  .map(e => [...e.childNodes].filter(n => n.nodeType === 3)
                    .map(n => n.data).join('')).join('\\n')"""
            )
        )

    def count(self, selector: str, inside: str = "*") -> int:
        """Elements that match and are shown, below an element that matches `inside`."""
        script = """
          const within = e => { for (; e; e = e.parentNode || e.host)
            if (e.matches && e.matches(arguments[1])) return true; return false };
          return found.filter(e => e.matches(arguments[0]) && e.getClientRects().length
            && within(e)).length"""
        return int(self.run(script, selector, inside))

    def shows(self, *texts: str) -> bool:
        seen = _squeezed(self.text())  # a name may be spread over several elements
        return all(_squeezed(text) in seen for text in texts)

    def table(self) -> list[dict[str, str]]:
        """The rows of the HPARAMS page: column head → text."""
        script = """
          const grid = found.find(e => e.localName === 'vaadin-grid');
          if (!grid) return [];
          const cells = (part, row) => [...grid.shadowRoot.querySelectorAll(part)].map(tr =>
            [...tr.children].filter(td => !td.hidden).map(td => td.querySelector('slot')
              .assignedNodes().map(n => n.innerText).join('').replace(/\\s+/g, ' ').trim()));
          const heads = cells('#header tr').find(row => row.includes('Trial ID'));
          return cells('#items tr:not([hidden])').map(row => [heads, row])"""
        rows = self.run(script)
        return [dict(zip(heads, cells, strict=True)) for heads, cells in rows or []]

    def colours(self, selector: str) -> int:
        """Count the colours, other than greys, that fill at least 40 pixels of the first match.

        Charts on a canvas have no elements to count; what is drawn there can only be seen.
        """
        script = """
          const one = found.find(e => e.matches(arguments[0]) && e.getClientRects().length);
          if (!one) return [0, 0, 1, 1];
          const box = one.getBoundingClientRect();
          return [box.left, box.top, box.right, box.bottom]"""
        box = [int(edge) for edge in self.run(script, selector)]
        window = Image.open(BytesIO(self.chrome.get_screenshot_as_png())).convert("RGB")
        pixels = np.asarray(window.crop(box)).reshape(-1, 3)
        vivid = pixels[np.ptp(pixels, axis=1) > 60] // 32
        _, counts = np.unique(vivid, axis=0, return_counts=True)
        return int((counts >= 40).sum())

    def show_element(self, text: str) -> None:
        """Scroll to the innermost element that holds this text."""
        script = """
          const one = found.filter(e => e.textContent.trim() === arguments[0]).at(-1);
          if (one) one.scrollIntoView()"""
        self.run(script, text)

    def picture(self, name: str) -> None:
        """Save what is seen, where MLR_SCREENSHOTS says."""
        if folder := os.environ.get("MLR_SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.chrome.save_screenshot(str(Path(folder) / f"{name}.png"))


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)
