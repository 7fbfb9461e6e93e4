"""Replace slow parts of Hydra and OmegaConf in a process of tests: composing takes half the time.

A command is not composed once more to read hydra.mode, which nobody sets, libyaml reads the files,
and each interpolation is parsed once. Processes of their own do all as ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import yaml
from hydra._internal.hydra import Hydra
from omegaconf import _utils, base


def replaced() -> Iterator[tuple[Any, str, Any]]:
    """Yield object, attribute and replacement."""
    if hasattr(Hydra, "get_mode"):
        yield Hydra, "get_mode", lambda *_, **__: None
    if yaml.__with_libyaml__ and hasattr(_utils, "get_yaml_loader"):  # OmegaConf 2.4 does so itself
        loader = _by_libyaml(_utils.get_yaml_loader())
        yield _utils, "get_yaml_loader", lambda: loader
    parse = lru_cache(base.parse)
    for module in (base, _utils):
        yield module, "parse", parse


def _by_libyaml(loader: type) -> type:
    """A loader that makes the same of what libyaml reads."""

    class Loader(yaml.cyaml.CParser, loader):
        def __init__(self, stream):
            yaml.cyaml.CParser.__init__(self, stream)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

    return Loader
