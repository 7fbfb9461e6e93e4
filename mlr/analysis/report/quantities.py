"""The quantities that the report draws, by the tag under which they are recorded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Quantity(NamedTuple):
    """A tag and how it is shown."""

    tag: str
    label: str
    share: bool = False
    """In percent, on an axis from 0 to 100 %."""
    log: bool = False
    """On a logarithmic axis; else only where it spans more than two decades."""
    of_loss: bool = False
    """In units of the loss: comparable within one loss only."""
    more: bool = False
    """True if more is better."""


CURVES = (
    Quantity("accuracy/val", "validation accuracy", share=True, more=True),
    Quantity("accuracy/train", "training accuracy", share=True, more=True),
    Quantity("loss/val", "validation loss", of_loss=True),
    Quantity("loss/train", "training loss", of_loss=True),
    Quantity("logit_grad/wrong", "‖dL/dz‖ where wrong", log=True),
    Quantity("logit_grad/right", "‖dL/dz‖ where right", log=True),
    Quantity("stuck/fraction", "stuck: wrong and ‖dL/dz‖ < 0.01", share=True),
    Quantity("stuck/zero", "wrong and dL/dz exactly 0", share=True),
    Quantity("saturation/fraction", "saturated outputs", share=True),
    Quantity("predicted_std/val", "predicted std", log=True),
    Quantity("grad_norm/total", "gradient norm", log=True),
)
"""Of what is recorded while a run learns."""
FINALS = (
    Quantity("accuracy/test", "test accuracy", share=True, more=True),
    Quantity("loss/test", "test loss", of_loss=True),
    Quantity("rmse/test", "test RMSE"),
    Quantity("accuracy/val", "validation accuracy", share=True, more=True),
    Quantity("accuracy/train", "training accuracy", share=True, more=True),
    Quantity("logit_grad/wrong", "‖dL/dz‖ where wrong", log=True),
    Quantity("stuck/fraction", "stuck", share=True),
    Quantity("saturation/fraction", "saturated outputs", share=True),
    Quantity("predicted_std/test", "predicted std", log=True),
)
"""Of the final numbers."""


def there(quantities: Iterable[Quantity], tags: Iterable[str]) -> list[Quantity]:
    """The quantities that `tags` has."""
    known = set(tags)
    return [one for one in quantities if one.tag in known]
