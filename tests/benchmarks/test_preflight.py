"""Costs of a check are those of one check and one step."""

from __future__ import annotations

import torch

from mlr.benchmarks import preflight


def test_a_step_and_a_check_are_compared(monkeypatch):
    measured = []

    def rounds(measures, repeats):
        measured.append([one() >= 0 for one in measures])
        return [[0.4, 0.4, 0.4], [0.5, 0.5, 0.5]]

    monkeypatch.setattr(preflight, "rounds", rounds)
    monkeypatch.setattr(preflight, "BATCH", 4)
    rows = list(preflight.rows(3))
    assert measured == [[True, True]] * 3
    assert [row.result.partition(" ±")[0] for row in rows[:2]] == ["4", "0.4 s"]
    assert [row.kept for row in rows] == [True, True] * 3
    assert rows[0].other == "100 ms a step"


def test_the_networks_learn_nothing_odd():
    for make, optimizer_of, shape in preflight.CASES.values():
        model = make()
        found = preflight.check(
            model,
            torch.nn.CrossEntropyLoss(),
            (torch.rand(4, *shape), torch.arange(4)),
            optimizer_of(model),
        )
        assert list(found) == []
