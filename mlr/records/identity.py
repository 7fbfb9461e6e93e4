"""Identity of a run, of its data and of its tensor program, from plain configurations.

Nothing here imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

NOT_THE_RUN = ("sweep", "objective_metric", "resume", "allow", "checkpoint")
"""Root keys that say how runs are made and compared; they are no part of a run's identity."""

OF_ONE_RUN = {
    *("head", "loss", "objective", "seed", "max_grad_norm", "patience", "stopping"),
    *("model.init", "model.init_scale", "model.weight", "model.bias"),
    *("data.seed", "data.label_noise", "data.noise"),
}
"""Settings that may differ within one tensor program, as the optimizer's numbers may."""


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration without the keys in `NOT_THE_RUN`."""
    return {key: value for key, value in config.items() if key not in NOT_THE_RUN}


def is_of_run(override: str) -> bool:
    """Return True if `override`, as typed, is part of a run's identity."""
    root = override.lstrip("+").partition("=")[0].partition(".")[0]
    return root not in NOT_THE_RUN


def config_hash(config: Mapping[str, Any]) -> str:
    """Hash a configuration: equal for those that give the same run, however they were typed.

    Args:
        config: plain, interpolations resolved.
    """
    text = _text(identity(config)).encode(errors="surrogateescape")  # lone bytes, of LC_ALL=C
    return blake2b(text, digest_size=16).hexdigest()


def group_key(config: Mapping[str, Any]) -> str:
    """Key that is equal for runs likely to fit into one tensor program.

    A first sorting only: `mlr.training.experiment.program_key` of the built parts decides.
    """
    shared: dict[str, Any] = {}
    for key, value in identity(config).items():
        if key == "optimizer":
            shared[key] = value.get("_target_")
        elif key not in OF_ONE_RUN:
            shared[key] = _without(key, value)
    return _text(shared)


def data_key(options: Mapping[str, Any], seed: int | None) -> str:
    """Key that is equal for runs of the same data: a source's options and the seed that decides."""
    return _text({"data": options, "seed": seed})


def _without(group: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: item for key, item in value.items() if f"{group}.{key}" not in OF_ONE_RUN}


def _text(value: Any) -> str:
    """Serialise a value, keys sorted and 1.0 as 1, so that equal values have equal text."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
