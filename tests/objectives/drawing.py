"""Points to hold a pair of head and loss to: logits and targets of every size, exact in a type.

Each example draws one kind of logits and one kind of targets. Targets of a distribution sum
to 1 exactly, so that y − t and yΣt − t are the same number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.random import Generator

from mlr.core.domains import Region
from mlr.objectives.compatibility import find_head, find_loss
from tests.objectives.rounding import FORMATS

ANY = {1: 0.4, 2: 0.25, 3: 0.25, 10: 0.1}
SEVERAL = {2: 0.4, 3: 0.45, 10: 0.15}
"""How large a part of the points has K outputs."""
SWITCHES = (0.35, 0.69, 15.9, 17.0, 20, 36.7, 37.4, 40, 87.3, 88.7, 100, 103.97, 300, 600, 708, 745)
"""Where formulas may change over, or eᶻ and its like leave a type."""
LARGEST = 1e20
SIGNED = ("mae", "pinball")
"""Losses whose gradient jumps where an error is 0."""
OF_ERROR = ("huber", "log_cosh", "pinball", "expectile")
REAL_TARGETS = [
    *(("linear", loss) for loss in ("se", "matching", "gaussian_nll", *OF_ERROR)),
    *(("sigmoid", loss) for loss in ("se", "gaussian_nll", *OF_ERROR)),
]
CLIPPED = ("clipped_linear", "hard_sigmoid", "sparsemax", "entmax15")


def widths(head: str, loss: str) -> dict[int, float]:
    """The numbers of outputs that the pair is legal for, and their parts of the points."""
    if _of_several(find_head(head).range):
        return SEVERAL
    return {1: 1.0} if _of_several(find_loss(loss).domain) else ANY


def _of_several(region: Region) -> bool:
    return region.least_outputs > 1


def draw(
    head: str, loss: str, outputs: int, dtype: torch.dtype, count: int, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` logits and targets (count, outputs) of the type; the same for the same seed."""
    rng = np.random.default_rng([seed, outputs, FORMATS[dtype][0], *map(ord, head + loss)])
    clip = {"hard_sigmoid": near_the_hard_clip}.get(head, near_the_clip)
    kinds = [*LOGITS, *([clip] * 4 if head in CLIPPED else [])]
    z = rounded(_mixed(kinds, rng, (count, outputs)), dtype)
    y = predicted(head, z)
    summed = _of_several(find_loss(loss).target_domain) or loss == "matching"
    # the sign of y − t, which mae's gradient is, means nothing where they are equal
    free, shared = (FREE[:4], DISTRIBUTIONS[:4]) if loss in SIGNED else (FREE, DISTRIBUTIONS)
    if _of_several(find_head(head).range):
        t = on_the_simplex(_mixed(shared, rng, y), dtype)
        if not summed:
            t = np.where(rng.random((count, 1)) < 0.3, rounded(_mixed(free, rng, y), dtype), t)
    else:
        real = (head, loss) in REAL_TARGETS
        beyond = any_real if head == "linear" else somewhat_beyond
        t = rounded(_mixed([*free, *([beyond] * 2 if real else [])], rng, y), dtype)
    return torch.from_numpy(z).to(dtype), torch.from_numpy(t).to(dtype)


def rounded(values: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """The nearest finite numbers of the type, as float64."""
    largest = torch.finfo(dtype).max
    return torch.from_numpy(values).clamp(-largest, largest).to(dtype).double().numpy()


def on_the_simplex(t: np.ndarray, dtype: torch.dtype) -> np.ndarray:
    """Distributions of whole multiples of the type's 2^−bits, whose sum is 1 exactly."""
    bits = FORMATS[dtype][0]
    t = np.floor(np.ldexp(t, bits)) * 2.0**-bits
    top = t.argmax(-1)[:, None]
    np.put_along_axis(t, top, 0.0, -1)
    np.put_along_axis(t, top, 1 - t.sum(-1, keepdims=True), -1)
    return t


def predicted(head: str, z: np.ndarray) -> np.ndarray:
    """Y in float64, to aim targets at."""
    return find_head(head)(torch.from_numpy(z)).numpy()


def _mixed(kinds: list[Callable], rng: Generator, like: tuple | np.ndarray) -> np.ndarray:
    """Each row by one of the kinds, all equally likely."""
    drawn = np.stack([kind(rng, like) for kind in kinds])
    which = rng.integers(len(kinds), size=drawn.shape[1])
    return drawn[which, np.arange(drawn.shape[1])]


def _signs(rng: Generator, shape: tuple) -> np.ndarray:
    return rng.choice([-1.0, 1.0], size=shape)


def _sizes(rng: Generator, low: float, high: float, shape: tuple) -> np.ndarray:
    """Numbers whose logarithms are uniform, 10^low … 10^high."""
    return 10.0 ** rng.uniform(low, high, shape)


def _shifts(rng: Generator, count: int) -> np.ndarray:
    """Half of them 0, the others of every size."""
    sizes = _signs(rng, (count, 1)) * _sizes(rng, -3, 20, (count, 1))
    return np.where(rng.random((count, 1)) < 0.5, 0.0, sizes)


def of_any_size(rng: Generator, shape: tuple) -> np.ndarray:
    return _signs(rng, shape) * _sizes(rng, -20, np.log10(LARGEST), shape)


def gaussian(rng: Generator, shape: tuple) -> np.ndarray:
    return rng.normal(size=shape) * _sizes(rng, -8, 2, (shape[0], 1)) + _shifts(rng, shape[0])


def moderate(rng: Generator, shape: tuple) -> np.ndarray:
    return rng.normal(size=shape) * rng.choice([0.5, 3.0, 10.0, 30.0], size=(shape[0], 1))


def with_margins(rng: Generator, shape: tuple) -> np.ndarray:
    """One logit above the others by 10⁻¹² … 800."""
    z = -_sizes(rng, -12, np.log10(800), shape)
    if shape[1] > 1:
        z[np.arange(shape[0]), rng.integers(shape[1], size=shape[0])] = 0
    else:
        z *= _signs(rng, shape)
    return z + _shifts(rng, shape[0])


def tied(rng: Generator, shape: tuple) -> np.ndarray:
    """Equal ones and nearly equal ones beside others."""
    z = moderate(rng, shape)
    near = z[:, :1] * (1 + rng.choice([0, 1e-12, 1e-6], size=shape) * rng.normal(size=shape))
    return np.where(rng.random(shape) < 0.7, near, z)


def tied_above_others(rng: Generator, shape: tuple) -> np.ndarray:
    """Two nearly equal ones, all others far below."""
    z = -_sizes(rng, 0, np.log10(760), shape)
    z[:, :2] = rng.choice([0, 1e-15, 1e-9, 1e-3], size=(shape[0], 1)) * rng.normal(
        size=z[:, :2].shape
    )
    return rng.permuted(z, axis=-1) + _shifts(rng, shape[0])


def at_switches(rng: Generator, shape: tuple) -> np.ndarray:
    """At a switch to a few ulp or a few hundredths, or 0: in z or in differences of z."""
    at = rng.choice(SWITCHES, size=shape) * rng.choice([-1, 0, 1], size=shape)
    return at * (1 + rng.normal(size=shape) * rng.choice([0, 1e-16, 1e-7, 1e-3], size=shape))


def nearly_nothing(rng: Generator, shape: tuple) -> np.ndarray:
    """Zeros of both signs, subnormals of either type, and one of another size."""
    tiny = _signs(rng, shape) * np.where(
        rng.random(shape) < 0.5, _sizes(rng, -45, -38, shape), _sizes(rng, -323, -300, shape)
    )
    z = np.where(rng.random(shape) < 0.4, rng.choice([0.0, -0.0], size=shape), tiny)
    return np.where(rng.random(shape) < 0.2, moderate(rng, shape), z)


def near_the_clip(rng: Generator, shape: tuple) -> np.ndarray:
    """About 0 and 1, inside and out, at every distance."""
    off = _signs(rng, shape) * _sizes(rng, -20, 0, shape)
    off = np.where(rng.random(shape) < 0.3, _signs(rng, shape) * _sizes(rng, -46, -40, shape), off)
    near = rng.choice([0.0, 1.0], size=shape) + np.where(rng.random(shape) < 0.1, 0.0, off)
    return np.where(rng.random(shape) < 0.4, rng.random(shape), near)


def near_the_hard_clip(rng: Generator, shape: tuple) -> np.ndarray:
    """The same about −3 and 3."""
    return 6 * near_the_clip(rng, shape) - 3


LOGITS = [
    of_any_size, gaussian, moderate, moderate, with_margins, with_margins, tied,
    tied_above_others, at_switches, nearly_nothing,
]  # fmt: skip


def hard(rng: Generator, y: np.ndarray) -> np.ndarray:
    return rng.choice([0.0, 1.0], size=y.shape)


def anywhere(rng: Generator, y: np.ndarray) -> np.ndarray:
    return rng.random(y.shape)


def near_the_ends(rng: Generator, y: np.ndarray) -> np.ndarray:
    """Tiny, or 1 − 2^−k."""
    tiny = _sizes(rng, -45, -1, y.shape)
    return np.where(rng.random(y.shape) < 0.5, tiny, 1 - 0.5 ** rng.integers(1, 54, size=y.shape))


def as_predicted(rng: Generator, y: np.ndarray) -> np.ndarray:
    """Y itself, or y to a few digits, cut to [0, 1]."""
    off = rng.choice([0, 0, 1e-16, 1e-12, 1e-6], size=y.shape) * rng.normal(size=y.shape)
    return (y * (1 + off)).clip(0, 1)


def uniform(rng: Generator, y: np.ndarray) -> np.ndarray:
    return np.full(y.shape, 1 / y.shape[1])


def smoothed(rng: Generator, y: np.ndarray) -> np.ndarray:
    """(1 − ε) of a hard target and ε of the uniform one."""
    ε = rng.choice([0.001, 0.1, 0.2], size=(len(y), 1))
    return (1 - ε) * hard(rng, y) + ε / max(y.shape[1], 2)


def any_real(rng: Generator, y: np.ndarray) -> np.ndarray:
    near = y * (1 + rng.choice([0, 1e-16, 1e-12, 1e-6], size=y.shape) * rng.normal(size=y.shape))
    far = _signs(rng, y.shape) * _sizes(rng, -20, 20, y.shape)
    return np.where(rng.random(y.shape) < 0.5, near, far)


def somewhat_beyond(rng: Generator, y: np.ndarray) -> np.ndarray:
    """Real numbers about [0, 1]: far ones would magnify the last digit of a subnormal y."""
    return any_real(rng, y).clip(-1, 2)


FREE = [hard, hard, anywhere, near_the_ends, as_predicted, uniform, smoothed]
"""Each number of its own."""


def one_hot(rng: Generator, y: np.ndarray) -> np.ndarray:
    return np.eye(y.shape[1])[rng.integers(y.shape[1], size=len(y))]


def of_any_share(rng: Generator, y: np.ndarray) -> np.ndarray:
    shares = rng.random(y.shape)
    return shares / shares.sum(-1, keepdims=True)


def near_one_hot(rng: Generator, y: np.ndarray) -> np.ndarray:
    """1 − Σ at one class, 2^−k or 0 at the others."""
    t = 0.5 ** rng.integers(5, 54, size=y.shape) * rng.choice([0.0, 1.0], size=y.shape)
    t[np.arange(len(y)), rng.integers(y.shape[1], size=len(y))] = 1
    return t


def predicted_distribution(rng: Generator, y: np.ndarray) -> np.ndarray:
    """Y itself, or y to a few digits."""
    t = as_predicted(rng, y)
    return t / t.sum(-1, keepdims=True)


def smoothed_one_hot(rng: Generator, y: np.ndarray) -> np.ndarray:
    ε = rng.choice([0.001, 0.1, 0.2], size=(len(y), 1))
    return (1 - ε) * one_hot(rng, y) + ε / y.shape[1]


DISTRIBUTIONS = [
    one_hot, one_hot, one_hot, of_any_share, near_one_hot, predicted_distribution, uniform,
    smoothed_one_hot,
]  # fmt: skip
