"""Number of examples evaluated at a time; `test_final_numbers` has their means."""

from __future__ import annotations

import pytest

from mlr.models import Linear, Mlp
from mlr.training.background import Background
from mlr.training.evaluation import Evaluation
from mlr.training.examples import Examples
from mlr.training.step import Program
from tests.training.conftest import dataset, experiment


@pytest.mark.parametrize(
    ("model", "values", "sizes"),
    [
        (Linear(), 1 << 21, [256, 256, 88]),
        (Mlp([40]), 1 << 21, [600]),
        (Mlp([40]), 3 * 200, [200, 200, 200]),
        (Linear(), 3 * 250 + 2, [250, 250, 100]),
        (Mlp([40]), 2, [1] * 600),  # of an example that is larger, one at a time
    ],
)
def test_as_many_examples_at_a_time_as_memory_may_hold(monkeypatch, model, values, sizes):
    monkeypatch.setattr("mlr.training.evaluation.CHUNK_VALUES", values)
    program = Program([experiment(model=model, data=dataset(2, 600))], Background(0))
    chunks = Evaluation(Examples(program, "val"), program).chunks
    assert [inputs.shape[1] for inputs, _ in chunks] == sizes
    assert [targets.shape[1] for _, targets in chunks] == sizes
