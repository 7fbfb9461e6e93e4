"""The same sweep by JAX: vmap over runs, lax.scan over updates, all of it one jit, on the CPU.

Every run starts where mlr's starts, and both may use all cores. One program of JAX only trains:
in orders that it is handed, to loss and norm of the gradient at each update. Another does the
same work as mlr: it draws an order for every run and epoch, computes the numbers of mlr's
default probes at the same steps (but no histograms), validates after each epoch, and judges
three splits at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch

from mlr.benchmarks.jax_program import Arguments, compiled
from mlr.benchmarks.rows import Row, duration, in_turn, timed
from mlr.benchmarks.sweep import train_unrecorded
from mlr.benchmarks.works import LOGISTIC, Work, experiment, make_data
from mlr.training import Experiment
from mlr.training.shuffling import Orders

COUNTS = (1, 8, 64, 512)


def rows(repeats: int, work: Work = LOGISTIC, counts: Sequence[int] = COUNTS) -> Iterator[Row]:
    """Each N beside JAX that only trains, and beside JAX that does the same work."""
    if find_spec("jax") is None:
        yield Row("JAX", other="not installed: pip install '.[benchmark]'")
        return
    import jax

    jax.config.update("jax_platforms", "cpu")
    data = make_data(work)
    for count in counts:
        experiments = [experiment(work, data, seed) for seed in range(count)]
        arguments = jax.block_until_ready(jax.device_put(arguments_of(work, experiments)))
        only = partial(compiled, data, arguments, drawn=False, measured=False)
        programs = [only(), compiled(data, arguments, drawn=True, measured=True)]
        own, compiling, bare, same = in_turn(
            [
                timed(partial(train_unrecorded, experiments)),
                timed(only),
                *(timed(partial(_finished, program, arguments)) for program in programs),
            ],
            repeats,
        )
        promised = 1 if count == COUNTS[-1] else None
        for what, seconds, most in (
            ("only trains, compiling included", compiling + bare, 1),
            ("only trains, compiled before", bare, promised),
            ("does the same, compiled before", same, promised),
        ):
            other = f"{duration(seconds)}: JAX {what}"
            yield Row(f"N = {count}", duration(own), other, own / seconds, most=most)


def _finished(program: Any, arguments: Arguments) -> None:
    import jax

    jax.block_until_ready(program(*arguments))


def arguments_of(work: Work, experiments: Sequence[Experiment]) -> Arguments:
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
