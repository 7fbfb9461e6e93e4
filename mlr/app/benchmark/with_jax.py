"""The same sweep by JAX: vmap over runs, lax.scan over updates, all of it one jit, on the CPU.

Every run starts where mlr's starts and sees the batches that mlr's sees, so that both come to
the same parameters. JAX gets the orders of the data beforehand, mlr draws its own while it is
timed. JAX returns loss and norm of the gradient of every update; mlr computes its probes,
validates after each epoch, and evaluates three splits at the end. Both may use all cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from mlr.app.benchmark.rows import Row, duration, in_turn, timed
from mlr.app.benchmark.sweep import train_unrecorded
from mlr.app.benchmark.works import LOGISTIC, LR, Work, experiment, make_data
from mlr.data.base import Dataset
from mlr.training import Experiment
from mlr.training.orders import Orders

COUNTS = (1, 8, 64, 512)


def rows(repeats: int, work: Work = LOGISTIC, counts: Sequence[int] = COUNTS) -> Iterator[Row]:
    """Each N with JAX's compilation counted and left out."""
    if find_spec("jax") is None:
        yield Row("JAX", other="not installed: pip install '.[benchmark]'")
        return
    import jax

    jax.config.update("jax_platforms", "cpu")
    data = make_data(work)
    for count in counts:
        experiments = [experiment(work, data, seed) for seed in range(count)]
        arguments = jax.block_until_ready(jax.device_put(start_and_batches(work, experiments)))
        program = compiled(data, arguments)
        own, ready, compiling = in_turn(
            [
                timed(partial(train_unrecorded, experiments)),
                timed(lambda: jax.block_until_ready(program(*arguments))),  # noqa: B023
                timed(partial(compiled, data, arguments)),
            ],
            repeats,
        )
        both = f"{duration(compiling + ready)} of JAX, compiling included"
        yield Row(f"N = {count}", duration(own), both, own / (compiling + ready), most=1)
        promised = 1 if count == COUNTS[-1] else None
        yield Row("", duration(own), f"{duration(ready)} without", own / ready, most=promised)


def compiled(data: Dataset, arguments: tuple[Any, ...]) -> Any:
    """The sweep as a program of JAX, traced and compiled anew at each call.

    It takes initial weights (N, d) and biases (N,), rows (S, N, B) and the weight of each
    example in its batch (S, B); it returns the final ones, and losses and norms (S, N).
    """
    import jax
    from jax import numpy as jnp

    features = jnp.asarray(data.train.features.numpy())
    targets = jnp.asarray(data.train.targets.numpy(), dtype=jnp.float32)

    def loss_of(parameters: Any, x: Any, y: Any, shares: Any) -> Any:
        weights, bias = parameters
        z = x @ weights + bias
        return (shares * (jax.nn.softplus(z) - y * z)).sum()

    def run(weights: Any, bias: Any, rows: Any, shares: Any) -> Any:
        def update(parameters: Any, batch: Any) -> Any:
            chosen, own = batch
            loss, gradient = jax.value_and_grad(loss_of)(
                parameters, features[chosen], targets[chosen], own
            )
            norm = jnp.sqrt(sum((part**2).sum() for part in gradient))
            moved = tuple(p - LR * g for p, g in zip(parameters, gradient, strict=True))
            return moved, (loss, norm)

        return jax.lax.scan(update, (weights, bias), (rows, shares))

    sweep = jax.vmap(run, in_axes=(0, 0, 1, None), out_axes=(0, 1))
    return jax.jit(sweep).lower(*arguments).compile()


def start_and_batches(work: Work, experiments: Sequence[Experiment]) -> tuple[np.ndarray, ...]:
    """What `compiled` takes. An epoch's last batch is filled up with examples of weight 0."""
    size, count = work.batch_size, work.examples
    batches = -(-count // size)
    shares = np.zeros((batches, size), dtype=np.float32)
    shares.reshape(-1)[:count] = 1
    shares /= shares.sum(1, keepdims=True)
    orders = Orders([run.seed for run in experiments], count)
    rows = np.zeros((work.epochs, len(experiments), batches * size), dtype=np.int32)
    for epoch in range(work.epochs):
        rows[epoch, :, :count] = orders.epoch(epoch)
    # (epochs, N, batches, B) → (updates, N, B)
    chosen = rows.reshape(work.epochs, -1, batches, size).swapaxes(1, 2)
    start = [list(run.module.parameters()) for run in experiments]
    with torch.no_grad():
        weights = torch.stack([weight[0] for weight, _ in start]).numpy()
        biases = torch.cat([bias for _, bias in start]).numpy()
    return (
        weights,
        biases,
        np.ascontiguousarray(chosen.reshape(-1, len(experiments), size)),
        np.tile(shares, (work.epochs, 1)),
    )
