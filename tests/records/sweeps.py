"""Sweeps as a sweep leaves them, without the training: curves from formulas."""

from itertools import product
from pathlib import Path

import numpy as np

from mlr.records import Recorder, RunEnd, RunFolder, finish_all, flush_all, record_scalars
from mlr.records.reading import Recorded
from mlr.records.summary import SummaryLine

TAGS = (
    *("loss/train", "accuracy/train", "logit_grad/wrong", "logit_grad/right", "stuck/fraction"),
    *("saturation/fraction", "grad_norm/total", "grad_norm/output", "loss/val", "accuracy/val"),
    *("loss/test", "accuracy/test"),
)
PAIRS = [
    *(f"{head}+{loss}" for head in ("clipped_linear", "sigmoid") for loss in ("se", "bce")),
    *("linear+se", "linear+matching", "sigmoid+matching", "clipped_linear+matching"),
]
# where each pair's loss ends, and how fast it falls with a learning rate of 0.1
ENDS = np.linspace(0.5, 0.05, len(PAIRS))
RATES = (0.01, 0.1, 0.3, 1.0)


def line(folders, pair="", **chosen) -> SummaryLine:
    """A line of runs that lie in these folders."""
    name = ",".join(filter(None, [pair, *(f"{key}={value}" for key, value in chosen.items())]))
    head, _, loss = pair.partition("+")
    options = {key: float(one) if key == "lr" else one for key, one in chosen.items()}
    runs = [Recorded(folder, {}) for folder in folders]
    return SummaryLine(name, {"head": head, "loss": loss, **options}, runs)


def write_sweep(
    folder: Path, seeds: int, points: int = 40, rates=RATES
) -> dict[str, list[SummaryLine]]:
    """Finished runs of every pair, rate and seed; at a rate of 1 half of them diverge.

    Returns:
        The lines of each pair, that of the best rate first: a higher one falls faster, up to 0.3.
    """
    jobs = list(product(range(len(PAIRS)), rates, range(seeds)))
    steps = np.arange(points) * 16
    for start in range(0, len(jobs), 256):
        part = jobs[start : start + 256]
        names = [f"{PAIRS[pair]},lr={rate:g},seed={seed}" for pair, rate, seed in part]
        claimed = [RunFolder.claim(folder / name) for name in names]
        recorders = [Recorder(one, TAGS, {"lr": 0.1}) for one in claimed]
        values, present = curves(part, steps)
        record_scalars(recorders, steps, steps / 32, values, present, 1e9 + steps)
        flush_all(recorders)
        endings = [
            RunEnd("done", {"loss/test": float(run[-1, 0]), "accuracy/test": float(run[-1, 1])})
            for run in values.swapaxes(0, 1)
        ]
        finish_all(recorders, endings)
    best_first = [f"{rate:g}" for rate in sorted(rates, key=lambda rate: (rate >= 1, -rate))]

    def one(pair: str, rate: str) -> SummaryLine:
        runs = [folder / f"{pair},lr={rate},seed={seed}" for seed in range(seeds)]
        return line(runs, pair, lr=rate)

    return {pair: [one(pair, rate) for rate in best_first] for pair in PAIRS}


def curves(jobs, steps) -> tuple[np.ndarray, np.ndarray]:
    """Values and which of them are there, (P, R, T)."""
    pairs, rates, seeds = (np.array(column) for column in zip(*jobs, strict=True))
    noise = np.random.default_rng(len(jobs)).normal(size=(len(steps), len(jobs)))
    spread = 1 + 0.2 * np.sin(seeds + 0.7)
    ends, time = ENDS[pairs] * spread, steps[:, None] * np.minimum(rates, 0.3) / 40
    loss = ends + (0.7 - ends) * np.exp(-time) + 0.01 * noise
    columns = [loss, 1 - loss, loss / 2, loss / 9, loss / 3, 1 - loss, loss, loss]
    values = np.stack([*columns, loss * 1.1, 1 - loss * 1.1, loss, loss], axis=2)
    present = np.ones(values.shape, dtype=bool)
    present[:, :, -2:] = False
    present[np.arange(len(steps)) % 4 > 0, :, 8:] = False
    diverged = (rates >= 1) & (seeds % 2 == 1)
    values[len(steps) // 2 :, diverged] = np.nan
    present[len(steps) // 2 + 1 :, diverged] = False
    return values.astype(np.float32), present
