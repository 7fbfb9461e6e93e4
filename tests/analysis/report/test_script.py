"""The script, and a page of many runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from time import process_time

import pytest

from mlr.analysis.quantities import CURVES
from mlr.analysis.report.command import write
from tests.analysis.report.making import anatomy, config, metrics
from tests.records.written import write_run

SCRIPT = Path(__file__).parents[3] / "scripts" / "report.py"
MOST_BYTES, MOST_SECONDS = 6_000_000, 10


def test_help_needs_no_library():
    heavy = "{'numpy', 'torch', 'mlr.core.console', 'rich'}"
    code = f"""
import runpy, sys
sys.argv = ['report.py', '--help']
sys.path.insert(0, {str(SCRIPT.parent)!r})
try:
    runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
except SystemExit as ended:
    assert ended.code == 0
assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "report.html" in done.stdout


@pytest.mark.slow
def test_the_script_passes_on_what_it_is_given(tmp_path):
    asked = [sys.executable, str(SCRIPT), "no/folder", "--out", "it.html"]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mlr: no/folder is not a folder")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.long
def test_a_page_of_512_settings_is_small_and_soon_made(tmp_path):
    points = 200
    series = {one.tag: [1 / (at + 3) for at in range(points)] for one in CURVES}
    pairs = ("sigmoid+se", "sigmoid+bce", "softmax+se", "softmax+ce")
    for number in range(512):
        pair, lr = pairs[number % 4], f"optimizer.lr={number}"
        folder = tmp_path / "sweep" / f"{pair},{lr}"
        write_run(
            folder,
            pair,
            0,
            [lr],
            metrics=metrics(0.001 * number),
            config=config(*pair.split("+"), optimizer__lr=number),
            series=series if number == 0 else None,
            anatomy=anatomy(),
        )
        if number:
            first = tmp_path / "sweep" / "sigmoid+se,optimizer.lr=0"
            shutil.copy(first / "metrics.csv", folder)
    start = process_time()
    written = write(tmp_path / "sweep")
    assert process_time() - start < MOST_SECONDS
    assert written.stat().st_size < MOST_BYTES
