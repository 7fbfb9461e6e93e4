"""The playground's engine under Node, as the browser runs it."""

import json
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest

from mlr.playground import material

ENGINE = material.__file__.replace("material.py", "engine.js")
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node.js to run the page's engine")
PRELUDE = """
const engine = require(process.argv[1]);
const {material, given} = JSON.parse(require("fs").readFileSync(0));
const bytes = (text) => Uint8Array.from(Buffer.from(text, "base64"));
// NaN and ∞ are no JSON
const written = (key, value) =>
  typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
const done = (value) => console.log(JSON.stringify(value, written));
function keysOf(seed) {
  return {...material.keys[seed], order: BigInt(material.keys[seed].order)};
}
function examples(name, head) {
  const {classes, columns, features, labels} = material.data[name];
  const outputs = material.outputs[classes][head], own = bytes(labels);
  const targets = new Float64Array(own.length * outputs);
  own.forEach((label, n) => {
    if (outputs === 1) targets[n] = label;
    else targets[n * outputs + label] = 1;
  });
  return {features: new Float64Array(bytes(features).buffer), targets, columns, outputs,
    count: own.length};
}
"""


@cache
def handed() -> dict[str, Any]:
    """Material of the page."""
    return material.material()


def run(script: str, given: object) -> Any:
    """Run a script that ends in `done(value)`; it knows engine, material and `given`."""
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", PRELUDE + script, ENGINE],
        input=json.dumps({"material": handed(), "given": given}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


TRAINED = """
done(given.map(({setting, name, steps}) => {
  const own = new engine.Training(setting, examples(name, setting.head), keysOf(setting.seed));
  const losses = Array.from({length: steps}, () => own.update());
  return {losses, parameters: Object.fromEntries(own.layers.flatMap((layer) => [
    [`${layer.name}.weight`, Array.from(layer.weight)],
    [`${layer.name}.bias`, Array.from(layer.bias)]]))};
}));
"""
SETTING = {
    **{"activation": "relu", "init": "he", "scale": 1, "weight": None, "bias": None},
    **{"widths": [], "lr": 0.1, "momentum": 0, "batch": 32, "seed": 0},
}


def trained(jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Losses of each update and last parameters of jobs of a setting, data and steps."""
    whole = [{**job, "setting": SETTING | job["setting"]} for job in jobs]
    found: list[dict[str, Any]] = run(TRAINED, whole)
    return found
