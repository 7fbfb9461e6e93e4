"""The playground as one HTML file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import Any

from mlr.analysis.webpage import BASE, document
from mlr.core.commandline import for_others
from mlr.playground.material import material
from mlr.playground.settings import Opening

# its own scripts only; nothing is ever loaded from anywhere
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
SETTINGS = (
    ("data", "data", "select"),
    ("noise", "share of wrong labels", "number"),
    ("widths", "hidden layers", "select"),
    ("activation", "activation", "select"),
    ("init", "initial values", "select"),
    ("weight", "all weights start at", "number"),
    ("bias", "all biases start at", "number"),
    ("lr", "learning rate", "number"),
    ("momentum", "momentum", "number"),
    ("batch", "batch size", "number"),
    ("seed", "seed", "number"),
    ("threshold", "stuck below ‖dL/dz‖ of", "number"),
)
"""Settings that both sides share: id, label, kind of control."""


def page_html(opening: Opening) -> str:
    """Build the page, which opens with a setting."""
    if opening.data is None:
        handed = material(opening.seed)
    else:
        handed = material(opening.seed, opening.data["classes"])
        handed["data"] = {"run": opening.data, **handed["data"]}
    handed |= {"command": for_others("train"), "start": opening.state}
    scripts = "".join(
        f"<script>{files('mlr.playground').joinpath(name).read_text(encoding='utf-8')}</script>\n"
        for name in ("engine.js", "settings.js", "pictures.js", "view.js")
    )
    style = BASE + files("mlr.playground").joinpath("playground.css").read_text(encoding="utf-8")
    body = f"""<header>
<h1>What do the output head and the loss do to learning?</h1>
<p class="lead">Two choices learn the same data from the same start. An example is as large as its
gradient ‖dL/dz‖; a cross marks one that is stuck: wrong, and almost without gradient.</p>
</header>
<main>
<div class="bar">
<button id="play" type="button" aria-pressed="false">Play</button>
<button id="step" type="button">One update</button>
<button id="reset" type="button">Reset</button>
<label>speed <select id="speed"></select></label>
<label>case <select id="preset"></select></label>
<span id="steps"></span>
</div>
<details><summary>Setting: <span id="summary"></span></summary>
<div class="settings">{"".join(_control(*one) for one in SETTINGS)}</div></details>
<div class="sides">{_side("a", "left")}{_side("b", "right")}</div>
<h2 class="small">The same in a terminal</h2>
<div id="commands"></div>
<p class="spoken" id="spoken" aria-live="polite"></p>
</main>
<footer class="small">Space plays and pauses, → makes one update, r resets. Numbers are float64 and
those of mlr: the same kernels, initial values and orders of the examples. Made by
<code>{escape(for_others("play"))}</code>.</footer>
<script type="application/json" id="material">{_inert(handed)}</script>
{scripts}"""
    return document("Playground: heads and losses", POLICY, style, body)


def _control(name: str, label: str, kind: str) -> str:
    control = (
        f'<select id="{name}"></select>'
        if kind == "select"
        else f'<input id="{name}" type="number" step="any">'
    )
    return f"<label>{escape(label)} {control}</label>\n"


def _side(side: str, where: str) -> str:
    def canvas(name: str, label: str) -> str:
        return (
            f'<canvas class="{name}" id="{name}{side}" role="img" aria-label="{label}"></canvas>\n'
        )

    return f"""<section class="side" aria-label="{where} side">
<div class="choice">
<label>head <select id="head{side}"></select></label>
<label>loss <select id="loss{side}"></select></label>
</div>
<p class="refusal" id="refusal{side}" role="status"></p>
<div class="body" id="body{side}">
<p class="numbers" id="numbers{side}"></p>
<div class="pictures">
{canvas("plane", "examples, and predictions in the background")}
{canvas("curve", "loss and its slope over the logit, with the examples on them")}
{canvas("chart", "loss, accuracy, gradients and stuck examples over the updates")}
{canvas("weights", "weights of each layer, the bias last")}
</div>
<p class="example" id="example{side}"></p>
</div>
</section>
"""


def _inert(values: Mapping[str, Any]) -> str:
    """Write JSON that ends no script element."""
    return json.dumps(values, ensure_ascii=False).replace("<", "\\u003c")
