from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """All pages as Sphinx reads them."""
    pytest.importorskip("sphinx")
    from mlr.docs import build

    folder = tmp_path_factory.mktemp("source")
    build.write_source(folder)
    return folder


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The site, as `make docs` builds it, without a word."""
    folder = tmp_path_factory.mktemp("site")
    shown = subprocess.run(
        [sys.executable, "-m", "mlr.docs.build", folder],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (shown.returncode, shown.stdout, shown.stderr) == (0, "", "")
    return folder
