"""Every probe against its plain twin: one point, one run, one loop over examples."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from mlr.probes import ProbeSettings
from mlr.probes.base import StepValues, Subject
from mlr.probes.histograms import BINS, edges, histogram
from mlr.probes.settings import NAMES, make_probes

POINTS, RUNS, BATCH, CLASSES = 3, 2, 9, 3
LAYERS, DENSE, HIDDEN = ("conv1", "hidden1", "output"), ("hidden1", "output"), ("hidden1",)
THRESHOLD = 0.01
ALL = ProbeSettings(**dict.fromkeys(NAMES, True), threshold=THRESHOLD)


def subject(classes: int | None = CLASSES, spread: bool = False) -> Subject:
    return Subject(classes, spread, LAYERS, DENSE, HIDDEN)


def values(outputs: int, classification: bool = True, spread: bool = False) -> StepValues:
    generator = torch.Generator().manual_seed(outputs)
    shape = (POINTS, RUNS, BATCH, outputs)
    draw = lambda *size: torch.randn(*size, generator=generator, dtype=torch.float64)  # noqa: E731
    classes = 2 if outputs == 1 else outputs
    labels = torch.arange(BATCH, dtype=torch.float64).expand(POINTS, RUNS, BATCH) % classes
    squares = draw(POINTS, RUNS, len(DENSE), BATCH).square()
    norms = draw(POINTS, RUNS, len(LAYERS)).abs()
    # of a mean, and so shorter than the mean of the lengths
    norms[..., [LAYERS.index(name) for name in DENSE]] = 0.5 * squares.sqrt().mean(-1)
    network = {
        "gradient_norms": norms,
        "nonfinite": draw(POINTS, RUNS, len(LAYERS)).abs().round(),
        "sample_squares": squares,
        "weight_norms": draw(POINTS, RUNS, len(LAYERS)).exp(),
        "update_norms": draw(POINTS, RUNS, len(LAYERS)).exp(),
        "cosine": draw(POINTS, RUNS).tanh(),
        "dead": draw(POINTS, RUNS, len(HIDDEN)).sigmoid(),
        "flat": draw(POINTS, RUNS, len(HIDDEN)).sigmoid(),
    }
    grads = draw(*shape) * 0.01
    # one example without gradient, or so many that the lower quantile is 0
    grads[0, :, ::4], grads[1:, :, 4] = 0, 0
    grads[0, 0, 1] = torch.nan if spread else 0.5
    return StepValues(
        logits=draw(*shape),
        logit_grads=grads,
        losses=draw(*shape[:-1]).abs(),
        slopes=draw(*shape) * 0.02,
        right=(draw(*shape[:-1]) > 0).double() if classification else None,
        spreads=draw(*shape).exp() if spread else None,
        labels=labels if classification else None,
        predictions=draw(*shape).sigmoid(),
        prediction_grads=draw(*shape),
        network=network,
    )


def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers) if numbers else math.nan


def plain(step: StepValues, point: int, run: int) -> dict[str, float]:
    """The numbers of one batch by loops over its examples."""
    grads = step.logit_grads[point, run].tolist()
    sizes = [math.sqrt(sum(g * g for g in row)) for row in grads]
    slopes = [s for row in step.slopes[point, run].tolist() for s in row]
    known = not any(map(math.isnan, sizes))
    numbers = {
        "loss/train": mean(step.losses[point, run].tolist()),
        "logit_grad/mean": mean(sizes),
        "logit_grad/max": max(sizes) if known else math.nan,
        "saturation/fraction": mean([abs(s) < THRESHOLD for s in slopes]),
        "zero_grad/fraction": mean([size == 0 for size in sizes]),
        "nonfinite/logits": 0.0,
        "nonfinite/logit_grad": sum(not math.isfinite(g) for row in grads for g in row),
    }
    for name, quantile in {"q10": 10, "median": 50, "q90": 90}.items():
        numbers[f"logit_grad/{name}"] = float(np.percentile(sizes, quantile))
    if step.spreads is not None:
        spreads = [s for row in step.spreads[point, run].tolist() for s in row]
        numbers["predicted_std/train"] = mean(spreads)
    if step.right is None:
        numbers["slope/head"] = mean([abs(s) for s in slopes])
        given = [g for row in step.prediction_grads[point, run].tolist() for g in row]
        numbers["slope/loss"] = mean([abs(g) for g in given])
        outputs = [y for row in step.predictions[point, run].tolist() for y in row]
        numbers["prediction/mean"] = mean(outputs)
    else:
        numbers |= plain_classification(step, point, run, sizes)
    return numbers | plain_network(step.network, point, run)


def plain_classification(
    step: StepValues, point: int, run: int, sizes: list[float]
) -> dict[str, float]:
    right = [bool(one) for one in step.right[point, run].tolist()]
    labels = [int(one) for one in step.labels[point, run].tolist()]
    rows = step.predictions[point, run].tolist()
    sure = [max(row) if len(row) > 1 else max(row[0], 1 - row[0]) for row in rows]
    level = ["low" if c < 0.6 else "middle" if c < 0.9 else "high" for c in sure]
    targets = [
        [label] if len(row) == 1 else [int(k == label) for k in range(len(row))]
        for row, label in zip(rows, labels, strict=True)
    ]
    pairs = [
        (y, t)
        for row, own in zip(rows, targets, strict=True)
        for y, t in zip(row, own, strict=True)
    ]
    wrong_sizes = [size for size, good in zip(sizes, right, strict=True) if not good]
    numbers = {
        "accuracy/train": mean(right),
        "prediction/target_1": mean([y for y, t in pairs if t == 1]),
        "prediction/target_0": mean([y for y, t in pairs if t == 0]),
        "stuck/fraction": sum(size < THRESHOLD for size in wrong_sizes) / BATCH,
        "stuck/zero": sum(size == 0 for size in wrong_sizes) / BATCH,
    }
    own = {
        name: [
            abs(row[label if len(row) > 1 else 0])
            for row, label in zip(part[point, run].tolist(), labels, strict=True)
        ]
        for name, part in (
            ("grad", step.logit_grads),
            ("head", step.slopes),
            ("loss", step.prediction_grads),
        )
    }
    for side, good in (("wrong", False), ("right", True)):
        chosen = [index for index, one in enumerate(right) if one is good]
        numbers[f"logit_grad/{side}"] = mean([sizes[index] for index in chosen])
        for part in ("head", "loss"):
            numbers[f"slope/{part}_{side}"] = mean([own[part][index] for index in chosen])
        for name in ("low", "middle", "high"):
            there = [sizes[index] for index in chosen if level[index] == name]
            numbers[f"logit_grad_confidence/{side}_{name}"] = mean(there)
    for k in range(2 if len(rows[0]) == 1 else len(rows[0])):
        members = [own["grad"][index] for index, label in enumerate(labels) if label == k]
        numbers[f"logit_grad_class/{k}"] = mean(members)
    return numbers


def plain_network(network: dict[str, torch.Tensor], point: int, run: int) -> dict[str, float]:
    at = {name: value[point, run].tolist() for name, value in network.items()}
    squares = at["sample_squares"]
    signal = [at["gradient_norms"][LAYERS.index(name)] ** 2 for name in DENSE]
    sizes = [math.sqrt(sum(column)) for column in zip(*squares, strict=True)]
    numbers = {
        "grad_norm/total": math.sqrt(sum(n * n for n in at["gradient_norms"])),
        "sample_grad/mean": mean(sizes),
        "sample_grad/max": max(sizes),
        "grad_snr/total": snr(sum(map(sum, squares)), sum(signal)),
        "grad_cosine/total": at["cosine"],
    }
    for index, name in enumerate(DENSE):
        numbers[f"grad_snr/{name}"] = snr(sum(squares[index]), signal[index])
    for index, name in enumerate(LAYERS):
        numbers[f"grad_norm/{name}"] = at["gradient_norms"][index]
        numbers[f"nonfinite/{name}"] = at["nonfinite"][index]
        weight = at["weight_norms"][index]
        numbers[f"grad_to_weight/{name}"] = at["gradient_norms"][index] / weight
        numbers[f"update_to_weight/{name}"] = at["update_norms"][index] / weight
    for index, name in enumerate(HIDDEN):
        numbers[f"dead_units/{name}"] = at["dead"][index]
        numbers[f"flat_units/{name}"] = at["flat"][index]
    return numbers


def snr(squares: float, signal: float) -> float:
    variance = (squares - BATCH * signal) / (BATCH - 1)
    return signal / (variance / BATCH)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(
    ("classification", "spread"), [(True, False), (False, False), (False, True)]
)
def test_every_number_equals_its_plain_twin(outputs, classification, spread):
    step = values(outputs, classification, spread)
    classes = None if not classification else 2 if outputs == 1 else outputs
    probes = make_probes(ALL, subject(classes, spread)).values()
    tags = [tag for probe in probes for tag in probe.tags]
    measured = torch.cat([probe.measure(step) for probe in probes], dim=-1)
    for point in range(POINTS):
        for run in range(RUNS):
            expected = plain(step, point, run)
            found = dict(zip(tags, measured[point, run].tolist(), strict=True))
            assert found == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_a_point_of_a_run_is_measured_as_alone():
    step = values(3)
    alone = {
        field.name: value[1:2, 1:2]
        for field in fields(StepValues)
        if isinstance(value := getattr(step, field.name), torch.Tensor)
    }
    network = {name: value[1:2, 1:2] for name, value in step.network.items()}
    for family, probe in make_probes(ALL, subject()).items():
        measured = probe.measure(step)
        assert measured.shape == (POINTS, RUNS, len(probe.tags)), family
        own = probe.measure(replace(step, **alone, network=network))
        torch.testing.assert_close(own, measured[1:2, 1:2], rtol=0, atol=0, equal_nan=True)


BY_HAND = {
    "accuracy/train": 2 / 5,
    "prediction/target_1": (0.9 + 0.6 + 0.95) / 3,
    "prediction/target_0": (0.1 + 0.5) / 2,
    "logit_grad/mean": 0.52 / 5,
    # sorted: 0, 0, 0.01, 0.01, 0.5; places 0.4, 2 and 3.6
    "logit_grad/q10": 0.0,
    "logit_grad/median": 0.01,
    "logit_grad/q90": 0.01 + 0.6 * 0.49,
    "logit_grad/max": 0.5,
    "logit_grad/wrong": 0.51 / 3,
    "logit_grad/right": 0.01 / 2,
    "saturation/fraction": 2 / 5,
    "zero_grad/fraction": 2 / 5,
    "stuck/fraction": 1 / 5,
    "stuck/zero": 1 / 5,
    "logit_grad_confidence/wrong_low": 0.0,
    "logit_grad_confidence/wrong_middle": 0.01,
    "logit_grad_confidence/wrong_high": 0.5,
    "logit_grad_confidence/right_low": math.nan,
    "logit_grad_confidence/right_middle": math.nan,
    "logit_grad_confidence/right_high": 0.01 / 2,
    "logit_grad_class/0": 0.0,
    "logit_grad_class/1": 0.52 / 3,
    "slope/head_wrong": (0.01 + 0.009 + 0.25) / 3,
    "slope/head_right": (0.01 + 0.009) / 2,
    "slope/loss_wrong": (2 + 4 + 5) / 3,
    "slope/loss_right": (1 + 3) / 2,
}


def test_ties_at_thresholds_by_hand():
    """Slopes and gradients of exactly the threshold, confidences of exactly 0.6 and 0.9."""
    of_outputs = lambda *row: torch.tensor(row, dtype=torch.float64).view(1, 1, 5, 1)  # noqa: E731
    step = StepValues(
        logits=of_outputs(2, 1, -2, 0, 3),
        # 0.01 is not below 0.01
        logit_grads=of_outputs(0.01, -0.01, 0, 0, -0.5),
        losses=of_outputs(1, 2, 3, 4, 5)[..., 0],
        slopes=of_outputs(0.01, -0.01, 0.009, -0.009, 0.25),
        right=of_outputs(1, 0, 1, 0, 0)[..., 0],
        labels=of_outputs(1, 1, 0, 0, 1)[..., 0],
        # confidences 0.9, 0.6, 0.9, 0.5 and 0.95
        predictions=of_outputs(0.9, 0.6, 0.1, 0.5, 0.95),
        prediction_grads=of_outputs(1, -2, 3, -4, 5),
    )
    families = ("performance", "prediction", "logit_gradient", "saturation", "confidence")
    settings = ProbeSettings(
        **dict.fromkeys(NAMES, False) | dict.fromkeys((*families, "classes", "slopes"), True),
        threshold=THRESHOLD,
    )
    found = {}
    for probe in make_probes(settings, Subject(2)).values():
        found |= zip(probe.tags, probe.measure(step)[0, 0].tolist(), strict=True)
    assert found == pytest.approx(BY_HAND | {"loss/train": 3.0}, rel=1e-12, nan_ok=True)


def test_only_twenty_classes_have_tags_of_their_own():
    probes = make_probes(ALL, subject(25)).values()
    tags = [tag for probe in probes for tag in probe.tags if tag.startswith("logit_grad_class/")]
    assert tags == [f"logit_grad_class/{k}" for k in range(20)]


def test_every_family_has_a_schedule_of_its_name_and_its_place():
    assert tuple(make_probes(ALL, subject())) == NAMES
    assert {field.name for field in fields(ProbeSettings)} > set(NAMES)


def test_only_what_is_asked_for_is_made():
    settings = ProbeSettings(**dict.fromkeys(NAMES, False) | {"direction": "every:3"})
    (probe,) = make_probes(settings, subject()).values()
    assert probe.tags == ("grad_cosine/total",)


def test_what_a_run_does_not_have_has_no_tags():
    bare = Subject(None, False, ("output",))
    tags = [tag for probe in make_probes(ALL, bare).values() for tag in probe.tags]
    assert not [tag for tag in tags if tag.startswith(("sample_grad", "grad_snr", "dead_units"))]
    assert not [tag for tag in tags if "wrong" in tag or "class" in tag]


def test_no_wrong_example_gives_nan_not_zero():
    step = values(1)
    everyone = replace(step, right=torch.ones_like(step.right))
    for probe in make_probes(ALL, subject(2)).values():
        for tag, column in zip(probe.tags, probe.measure(everyone).unbind(-1), strict=True):
            if "wrong" in tag:
                assert column.isnan().all(), tag


def test_examples_that_all_agree_have_no_noise_to_compare_with():
    step = values(1)
    same = torch.ones(POINTS, RUNS, len(DENSE), BATCH, dtype=torch.float64)
    ones = torch.ones_like(step.network["gradient_norms"])
    network = step.network | {"sample_squares": same, "gradient_norms": ones}
    probe = make_probes(ALL, subject(2))["sample_gradient"]
    measured = probe.measure(replace(step, network=network))
    assert measured[..., 0].allclose(torch.tensor(math.sqrt(2), dtype=torch.float64))
    assert measured[..., 2:].isnan().all()


def test_numbers_that_are_not_finite_are_counted():
    step = values(3)
    logits, grads = step.logits.clone(), step.logit_grads.clone()
    logits[0, 1, :2, 0], grads[2, 0, 0, :] = math.inf, math.nan
    probe = make_probes(ALL, subject())["nonfinite"]
    measured = probe.measure(replace(step, logits=logits, logit_grads=grads))
    assert measured[..., 0].tolist() == [[0, 2], [0, 0], [0, 0]]
    assert measured[..., 1].tolist() == [[0, 0], [0, 0], [3, 0]]
    torch.testing.assert_close(measured[..., 2:], step.network["nonfinite"])


def test_histograms_count_every_value_once():
    drawn = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    bars = histogram(drawn)
    assert bars.counts.shape == (4, BINS)
    assert bars.counts.sum(-1).tolist() == [1000.0] * 4
    for row in range(4):
        counts, expected = np.histogram(drawn[row].double().numpy(), bins=BINS)
        np.testing.assert_array_equal(bars.counts[row].numpy(), counts)
        limits = edges(bars.minimum[row].numpy(), bars.maximum[row].numpy())
        np.testing.assert_allclose(limits, expected[1:], rtol=1e-12)
    torch.testing.assert_close(bars.total, drawn.double().sum(-1))
    torch.testing.assert_close(bars.total_squares, drawn.double().square().sum(-1))


def test_a_value_on_an_edge_is_counted_above_it_and_the_largest_below():
    values = torch.arange(BINS + 1.0)  # bins of width 1
    bars = histogram(torch.stack([values, -values]))
    assert bars.counts.tolist() == [[1] * (BINS - 1) + [2]] * 2
    assert bars.minimum.tolist() == [0, -30]
    assert bars.maximum.tolist() == [30, 0]
    limits = edges(bars.minimum.numpy(), bars.maximum.numpy())
    assert limits.tolist() == [[*range(1, 31)], [*range(-29, 1)]]


def test_values_1e_12_apart_fill_all_bins_and_equal_ones_a_width_of_1e_12():
    bars = histogram(torch.tensor([[0.0, 1e-12], [0.0, 5e-13], [0.0, 0.0]], dtype=torch.float64))
    assert [row.nonzero().flatten().tolist() for row in bars.counts] == [[0, 29], [0, 15], [0]]
    limits = edges(bars.minimum.numpy(), bars.maximum.numpy())
    np.testing.assert_allclose(limits, np.tile(np.arange(1, 31) / 3e13, (3, 1)), rtol=1e-12)


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 1, 0)])
def test_histograms_of_points_and_runs_in_any_order_of_memory_leave_values_as_they_were(axes):
    drawn = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = drawn.permute(axes)
    before = values.clone()
    bars = histogram(values)
    assert torch.equal(values, before)
    for point, rows in enumerate(before):
        for run, row in enumerate(rows):
            counts, _ = np.histogram(row.numpy(), bins=BINS)
            assert bars.counts[point, run].tolist() == counts.tolist()
            assert bars.total[point, run].item() == pytest.approx(row.numpy().sum(), rel=1e-12)


@pytest.mark.parametrize("infinite", [math.inf, -math.inf, math.nan])
def test_one_value_that_is_not_finite_moves_no_bin(infinite):
    bars = histogram(torch.tensor([0.0, infinite, 15.5, 30.0]))
    assert bars.counts.nonzero().flatten().tolist() == [0, 15, 29]
    assert [float(number) for number in bars[1:]] == [0, 30, 45.5, 15.5**2 + 900]


def test_histograms_of_constant_and_of_non_finite_values():
    bars = histogram(torch.tensor([[2.0, 2.0, 2.0], [math.nan, math.inf, 1.0]]))
    assert bars.counts.sum(-1).tolist() == [3.0, 1.0]
    assert bars.minimum.tolist() == bars.maximum.tolist() == [2.0, 1.0]
    assert bars.total.tolist() == [6.0, 1.0]
    assert bars.total_squares.tolist() == [12.0, 1.0]
    none = histogram(torch.tensor([math.nan, -math.inf]))
    assert [float(number.sum()) for number in none] == [0.0] * 5
    # more digits than float32 has
    whole = histogram(torch.tensor([2.0**24, 1.0, 1.0, math.nan]))
    assert whole.total.item() == 2**24 + 2
    assert whole.total_squares.item() == 2**48 + 2
