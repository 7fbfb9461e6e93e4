"""Examples taken for steps, and classes without any, by made evidence and in a short training."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.analysis.explain import explain
from mlr.diagnosis.examples import class_missing, imbalance, inputs_scrambled
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


def classes(counts, targets=(32,), outputs=3, end=0.5):
    """Return a classification of which little or nothing is learned by its end."""
    looks = [
        Look(
            **{"known": True, "loss": loss, "forms": ["ce:mean"], "target_integer": True},
            **{"output_shape": [*targets, outputs], "target_shape": list(targets)},
        )
        for loss in (2.0, end)
    ]
    return WatchedProgram(Evidence(updates=200, class_counts=list(counts), looks=looks))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"counts": [0, 400, 500]}, True),
        ({"counts": [0, 400, 500], "targets": (32, 4)}, False),  # 0 begins each sequence
        ({"counts": [400, 0, 500], "targets": (32, 4)}, True),
        ({"counts": [400] * 8, "outputs": 10}, True),
        ({"counts": [400] * 8, "outputs": 10, "targets": (32, 4)}, False),  # of a vocabulary
        ({"counts": [400] * 9, "outputs": 10}, False),  # one for what is not known
        ({"counts": [400] * 7, "outputs": 10}, False),
        ({"counts": [150, *[400] * 7], "outputs": 10}, False),  # rare ones may be missing
        ({"counts": [50] * 8, "outputs": 10}, False),
        ({"counts": [0, 30, 500, 700]}, False),  # others are nearly as rare
        ({"counts": [0, 40, 500, 700]}, True),
    ],
)
def test_a_class_without_examples(change, found):
    assert (class_missing(classes(**change)) is not None) == found


@pytest.mark.parametrize(
    ("rare", "end", "found"),
    [(20, 0.01, False), (20, 0.1, True), (60, 0.2, False), (5, 0.01, True), (5, 0.0005, False)],
)
def test_a_rare_class_is_named_sooner_if_nothing_is_learned(rare, end, found):
    # the entropy of 2 % is 0.098, and that of 6 % 0.22
    program = classes([1000 - rare, rare], outputs=2, end=end)
    assert (imbalance(program) is not None) == found
