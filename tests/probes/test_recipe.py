"""A probe is added as `mlr.probes.families` says: one file and one line."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = '''
"""Largest logit of the batch."""

from mlr.probes.base import Probe


class LargestLogit(Probe):
    """`largest_logit/batch`: max |z_k| over batch and outputs."""

    def __init__(self, subject, threshold):
        self.tags = ("largest_logit/batch",)

    def measure(self, values):
        return values.logits.abs().amax((-2, -1)).unsqueeze(-1)
'''
LINE = '    Family("largest_logit", "largest logit of the batch"),\n'
PROGRAM = """
import runpy, sys, mlr
mlr.__path__.insert(0, sys.argv.pop(1))
runpy.run_module("mlr", run_name="__main__")
"""


def test_one_file_and_one_line_make_a_probe(tmp_path):
    families = tmp_path / "copy" / "probes" / "families"
    shutil.copytree(ROOT / "mlr" / "probes", families.parent)
    (families / "largest_logit.py").write_text(FILE)
    table = families / "__init__.py"
    before, opening, after = table.read_text().partition("FAMILIES = (\n")
    table.write_text(before + opening + LINE + after)
    options = ["data=xor", "epochs=2", "+probes.largest_logit=every:1", "probes.figures=0"]
    subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            str(families.parents[1]),
            "train",
            *options,
            "hydra.run.dir=run",
        ],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert float(row["largest_logit/batch"]) >= 0
