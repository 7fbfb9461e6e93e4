"""Rules about the network below the output."""

from __future__ import annotations

import numpy as np

from mlr.app.explain import course
from mlr.app.explain.diagnosis import Finding
from mlr.app.explain.facts import Facts, short

STARVED = 0.01
"""Gradient norm of the first layer beside the output layer's: sound nets had 0.1 to 3."""


def starved(facts: Facts) -> Finding | None:
    """The first layer has had next to no gradient, and nothing was learned."""
    share = course.layer_share(facts)
    known = share[~np.isnan(share)]
    if not facts.unlearned or not len(known):
        return None
    typical = float(np.median(known))
    if not typical < STARVED:
        return None
    first, last = facts.layers[0], facts.layers[-1]
    norms = [float(np.median(facts.values(f"grad_norm/{name}"))) for name in (first, last)]
    return Finding(
        f"The gradient does not reach the hidden layers: that of {first} is "
        f"{'exactly 0' if typical == 0 else f'{short(typical)} times that of {last}'}, so that "
        "only the last layers learn.",
        f"median grad_norm/{first} {short(norms[0])}, grad_norm/{last} {short(norms[1])}; "
        f"loss/train {short(facts.metric('loss/train'))}, of a constant prediction "
        f"{short(facts.constant)}",
        _sound_init(facts),
    )


def _sound_init(facts: Facts) -> str:
    """He's weights and ReLUs, where the model has such settings."""
    settings = {"init": "he", "init_scale": "1", "activation": "relu"}
    return " ".join(
        f"model.{key}={value}" for key, value in settings.items() if facts.takes("model", key)
    )
