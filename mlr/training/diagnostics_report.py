"""Report of the final diagnostics for status.json: plain numbers by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mlr.probes.families.confidence import EDGES

LOGIT_EDGES = tuple(range(-10, 11))
"""Limits of the bins of logits, of which the first and last are open."""
MOST_ROWS = 1024
"""Largest number of examples whose features are described, or compared with each other."""
DIGITS = 6
_POWERS = np.array([10.0**power for power in range(23)])
"""Powers of ten that float64 holds exactly."""

Numbers = Mapping[str, NDArray[Any]]


def reports(first: Numbers, sums: Numbers, closer: Numbers, count: int) -> list[dict[str, Any]]:
    """Compute shares and means of R runs; None where there is nothing.

    Args:
        first: means before the first update, each (R, …).
        sums: sums over `count` examples after the last update.
        closer: quantiles of ‖dL/dz‖, and counts and sums by bin of the logit.
        count: number of examples.

    Returns:
        A report a run; limits of bins are shared by all.
    """
    runs = len(closer["quantiles"])
    shares = ("zero", "saturated", "stuck", "stuck_zero", "surprise")
    found: dict[str, Any] = {"examples": [count] * runs}
    found |= {name: numbers(sums[name] / count) for name in shares if name in sums}
    found["start"] = {name: numbers(first[name]) for name in ("loss", *shares) if name in first}
    found["gradient"] = numbers(closer["quantiles"])
    if "target_squares" in sums:
        found["targets"] = {"rmse": numbers(np.sqrt(sums["target_squares"] / count))}
    if "labels_there" in sums:
        right, said, there = (sums[f"labels_{name}"] for name in ("found", "predicted", "there"))
        found["targets"] = {
            "count": numbers(there),
            "recall": numbers(_ratio(right, there)),
            "precision": numbers(_ratio(right, said)),
        }
    if "accuracy" not in sums:
        return _by_run(found, runs)
    found["wrong"] = numbers(1 - sums["accuracy"] / count)
    found["start"]["wrong"] = numbers(1 - first["accuracy"])
    found["right_pull"] = numbers(_ratio(sums["past_squares"], sums["squares"]))
    found["confidence"] = {"edges": [list(EDGES)] * runs}
    for side in ("wrong", "right"):
        found["confidence"] |= {
            f"count_{side}": numbers(sums[f"count_{side}"]),
            f"grad_{side}": numbers(_ratio(sums[f"grad_{side}"], sums[f"count_{side}"])),
        }
    if "class_count" in sums:
        members, right = sums["class_count"], sums["class_right"]
        found["classes"] = {
            "count": numbers(members),
            "recall": numbers(_ratio(right, members)),
            "grad": numbers(_ratio(sums["class_grad"], members)),
            "grad_wrong": numbers(_ratio(sums["class_grad_wrong"], members - right)),
        }
    if "boundary_at" in closer:
        found["boundary"] = {
            "at": numbers(closer["boundary_at"]),
            "wrong": numbers(closer["boundary_wrong"]),
        }
    found["logits"] = {
        "edges": [list(LOGIT_EDGES)] * runs,
        "count": numbers(closer["bins"]),
        "grad": numbers(_ratio(closer["bin_grads"], closer["bins"])),
    }
    return _by_run(found, runs)


def _by_run(columns: Mapping[str, Any], runs: int) -> list[dict[str, Any]]:
    """Turn lists over the runs, in mappings by name, into a mapping of values a run."""
    lists = [_by_run(own, runs) if isinstance(own, dict) else own for own in columns.values()]
    return [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]


def data_report(features: Tensor) -> dict[str, Any]:
    """Describe features (N, …): mean, standard deviation, maximum, differences of columns.

    `feature_std`: the 5, 50 and 95 % quantiles of the standard deviations of the columns that are
    not constant.
    """
    flat = features[:: -(-len(features) // MOST_ROWS)].flatten(1).double()
    variances, means = torch.var_mean(flat, 0, correction=0)
    overall = (variances.mean() + means.var(correction=0)).sqrt()
    columns = variances[variances > 0].sqrt()
    places = torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64, device=columns.device)
    spread = columns.quantile(places).cpu().numpy() if len(columns) else np.zeros(3)
    return {
        "mean": numbers(means.mean().item()),
        "std": numbers(overall.item()),
        "largest": numbers(flat.abs().amax().item()),
        "feature_std": numbers(spread),
    }


def _ratio(sums: NDArray[Any], counts: NDArray[Any]) -> NDArray[Any]:
    """Divide sums by counts; NaN for a count of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums / counts)


def numbers(values: Any) -> Any:
    """Round a number, or an array to nested lists, to `DIGITS` digits; None if not finite.

    All at once: a sweep ends with ten thousands of numbers.
    """
    array = np.asarray(values, dtype=np.float64)
    found, sure = _rounded(array)
    rounded = found.astype(object)
    whole = np.flatnonzero(array == np.rint(array))
    rounded.flat[whole] = found.flat[whole].astype(np.int64)
    rounded[~np.isfinite(array)] = None
    for place in np.flatnonzero(~sure & np.isfinite(array)):
        one = array.flat[place]
        number = float(f"{one:.{DIGITS}g}")
        rounded.flat[place] = int(number) if one.is_integer() else number
    return rounded.tolist()


def _rounded(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Round to `DIGITS` digits; tells where that is sure to be the nearest decimal number."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        power = DIGITS - 1 - np.floor(np.log10(np.abs(values)))
        # False for 0 and for numbers that are not finite
        inside = (power >= 0) & (power < len(_POWERS))
        scale = _POWERS[np.where(inside, power, 0).astype(np.int64)]
        scaled = np.where(inside, values, 0) * scale
        digits = np.rint(scaled)
        # far from the middle between two, where the product's rounding would decide
        sure = inside & (np.abs(np.abs(scaled - digits) - 0.5) > 1e-6)
        size = np.abs(digits)
        sure &= (size >= 10 ** (DIGITS - 1)) & (size < 10**DIGITS)
    # a whole number divided by an exact power of ten: rounded once, as a decimal that is read
    return np.where(sure, digits / scale, 0.0), sure | (values == 0)


def same_class_as_nearest(features: Tensor, labels: Tensor) -> float:
    """Compute the share of examples whose nearest neighbour has the same class.

    For labels independent of the features it is Σ_k p_k². Of many features (N, …), `MOST_ROWS`
    evenly spaced ones are compared.

    Source: Cover & Hart 1967, Nearest neighbor pattern classification.
    """
    if len(features) < 2:
        return float("nan")
    step = -(-len(features) // MOST_ROWS)
    points, classes = features[::step].flatten(1).float(), labels[::step]
    distances = torch.cdist(points, points)
    distances.fill_diagonal_(torch.inf)
    return float((classes[distances.argmin(1)] == classes).float().mean())


def sorted_rows(rows: Tensor) -> Tensor:
    """Sort the numbers of each row (L, N) in ascending order, NaN last."""
    if rows.is_cpu:  # numpy sorts short rows several times as fast
        return torch.from_numpy(np.sort(rows.contiguous().numpy(), axis=1))
    return rows.sort(1).values


def _sorted_with_labels(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Sort the logits of each row (L, N), NaN last; returns the labels 0 or 1 in that order too."""
    if logits.dtype != torch.float32 or not logits.is_cpu:
        ordered, order = logits.sort(1)
        return ordered, labels.gather(1, order)
    # a float32 leaves the last bits of a float64 free, and one sort of numbers is several times
    # as fast as finding their places; NaN and infinite ones, which have no free bits, are replaced
    nan, infinite = 2e300, 1e300
    keys = torch.empty(logits.shape, dtype=torch.float64).copy_(logits)
    keys.nan_to_num_(nan, infinite, -infinite)
    keys.view(torch.int64).bitwise_or_(labels.long())
    keys = sorted_rows(keys)
    sorted_labels = keys.view(torch.int64).bitwise_and(1).to(labels.dtype)
    keys.view(torch.int64).bitwise_and_(-2)
    if keys[:, -1].amax() > infinite:
        keys.masked_fill_(keys > infinite, torch.nan)
    return keys.float(), sorted_labels


def best_threshold(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Find the threshold on a single logit that leaves the fewest examples wrong.

    Class 1 is predicted from the threshold on. The examples that it leaves wrong are due to the
    direction of the weights; those that the head's own threshold adds, to a misplaced boundary.
    Of logits and labels 0 or 1 (L, B), it returns thresholds (L,), each a logit that occurs or
    infinite where class 1 is best predicted for none, and shares wrong (L,).
    """
    ordered, ones = _sorted_with_labels(logits, labels.to(logits.dtype))
    ones_below = torch.nn.functional.pad(ones, (1, 0)).cumsum_(1)
    below = torch.arange(ones.shape[1] + 1, dtype=ones.dtype, device=ones.device)
    # the ones below the threshold, and the zeros that are not below it
    wrong = (2 * ones_below).sub_(below).add_(ones.shape[1] - ones_below[:, -1:])
    # no threshold lies between equal logits
    equal = torch.eq(ordered[:, 1:], ordered[:, :-1], out=torch.empty_like(ordered[:, 1:]))
    wrong[:, 1:-1].add_(equal, alpha=2 * ones.shape[1])
    fewest, place = wrong.min(dim=1)
    at = torch.nn.functional.pad(ordered, (0, 1), value=torch.inf).gather(1, place.unsqueeze(1))
    return at.squeeze(1), fewest / logits.shape[1]
