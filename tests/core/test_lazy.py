"""An export is imported at its first use, and no random number of a training is drawn by it."""

from __future__ import annotations

import random
import sys

import pytest

from mlr.core.lazy import lazy_exports


def test_a_module_that_draws_as_it_is_imported(tmp_path, monkeypatch):
    (tmp_path / "drawing.py").write_text("import random\nvalue = random.random()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "drawing", raising=False)
    attribute = lazy_exports("own", {"value": "drawing"})
    before = random.getstate()
    first = attribute("value")
    assert random.getstate() == before
    assert attribute("value") == first == random.random()
    with pytest.raises(AttributeError, match="'own' has no attribute 'other'"):
        attribute("other")
