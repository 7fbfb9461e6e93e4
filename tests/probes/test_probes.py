"""Every probe against its plain twin: one point, one run, one loop over examples."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from mlr.checks import InputError
from mlr.probes import ProbeSettings, StepValues, make_probes
from mlr.probes.histograms import BINS, edges, histogram

POINTS, RUNS, BATCH = 3, 2, 7
LAYERS = ("hidden1", "output")


def values(outputs: int, classification: bool = True, spread: bool = False) -> StepValues:
    generator = torch.Generator().manual_seed(outputs)
    shape = (POINTS, RUNS, BATCH, outputs)
    draw = lambda *size: torch.randn(*size, generator=generator, dtype=torch.float64)  # noqa: E731
    return StepValues(
        logits=draw(*shape),
        logit_grads=draw(*shape) * 0.01,
        losses=draw(*shape[:-1]).abs(),
        slopes=draw(*shape) * 0.02,
        right=(draw(*shape[:-1]) > 0).double() if classification else None,
        layer_grad_norms=draw(POINTS, RUNS, len(LAYERS)).abs(),
        spreads=draw(*shape).exp() if spread else None,
    )


def plain(step: StepValues, point: int, run: int, threshold: float) -> dict[str, float]:
    """The numbers of one batch by loops over its examples."""
    sizes = [math.sqrt(sum(g * g for g in row)) for row in step.logit_grads[point, run].tolist()]
    losses = step.losses[point, run].tolist()
    slopes = [s for row in step.slopes[point, run].tolist() for s in row]
    norms = step.layer_grad_norms[point, run].tolist()
    numbers = {
        "loss/train": sum(losses) / BATCH,
        "logit_grad/mean": sum(sizes) / BATCH,
        "logit_grad/median": float(np.median(sizes)),
        "logit_grad/max": max(sizes),
        "saturation/fraction": sum(abs(s) < threshold for s in slopes) / len(slopes),
        "grad_norm/total": math.sqrt(sum(n * n for n in norms)),
        **{f"grad_norm/{name}": norm for name, norm in zip(LAYERS, norms, strict=True)},
    }
    if step.spreads is not None:
        spreads = [s for row in step.spreads[point, run].tolist() for s in row]
        numbers["predicted_std/train"] = sum(spreads) / len(spreads)
    if step.right is not None:
        right = step.right[point, run].tolist()
        wrong_sizes = [size for size, good in zip(sizes, right, strict=True) if not good]
        right_sizes = [size for size, good in zip(sizes, right, strict=True) if good]
        numbers |= {
            "accuracy/train": sum(right) / BATCH,
            "logit_grad/wrong": sum(wrong_sizes) / len(wrong_sizes),
            "logit_grad/right": sum(right_sizes) / len(right_sizes),
            "stuck/fraction": sum(size < threshold for size in wrong_sizes) / BATCH,
        }
    return numbers


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize(
    ("classification", "spread"), [(True, False), (False, False), (False, True)]
)
def test_every_number_equals_its_plain_twin(outputs, classification, spread):
    step = values(outputs, classification, spread)
    probes = make_probes(ProbeSettings(threshold=0.01), classification, LAYERS, spread)
    for probe in probes:
        measured = probe.measure(step)
        assert measured.shape == (POINTS, RUNS, len(probe.tags))
        for point in range(POINTS):
            for run in range(RUNS):
                expected = plain(step, point, run, 0.01)
                for tag, number in zip(probe.tags, measured[point, run].tolist(), strict=True):
                    assert number == pytest.approx(expected.pop(tag), rel=1e-12), tag
    tags = [tag for probe in probes for tag in probe.tags]
    assert set(tags) == set(plain(step, 0, 0, 0.01))


def test_the_median_of_an_even_batch_lies_between_the_middle_two():
    sizes = torch.tensor([1.0, 2.0, 4.0, 100.0])
    step = values(1)
    grads = sizes.reshape(1, 1, 4, 1)
    even = StepValues(grads, grads, grads[..., 0], grads, None, step.layer_grad_norms[:1, :1])
    (probe,) = [p for p in make_probes(ProbeSettings(), False, LAYERS) if "logit" in p.tags[0]]
    assert probe.measure(even)[0, 0].tolist() == [26.75, 3.0, 100.0]


def test_no_wrong_example_gives_nan_not_zero():
    step = values(1)
    everyone = StepValues(
        step.logits,
        step.logit_grads,
        step.losses,
        step.slopes,
        torch.ones_like(step.right),
        step.layer_grad_norms,
    )
    for probe in make_probes(ProbeSettings(), True, LAYERS):
        if "logit_grad/wrong" in probe.tags:
            wrong = probe.measure(everyone)[..., probe.tags.index("logit_grad/wrong")]
            assert wrong.isnan().all()


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


def test_histograms_of_constant_and_of_non_finite_values():
    bars = histogram(torch.tensor([[2.0, 2.0, 2.0], [math.nan, math.inf, 1.0]]))
    assert bars.counts.sum(-1).tolist() == [3.0, 1.0]
    assert bars.minimum.tolist() == [2.0, 1.0]


@pytest.mark.parametrize("total", [1, 7, 199, 200, 201, 640, 100_000])
def test_about_two_hundred_points_whatever_the_length(total):
    steps = ProbeSettings().steps(total)
    assert steps[0] == 0
    assert steps[-1] == total - 1
    assert min(total, 100) <= len(steps) <= 201
    # all gaps are equal but the last, which ends at the last step
    assert len({after - before for before, after in pairwise(steps[:-1])}) <= 1


def test_no_points_means_no_steps():
    assert ProbeSettings(points=0).steps(100) == []


@pytest.mark.parametrize(
    ("field", "value"), [("points", -1), ("histogram_points", 1.5), ("threshold", 0.0)]
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(InputError, match=f"probes.{field}={value} must be"):
        ProbeSettings(**{field: value})
