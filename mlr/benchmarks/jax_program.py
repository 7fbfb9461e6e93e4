"""A sweep of logistic regressions as one program of JAX: vmap over runs, lax.scan over updates.

Either it trains alone, in orders that it is handed, or it does what mlr does as well: draw the
orders, compute the numbers of the default probes at the steps that mlr logs, validate after
each epoch, and judge three splits at the end. Histograms alone are left to mlr.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from mlr.benchmarks.works import LR
from mlr.data.base import Dataset, Split

THRESHOLD = 0.01
"""Below it outputs are saturated and examples stuck, as in mlr's default probes."""
TAGS = (
    *("loss/train", "accuracy/train", "logit_grad/mean", "logit_grad/median", "logit_grad/max"),
    *("logit_grad/wrong", "logit_grad/right", "saturation/fraction", "stuck/fraction"),
    "grad_norm/total",
)


class Arguments(NamedTuple):
    """What a program takes, for N runs of E epochs of S batches of B examples."""

    weights: Any
    """initial ones (N, D)"""
    bias: Any
    """(N,)"""
    keys: Any
    """by which orders are drawn (N, 2)"""
    rows: Any
    """the example numbers of each batch, if they are handed over (E, N, S, B)"""
    shares: Any
    """the weight of each example in its batch (S, B); 0 for those that only fill up the last"""
    logged: Any
    """which steps are measured (E, S)"""


def compiled(data: Dataset, arguments: Arguments, drawn: bool, measured: bool) -> Any:
    """The program, traced and compiled anew at each call.

    Args:
        data: of every run.
        arguments: of the shapes that it will be called with.
        drawn: whether it draws the orders.
        measured: whether it computes all that mlr does, or loss and norm of the gradient alone.

    Returns:
        Takes the arguments and gives the last parameters, by epoch and step loss and norm
        (N, E, S, 2), or the numbers of `TAGS` (N, E, S, tags), then loss and accuracy of the
        validation (N, E, 2) and of each split at the end (N, 2).
    """
    import jax

    one = partial(_run, data, drawn, measured)
    sweep = jax.vmap(one, in_axes=(0, 0, 0, 1, None, None))
    return jax.jit(sweep).lower(*arguments).compile()


def _run(
    data: Dataset,
    drawn: bool,
    measured: bool,
    weights: Any,
    bias: Any,
    key: Any,
    rows: Any,
    shares: Any,
    logged: Any,
) -> Any:
    """One run."""
    import jax
    from jax import numpy as jnp

    features, targets = _arrays(data.train)

    def update(parameters: Any, batch: Any) -> Any:
        chosen, own, is_logged = batch
        x, y = features[chosen], targets[chosen]
        (loss, z), gradient = jax.value_and_grad(_loss, has_aux=True)(parameters, x, y, own)
        norm = jnp.sqrt(sum((part**2).sum() for part in gradient))
        if measured:
            numbers = jax.lax.cond(
                is_logged, _measured, lambda *_: jnp.zeros(len(TAGS)), loss, norm, z, y, own
            )
        else:
            numbers = jnp.stack((loss, norm))
        moved = tuple(p - LR * g for p, g in zip(parameters, gradient, strict=True))
        return moved, numbers

    def epoch(parameters: Any, given: Any) -> Any:
        number, own_rows, is_logged = given
        if drawn:
            order = jax.random.permutation(jax.random.fold_in(key, number), len(features))
            filled = shares.size - len(features)
            own_rows = jnp.pad(order, (0, filled)).reshape(shares.shape)
        parameters, numbers = jax.lax.scan(update, parameters, (own_rows, shares, is_logged))
        return parameters, (numbers, judged(parameters, data.val) if measured else None)

    def judged(parameters: Any, split: Split) -> Any:
        x, y = _arrays(split)
        loss, z = _loss(parameters, x, y, jnp.full(len(y), 1 / len(y)))
        return jnp.stack((loss, ((z >= 0) == (y > 0)).mean()))

    given = (jnp.arange(len(logged)), rows, logged)
    parameters, (numbers, validation) = jax.lax.scan(epoch, (weights, bias), given)
    splits = (data.train, data.val, data.test) if measured else ()
    return parameters, numbers, validation, [judged(parameters, split) for split in splits]


def _arrays(split: Split) -> tuple[Any, Any]:
    from jax import numpy as jnp

    return jnp.asarray(split.features.numpy()), jnp.asarray(split.targets.numpy(), jnp.float32)


def _loss(parameters: Any, x: Any, y: Any, shares: Any) -> Any:
    """The mean loss, and the logits."""
    import jax

    weights, bias = parameters
    z = x @ weights + bias
    return (shares * (jax.nn.softplus(z) - y * z)).sum(), z


def _measured(loss: Any, norm: Any, z: Any, y: Any, shares: Any) -> Any:
    """The numbers of `TAGS` of one batch."""
    import jax
    from jax import numpy as jnp

    there = shares > 0
    count = there.sum()
    sizes = jnp.abs(jax.nn.sigmoid(z) - y)
    right = ((z >= 0) == (y > 0)) & there
    wrong = ~right & there
    ordered = jnp.sort(jnp.where(there, sizes, jnp.inf))
    median = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    slopes = jax.nn.sigmoid(z) * jax.nn.sigmoid(-z)
    small = sizes < THRESHOLD
    return jnp.stack(
        (
            loss,
            right.sum() / count,
            (sizes * there).sum() / count,
            median,
            (sizes * there).max(),
            (sizes * wrong).sum() / wrong.sum(),
            (sizes * right).sum() / right.sum(),
            ((slopes < THRESHOLD) & there).sum() / count,
            (small & wrong).sum() / count,
            norm,
        )
    )
