import re

import pytest

from mlr.app.outcome import Outcome
from mlr.app.ranking import _of_first_seed


@pytest.mark.parametrize(
    ("overrides", "shown"),
    [
        (["head=sigmoid", "seed=1", "optimizer.lr=0.1"], ["seed=1,x", "a/seed=1", "y,seed=1"]),
        (["seed=12"], ["seed=12"]),
    ],
)
def test_runs_of_the_first_seed_are_found_by_their_names(overrides, shown):
    pattern = _of_first_seed([Outcome("a", overrides, "done"), Outcome("b", ["seed=3"], "done")])
    for name in shown:
        assert re.search(pattern, name)
    for other in ("seed=13", "seed=121", "data.seed=3", "split_seed=1", "head=sigmoid"):
        assert not re.search(pattern, other)


def test_without_a_seed_nothing_is_chosen():
    assert _of_first_seed([Outcome("a", ["optimizer.lr=1"], "done")]) is None
