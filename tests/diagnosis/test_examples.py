"""Examples taken for steps, and classes without any, by made evidence and in a short training."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.analysis.explain import explain
from mlr.diagnosis.examples import class_missing, inputs_scrambled
from mlr.diagnosis.program import WatchedProgram
from mlr.records.evidence import Evidence, Look
from mlr.records.reading import read_runs


def program(sequences=("32/8",), outputs=(32, 4), end=1.38):
    looks = [
        Look(
            **{"known": True, "loss": loss, "forms": ["ce:mean"], "target_integer": True},
            **{"output_shape": list(outputs), "target_shape": [32]},
        )
        for loss in (1.4, end)
    ]
    return WatchedProgram(
        Evidence(updates=200, class_counts=[50] * 4, looks=looks, sequences=list(sequences))
    )


def test_examples_that_are_taken_for_steps_are_found():
    found = inputs_scrambled(program())
    assert found is not None
    assert "(32, 8, …)" in found.evidence


@pytest.mark.parametrize(
    "change",
    [
        {"sequences": ()},
        {"sequences": ("8/32",)},  # steps first, as it expects them
        {"sequences": ("32/1",)},  # one long sequence
        {"sequences": ("32/64",)},  # two windows an example, of as many steps as examples
        {"outputs": (32, 8, 4)},  # outputs of each step
        {"end": 0.5},
    ],
)
def test_other_sequences_are_not(change):
    assert inputs_scrambled(program(**change)) is None


@pytest.mark.parametrize("first", [False, True])
def test_in_a_training(tmp_path, first):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(240, 6, 2, generator=generator)
    t = (x[:, -1, 0] > 0).long()
    torch.manual_seed(0)
    gru, out = nn.GRU(2, 8, batch_first=first), nn.Linear(8, 2)
    model = nn.ModuleList([gru, out])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    with GradientProbe(model, optimizer, tmp_path / "it") as probe:
        for _ in range(8):
            for some in torch.randperm(240, generator=generator).split(20):
                z = out(gru(x[some])[0][:, -1 if first else 0])
                loss = F.cross_entropy(z, t[some])
                probe.watch(z, t[some], loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    named = [one.rule for one in explain(read_runs(tmp_path / "it"))]
    assert named == ([] if first else ["inputs_scrambled"])


@pytest.mark.parametrize(
    ("targets", "counts", "found"),
    [
        ([32], [0, 400, 500], True),
        ([32, 4], [0, 400, 500], False),  # 0 begins each sequence
        ([32, 4], [400, 0, 500], True),
    ],
)
def test_a_class_without_examples(targets, counts, found):
    look = Look(
        **{"known": True, "loss": 1.0, "forms": ["ce:mean"], "target_integer": True},
        **{"output_shape": [*targets, 3], "target_shape": targets},
    )
    evidence = Evidence(updates=200, class_counts=counts, looks=[look])
    assert (class_missing(WatchedProgram(evidence)) is not None) == found
