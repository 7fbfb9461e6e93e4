"""The sweep of smoothed targets on a page runs, and has the files that the pages say."""

from __future__ import annotations

import re
import shlex

from mlr.app.trained.loading import load_trained
from mlr.docs import build
from mlr.records.run_folder import read_status

PAGES = {
    name: (build.PAGES / f"{name}.md").read_text("utf-8") for name in ("configuration", "sweeps")
}


def test_smoothed_targets_are_swept_in_one_program(train):
    line = re.search(
        r"^python scripts/train.py (-m .*label_smoothing=.*)$", PAGES["configuration"], re.M
    )
    finished = train(*shlex.split(line[1]), "epochs=1", "probes=off", "data=blobs")
    assert finished.code == 0, finished.err
    found = {load_trained(run).objective.label_smoothing for run in finished.runs}
    assert found == {0, 0.05, 0.1}
    losses = [read_status(run)["metrics"]["loss/val"] for run in finished.runs]
    assert len({*losses}) == 3
    files = {sum(path.is_file() for path in run.rglob("*")) for run in finished.runs}
    folders = {1 + sum(path.is_dir() for path in run.rglob("*")) for run in finished.runs}
    assert f"| + each run | {files.pop()}, {folders.pop()} |" in PAGES["sweeps"]
    assert not files | folders
