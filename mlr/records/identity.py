"""When two configurations are the same run, and when two runs can be one program.

Plain dictionaries in, text out; nothing here imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

NOT_THE_RUN = ("sweep", "objective_metric", "resume", "allow", "checkpoint")
"""Root keys that say how runs are made and compared, not what a run is."""

OF_ONE_RUN = {
    *("head", "loss", "objective", "seed", "max_grad_norm", "patience"),
    *("model.init", "model.init_scale", "model.weight", "model.bias"),
    *("data.seed", "data.label_noise", "data.noise"),
}
"""What may differ within one tensor program, beside the numbers of the optimizer."""


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is: the configuration without what only its sweep needs."""
    return {key: value for key, value in config.items() if key not in NOT_THE_RUN}


def is_of_run(override: str) -> bool:
    """Tell if `override`, as typed, says what a run is, and not how its sweep is made."""
    root = override.lstrip("+").partition("=")[0].partition(".")[0]
    return root not in NOT_THE_RUN


def config_hash(config: Mapping[str, Any]) -> str:
    """Equal for configurations that make the same run, whatever was typed to get them.

    Args:
        config: plain, interpolations resolved.
    """
    text = _text(identity(config)).encode(errors="surrogateescape")  # lone bytes, of LC_ALL=C
    return blake2b(text, digest_size=16).hexdigest()


def group_key(config: Mapping[str, Any]) -> str:
    """Equal for runs that are likely to fit into one tensor program.

    Only a first sorting: what was built decides in the end (`mlr.training.program_key`).
    """
    shared: dict[str, Any] = {}
    for key, value in identity(config).items():
        if key == "optimizer":
            shared[key] = value.get("_target_")
        elif key not in OF_ONE_RUN:
            shared[key] = _without(key, value)
    return _text(shared)


def data_key(config: Mapping[str, Any]) -> str:
    """Equal for runs whose source loads the same data: its options and the seed that counts."""
    data = config["data"]
    own = str(data.get("_target_")).startswith("mlr.")
    fixed = own and data.get("seed") is not None
    return _text({"data": data, "seed": None if fixed else config["seed"]})


def _without(group: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: item for key, item in value.items() if f"{group}.{key}" not in OF_ONE_RUN}


def _text(value: Any) -> str:
    """One text for equal values: keys in order, and 1.0 as 1."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
