"""Where the events of a run go on."""

from __future__ import annotations

import numpy as np

from mlr.records.continuing import going_on
from mlr.records.events import EventWriter

from .reading import points


def test_however_often_it_goes_on_at_a_step_that_is_told_once(tmp_path):
    writer = EventWriter(tmp_path, first=True)
    steps, values, times = np.array([3, 5]), np.array([[0.5], [0.25]]), np.array([1.0, 2.0])
    writer.scalars(steps, ["loss/val"], values, times)
    writer.flush()
    sizes = {writer.path.name: writer.size}
    for step in (5, 5, 3, 5):
        again = going_on(tmp_path, sizes, step)
        again.flush()
        sizes[again.path.name] = again.size
        assert points(tmp_path) == {"loss/val": [(3, "0.5"), (5, "0.25")]}
