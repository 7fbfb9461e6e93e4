from __future__ import annotations

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
