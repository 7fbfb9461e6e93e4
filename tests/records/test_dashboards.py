"""TensorBoard shows what a Recorder wrote, seen in a real browser."""

import numpy as np
import pytest

from mlr.records import Recorder, RunFolder

pytest.importorskip("selenium")
from .browser import chromium, tensorboard, wait

pytestmark = pytest.mark.slow

PAIRS = [(head, loss) for head in ("sigmoid", "clipped_linear") for loss in ("se", "bce")]
TAGS = (
    *("loss/train", "accuracy/train", "grad_norm/total", "grad_norm/layer0", "grad_norm/layer1"),
    *("logit_grad/mean", "logit_grad/median", "logit_grad/max"),
    *("logit_grad/wrong", "logit_grad/right", "saturation/fraction", "stuck/fraction"),
    *("loss/val", "loss/test", "accuracy/val", "accuracy/test", "learning_rate"),
)
POINTS, BINS = 200, 30


def curves(head: str, loss: str, seed: int) -> np.ndarray:
    """Series (POINTS, tags) that look like training: SE on a saturated unit is slow."""
    rng = np.random.default_rng([seed, *(head + loss).encode()])
    pace = {"se": 0.6, "bce": 3.0}[loss] * {"sigmoid": 1.0, "clipped_linear": 0.5}[head]
    time = np.linspace(0, 3, POINTS)
    left = np.exp(-pace * time)
    shape = {
        "loss": 0.05 + 0.6 * left,
        "accuracy": 0.93 - 0.4 * left,
        "grad_norm": 0.02 + pace * left,
        "logit_grad": 0.05 * pace + 0.3 * left,
        "saturation": 0.2 + 0.6 * (1 - left),
        "stuck": 0.4 * left / pace,
        "learning_rate": np.full(POINTS, 0.1),
    }
    series = np.stack([shape[tag.partition("/")[0]] for tag in TAGS], axis=1)
    scale = np.where(np.array(TAGS) == "logit_grad/wrong", 2.0, 1.0)
    noise = 1 + 0.03 * rng.normal(size=series.shape)
    series = series * scale * noise
    fractions = [tag.startswith(("accuracy", "saturation", "stuck")) for tag in TAGS]
    series[:, fractions] = series[:, fractions].clip(0, 1)
    return series.astype(np.float32)


def histograms(values: np.ndarray, seed: int):
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(len(values), 500)) * (0.2 + values[:, None])
    edges = np.linspace(samples.min(1), samples.max(1), BINS + 1, axis=1)
    pairs = zip(samples, edges, strict=True)
    counts = np.stack([np.histogram(row, bins=edge)[0] for row, edge in pairs])
    moments = (samples.min(1), samples.max(1), samples.sum(1), (samples**2).sum(1))
    return (edges[:, 1:], counts, *moments)


def write_run(folder, head: str, loss: str, seed: int) -> None:
    hparams = {
        **{"head": head, "loss": loss, "model": "mlp", "data": "digits"},
        **{"optimizer": "sgd", "optimizer.lr": 0.1, "batch_size": 32, "seed": seed},
        **{"optimizer.nesterov": False, "max_grad_norm": None},
    }
    values = curves(head, loss, seed)
    steps = np.arange(POINTS) * 5
    present = np.ones(values.shape, dtype=bool)
    for tag in ("loss/val", "accuracy/val"):
        present[np.arange(POINTS) % 20 != 19, TAGS.index(tag)] = False
    for tag in ("loss/test", "accuracy/test"):
        present[:, TAGS.index(tag)] = False
    with Recorder(RunFolder.claim(folder, seed=seed), TAGS, hparams) as recorder:
        times = 1.7e9 + steps / 100
        recorder.scalars(steps, steps / 45, values, present, times)
        for tag in ("logits", "logit_grads"):
            recorder.histograms(steps[::8], tag, *histograms(values[::8, 0], seed), times[::8])
        final = {"loss/test": float(values[-1, 0]), "accuracy/test": float(values[-1, 1])}
        recorder.finish("done", final)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Four pairs of head and loss, two seeds each, in one logdir."""
    logdir = tmp_path_factory.mktemp("runs")
    for head, loss in PAIRS:
        for seed in (0, 1):
            write_run(logdir / f"{head}+{loss}" / f"seed={seed}", head, loss, seed)
    return logdir


@pytest.fixture(scope="module")
def address(runs):
    with tensorboard(runs) as where:
        yield where


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as window:
        yield window


NAMES = [f"{head}+{loss}/seed={seed}" for head, loss in PAIRS for seed in (0, 1)]
# one colour for each head and loss, nothing smoothed, the charts of the question first
LINK = "smoothing=0&runColorGroup=regex:(%5Cw%2B%5C%2B%5Cw%2B)&tagFilter=wrong%7Cright#timeseries"
CURVES = "path[d*='L']"


def test_time_series_draw_every_run(page, address):
    page.open(f"{address}/?{LINK}")
    wait(
        lambda: page.shows(*NAMES, "logit_grad/right", "logit_grad/wrong"), "names of runs and tags"
    )
    wait(lambda: page.colours("line-chart") >= len(PAIRS), "a colour for each pair")
    page.picture("time_series")


def test_scalars_draw_every_run(page, address):
    page.open(f"{address}/#scalars")
    wait(lambda: page.shows(*NAMES, "accuracy/train", "grad_norm/layer1"), "names")
    wait(lambda: page.count(CURVES, "vz-line-chart2") >= len(NAMES), "curves")
    page.picture("scalars")


def test_custom_scalars_answer_the_questions(page, address):
    page.open(f"{address}/#custom_scalars")
    wait(lambda: page.shows(*NAMES, "Who gets gradient?", "Which layer starves?"), "questions")
    wait(lambda: page.shows("wrong samples: mean |dL/dz|", "Matches (16)"), "charts")
    wait(lambda: page.count(CURVES, "vz-line-chart2") >= len(NAMES), "curves")
    page.picture("custom_scalars")
    page.show_element("Which layer starves?")
    wait(lambda: page.shows("layer1: gradient norm", "Matches (8)"), "a chart a layer")
    page.picture("custom_scalars_layers")


def test_hparams_list_every_run_with_its_values(page, address):
    page.open(f"{address}/#hparams")
    columns = ("head", "loss", "model", "optimizer.lr", "seed", "accuracy (test)", "loss (test)")
    wait(lambda: page.shows(*columns, "optimizer.nesterov"), "columns")
    wait(
        lambda: page.shows(*(f"seed={seed} ({h}+{x})" for h, x in PAIRS for seed in (0, 1))), "rows"
    )
    accuracies = [
        curves(*pair, seed)[-1, TAGS.index("accuracy/train")] for pair in PAIRS for seed in (0, 1)
    ]
    wait(lambda: page.shows(*(f"{value:.5g}" for value in accuracies)), "final numbers")
    page.picture("hparams")


def test_histograms_are_drawn(page, address):
    page.open(f"{address}/#histograms")
    wait(lambda: page.shows(*NAMES, "logit_grads"), "names of runs and tags")
    wait(lambda: page.count("path[d*='L']", "vz-histogram-timeseries") >= 25, "histograms")
    page.picture("histograms")
