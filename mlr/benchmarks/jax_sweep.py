"""A sweep of logistic regressions by JAX: vmap over runs, lax.scan over updates, one jit.

All runs start from the initial values of mlr, and both programs may use all cores. One program of
JAX trains only: in given orders, to the loss and the norm of the gradient at each update. Another
does the same work as mlr: it draws an order for every run and epoch, computes the numbers of the
default probes at the steps that mlr logs (but no histograms), validates after each epoch, and
evaluates three splits at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch

from mlr.benchmarks.rows import BenchmarkRow, Ratio, duration, rounds, timed
from mlr.benchmarks.sweep import train_unrecorded
from mlr.benchmarks.workloads import LOGISTIC, LR, Workload, experiment, make_data
from mlr.data.base import Dataset, Split
from mlr.training import Experiment
from mlr.training.shuffling import Orders

THRESHOLD = 0.01
"""Threshold below which outputs are saturated and examples stuck, as in the default probes."""
TAGS = (
    *("loss/train", "accuracy/train", "logit_grad/mean", "logit_grad/median", "logit_grad/max"),
    *("logit_grad/wrong", "logit_grad/right", "saturation/fraction", "stuck/fraction"),
    "grad_norm/total",
)


class Arguments(NamedTuple):
    """Arguments of a program, for N runs of E epochs of S batches of B examples."""

    weights: Any
    """initial weights (N, D)"""
    bias: Any
    """initial biases (N,)"""
    keys: Any
    """random keys of the orders (N, 2)"""
    rows: Any
    """given orders: the examples of each batch (E, N, S, B)"""
    shares: Any
    """weight of each example in its batch (S, B); 0 for padding of the last batch"""
    logged: Any
    """mask of the steps that are measured (E, S)"""


def compiled(data: Dataset, arguments: Arguments, drawn: bool, measured: bool) -> Any:
    """Trace and compile a program.

    Args:
        data: dataset of every run.
        arguments: example arguments of the right shapes.
        drawn: True to draw the orders.
        measured: True to compute all that mlr does, False for loss and norm of the gradient only.

    Returns:
        A function of the arguments: the last parameters, loss and norm by epoch and step
        (N, E, S, 2) or the numbers of `TAGS` (N, E, S, tags), then loss and accuracy of the
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
    """Train one run."""
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
    """Compute the mean loss and the logits."""
    import jax

    weights, bias = parameters
    z = x @ weights + bias
    return (shares * (jax.nn.softplus(z) - y * z)).sum(), z


def _measured(loss: Any, norm: Any, z: Any, y: Any, shares: Any) -> Any:
    """Compute the numbers of `TAGS` of one batch."""
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


COUNTS = (1, 8, 64, 512)
DOING_THE_SAME = "512 runs in-process ÷ JAX doing the same work, compiled before"


def rows(
    repeats: int, work: Workload = LOGISTIC, counts: Sequence[int] = COUNTS
) -> Iterator[BenchmarkRow]:
    """Compare each N with JAX that only trains, and with JAX that does the same work."""
    if find_spec("jax") is None:
        yield BenchmarkRow("JAX", other="not installed: pip install '.[benchmark]'")
        return
    import jax

    jax.config.update("jax_platforms", "cpu")
    data = make_data(work)
    for count in counts:
        experiments = [experiment(work, data, seed) for seed in range(count)]
        arguments = jax.block_until_ready(jax.device_put(arguments_of(work, experiments)))
        only = partial(compiled, data, arguments, drawn=False, measured=False)
        programs = [only(), compiled(data, arguments, drawn=True, measured=True)]
        own, compiling, bare, same = rounds(
            [
                timed(partial(train_unrecorded, experiments)),
                timed(only),
                *(timed(partial(_finished, program, arguments)) for program in programs),
            ],
            repeats,
        )
        last = count == COUNTS[-1]
        both = [a + b for a, b in zip(compiling, bare, strict=True)]
        for what, seconds, most in (
            ("only trains, compiling included", both, 1),
            ("only trains, compiled before", bare, 1 if last else None),
            ("does the same, compiled before", same, 0.1 if last else None),
        ):
            yield BenchmarkRow(
                f"N = {count}",
                duration(median(own)),
                f"{duration(median(seconds))}: JAX {what}",
                Ratio.of(own, seconds),
                most=most,
                quantity=DOING_THE_SAME if last and seconds is same else "",
            )


def _finished(program: Any, arguments: Arguments) -> None:
    import jax

    jax.block_until_ready(program(*arguments))


def arguments_of(work: Workload, experiments: Sequence[Experiment]) -> Arguments:
    """Build the arguments; an epoch's last batch is padded with examples of weight 0."""
    size, count = work.batch_size, work.examples
    batches = -(-count // size)
    shares = np.zeros((batches, size), dtype=np.float32)
    shares.reshape(-1)[:count] = 1
    shares /= shares.sum(1, keepdims=True)
    orders = Orders([run.seed for run in experiments], count)
    rows = np.zeros((work.epochs, len(experiments), batches * size), dtype=np.int32)
    for epoch in range(work.epochs):
        rows[epoch, :, :count] = orders.epoch(epoch)
    start = [list(run.module.parameters()) for run in experiments]
    with torch.no_grad():
        weights = torch.stack([weight[0] for weight, _ in start]).numpy()
        biases = torch.cat([bias for _, bias in start]).numpy()
    seeds = np.array([run.seed for run in experiments], dtype=np.uint32)
    steps = list(experiments[0].probes.due(work.epochs * batches))
    return Arguments(
        weights,
        biases,
        np.stack((seeds, seeds), axis=1),
        rows.reshape(work.epochs, -1, batches, size),
        shares,
        np.isin(np.arange(work.epochs * batches), steps).reshape(work.epochs, batches),
    )
