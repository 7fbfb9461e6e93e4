"""Lazy exports of packages (PEP 562).

torch takes seconds to import; a configuration is checked and help is printed before that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's `__getattr__` that imports each exported name at its first use.

    Args:
        package: the module's `__name__`.
        homes: exported name → absolute name of the module that defines it.
    """

    def getattribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return getattribute
