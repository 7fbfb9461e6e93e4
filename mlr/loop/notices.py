"""What a probe warns of, each in one sentence: the loop goes on."""

from __future__ import annotations

import warnings

from mlr.core.checks import users_stacklevel
from mlr.loop.hearing import OF_LAYERS
from mlr.probes import ProbeSettings
from mlr.probes.taps import Taps


def tell_of_layers(settings: ProbeSettings, taps: Taps | None) -> None:
    """Say what will not be measured.

    Args:
        settings: what is wanted.
        taps: of the model's layers; None where they call no hooks.
    """
    wanted = sorted(OF_LAYERS.intersection(settings.families))
    if wanted and taps is None:
        _warn(
            f"{' and '.join(wanted)} cannot be measured in a model compiled by torch.compile, "
            "whose layers call no hooks; everything else is."
        )
    elif "sample_gradient" in wanted and taps is not None and taps.left_out:
        _warn(
            f"sample_gradient leaves out {', '.join(taps.left_out)}: "
            f"{next(iter(taps.left_out.values()))}."
        )


def tell_of_logits(step: int) -> None:
    """Say that a step was not recorded."""
    _warn(
        f"Nothing is recorded of step {step}: no gradient came to the logits that probe.watch "
        "was given. Give those that the loss is computed from."
    )


def _warn(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=users_stacklevel())
