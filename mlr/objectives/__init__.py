"""Objectives: a head and a loss, chosen apart and computed together.

`check_pair` judges a pair without importing torch; `Objective(head, loss)` gives its
per-example losses and closed-form gradient dL/dz on logits. A pair is computed by its kernel of
`kernels.table`; a pair without one is composed of head and loss by automatic differentiation.

Adding a head with its exact losses takes four files: `heads/<name>.py`, its class in
`heads.HEADS`, `configs/head/<name>.yaml`, and its terms in `kernels/class_terms.py` (or a line
in `kernels/table.py`). A head or loss of your own, outside mlr, gets an exact kernel by one
call:

    from mlr.objectives import Kernel, register

    register(MyHead, MyLoss, Kernel(losses, gradient))

with losses (z, t) → L (…) and gradient (z, t) → dL/dz (…, K) made of torch operations. Names
are loaded on first use, so that a configuration is judged before torch is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlr.core.lazy import lazy_exports

if TYPE_CHECKING:
    from mlr.objectives.compatibility import check_pair
    from mlr.objectives.kernels.kernel import Kernel
    from mlr.objectives.kernels.table import KERNELS, register
    from mlr.objectives.objective import Objective

__getattr__ = lazy_exports(
    __name__,
    {
        "KERNELS": "mlr.objectives.kernels.table",
        "Kernel": "mlr.objectives.kernels.kernel",
        "Objective": "mlr.objectives.objective",
        "check_pair": "mlr.objectives.compatibility",
        "register": "mlr.objectives.kernels.table",
    },
)

__all__ = ["KERNELS", "Kernel", "Objective", "check_pair", "register"]
