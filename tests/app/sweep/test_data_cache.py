"""A sweep loads data once for all runs whose seed does not change them."""

from __future__ import annotations

from typing import Any

import pytest

from mlr.app.config.run_spec import RunSpec
from mlr.app.sweep.packing import DataCache
from mlr.data import Blobs, Digits, Source


class Own(Digits):
    """A user's own source, whose seed may mean anything."""


@pytest.mark.parametrize(
    ("source", "loads", "datasets"),
    [
        (Digits(), 1, 1),
        (Digits(label_noise=0.1), 3, 3),
        (Blobs(n=30), 3, 3),
        (Blobs(n=30, seed=7), 1, 1),
        (Own(), 3, 1),
    ],
    ids=["real", "with noise", "generated", "of a fixed seed", "a user's own"],
)
def test_seeds_load_what_they_change(source: Source, loads: int, datasets: int, monkeypatch):
    cache, loaded = DataCache(), []
    load = type(source).load
    monkeypatch.setattr(
        type(source), "load", lambda self, seed: loaded.append(seed) or load(self, seed)
    )
    parts: Any = dict.fromkeys(("head", "loss", "model", "optimizer", "schedule", "probes"))
    found = [
        cache.of(RunSpec({"seed": seed, "data": {"name": source.name}}, source=source, **parts))
        for seed in (0, 1, 2)
    ]
    assert len(loaded) == loads
    assert len(set(map(id, found))) == datasets
