"""Lazy exports of packages (PEP 562).

torch takes seconds to import; a configuration is checked and help is printed before that.
"""

import random
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_exports(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that imports each name at its first use.

    Args:
        package: the module's `__name__`.
        homes: exported name → absolute name of the module that defines it.
    """

    def getattribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        if home in sys.modules:
            return getattr(sys.modules[home], name)
        state = random.getstate()  # rich, as it is imported, draws numbers that a training needs
        try:
            return getattr(import_module(home), name)
        finally:
            random.setstate(state)

    return getattribute
