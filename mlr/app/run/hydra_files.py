"""Hydra's files in a run's folder, and the folder itself if nothing came of it."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any

import yaml
from omegaconf import OmegaConf

from mlr.records.run_folder import HYDRA

_CDumper: Any = getattr(yaml, "CDumper", yaml.Dumper)  # OmegaConf's own takes ten times as long


class _Dumper(_CDumper):  # type: ignore[misc]
    """Writer of plain values in the form in which OmegaConf reads them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", *_spelled(text))


@lru_cache(maxsize=1 << 14)
def _spelled(text: str) -> tuple[str, str | None]:
    """Return the letters of a text, and the quotes without which OmegaConf reads a number."""
    # LC_ALL=C makes lone bytes of letters on a command line
    letters = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    with suppress(ValueError):
        float(letters)
        return letters, "'"
    return letters, None


_Dumper.add_representer(str, _represent_text)


def to_yaml(config: Any) -> str:
    """Return the YAML of a configuration or of plain values, interpolations as they are."""
    text: str = yaml.dump(_plain(config), Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    return text


def _plain(config: Any) -> Any:
    if not OmegaConf.is_config(config):
        return config
    return OmegaConf.to_container(config, resolve=False, enum_to_str=True)


def hydra_files(config: Any, hydra: Any) -> dict[str, str]:
    """Return the texts of a run's `.hydra`, by name, with the values that Hydra would write.

    Args:
        config: the task's configuration, or plain values of it.
        hydra: Hydra's own, likewise.
    """
    own = {**_plain(hydra), "output_subdir": HYDRA}
    return {
        "config.yaml": to_yaml(config),
        "hydra.yaml": to_yaml({"hydra": own}),
        "overrides.yaml": to_yaml(own["overrides"]["task"]),
    }
