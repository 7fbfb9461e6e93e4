from __future__ import annotations

from tests.mutants.operators import mutants
from tests.mutants.sampling import sample, shares

SOURCE = "".join(f"a{number} = {number}\n" for number in range(60))


def every(extra: str = "") -> list:
    files = ("mlr/data/x.py", "mlr/probes/x.py")
    return [it for name in files for it in mutants(extra + SOURCE, name)]


def test_each_package_has_its_least_and_its_share():
    # 100 − 25 − 10 are shared 175 : 75 : 0
    counts = {"mlr/data": 200, "mlr/probes": 100, "mlr/heads": 10}
    assert shares(counts, 130) == {"mlr/data": 74, "mlr/probes": 46, "mlr/heads": 10}


def test_a_seed_gives_the_same_mutants():
    chosen = [it.id for it in sample(every(), 60, 1)]
    assert len(set(chosen)) == 60
    assert chosen == [it.id for it in sample(every(), 60, 1)]
    assert chosen != [it.id for it in sample(every(), 60, 2)]


def test_an_edit_elsewhere_moves_few():
    before = {it.id for it in sample(every(), 60, 1)}
    after = {it.id for it in sample(every("new = 1\n"), 60, 1)}
    assert len(before - after) <= 2
