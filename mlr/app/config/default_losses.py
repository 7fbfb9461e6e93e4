"""The entry `loss: ${usual_loss:${head}}` of a list of defaults, whichever Hydra reads it.

Hydra 1.3 asks OmegaConf, and so the resolver. Hydra 1.4 fills in nothing but names of groups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import hydra
from hydra.core.default_element import InputDefault

from mlr.objectives.compatibility import usual_loss

_ENTRY = re.compile(r"\$\{usual_loss:\s*\$\{head\}\s*\}")


def teach_usual_losses() -> None:
    """Have Hydra 1.4 understand the entry; 1.3 does."""
    plain: Any = InputDefault._resolve_interpolation_impl
    if hydra.__version__.startswith("1.3.") or getattr(plain, "taught", False):
        return

    def resolved(self: InputDefault, choices: Mapping[str, Any], value: str, *more: Any) -> Any:
        head = choices.get("head")
        if isinstance(head, str) and _ENTRY.fullmatch(str(value)):
            return usual_loss(head), usual_loss(head)
        return plain(self, choices, value, *more)

    resolved.taught = True  # type: ignore[attr-defined]
    InputDefault._resolve_interpolation_impl = resolved  # type: ignore[method-assign,assignment]
