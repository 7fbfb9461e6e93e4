"""Runs with planted faults, and healthy ones: what `explain` is judged by.

Each case is a sweep over seeds. Where the fault is not certain to come of it (a digit that
dies in some runs only), `took` says by independent numbers whether it did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mlr.records.reading import Recorded

HEALTHY = "healthy"


def _always(_: Recorded) -> bool:
    return True


@dataclass(frozen=True)
class Case:
    """A fault, and runs that have it.

    rule: of the diagnosis that must come first; `HEALTHY` for none.
    overrides: of the runs, separated by blanks.
    seeds: how many runs.
    took: whether the fault came about.
    """

    rule: str
    overrides: str
    seeds: int = 3
    took: Callable[[Recorded], bool] = _always


def _a_class_is_dead(run: Recorded) -> bool:
    """One of several classes is never found though most examples are."""
    if run.anatomy is None:
        return False
    recall = run.anatomy["classes"]["recall"]
    return min(recall) < 0.01 and run.metrics["accuracy/train"] > 0.5


DIGITS = "data=digits epochs=20"
IMAGES = "data=synthetic_mnist data.n=2000 epochs=10"
MOONS = "data=moons epochs=40 model=mlp model.widths=[32]"
BLOBS = "data=blobs epochs=20"
NIELSEN = (
    "head=sigmoid loss=se model=mlp model.activation=sigmoid model.init=normal optimizer.lr=3 "
    "batch_size=10 epochs=20"
)

PLANTED: tuple[Case, ...] = (
    # features far from 1
    Case("unscaled", f"{DIGITS} data.scale=none head=softmax loss=ce optimizer.lr=0.5"),
    Case("unscaled", f"{DIGITS} data.scale=none head=linear loss=se optimizer.lr=0.05"),
    Case("unscaled", f"{IMAGES} data.scale=none head=softmax loss=ce optimizer.lr=0.5"),
    Case("unscaled", f"{IMAGES} data.scale=none head=sigmoid loss=bce model=mlp optimizer.lr=0.1"),
    Case("unscaled", "data=csv data.path={large} data.scale=none head=sigmoid loss=bce epochs=20"),
    Case("unscaled", "data=csv data.path={large} data.scale=none head=sigmoid loss=se epochs=20"),
    Case(
        "unscaled",
        "data=csv data.path={large} data.scale=none head=softmax loss=ce model=mlp epochs=20",
    ),
    Case("unscaled", "data=csv data.path={tiny} data.scale=none head=sigmoid loss=bce epochs=20"),
    # learning rates out of all proportion
    Case("lr_too_high", f"{DIGITS} head=linear loss=se optimizer.lr=1"),
    Case("lr_too_high", f"{DIGITS} head=softmax loss=ce optimizer.lr=100"),
    Case("lr_too_high", f"{DIGITS} head=sigmoid loss=bce optimizer.lr=50"),
    Case("lr_too_high", f"{DIGITS} head=softmax loss=ce model=mlp optimizer.lr=10"),
    Case("lr_too_high", f"{DIGITS} head=softmax loss=ce model=mlp optimizer=adam optimizer.lr=1"),
    Case("lr_too_high", f"{DIGITS} head=softmax loss=ce model=mlp optimizer=adam optimizer.lr=0.3"),
    Case("lr_too_high", f"{IMAGES} head=softmax loss=ce optimizer.lr=50"),
    Case("lr_too_high", f"{MOONS} head=sigmoid loss=bce optimizer.lr=50"),
    Case("lr_too_high", f"{BLOBS} head=sigmoid loss=bce optimizer.lr=1000 data.noise=0.8"),
    # and so low that little came of the updates
    Case("lr_too_low", f"{DIGITS} head=softmax loss=ce optimizer.lr=0.0005"),
    Case("lr_too_low", f"{DIGITS} head=sigmoid loss=bce optimizer.lr=0.0005"),
    Case("lr_too_low", f"{DIGITS} head=linear loss=se optimizer.lr=0.00002"),
    Case("lr_too_low", f"{DIGITS} head=softmax loss=ce model=mlp optimizer=adam optimizer.lr=1e-6"),
    Case("lr_too_low", f"{MOONS} head=sigmoid loss=bce optimizer.lr=0.0002"),
    Case("lr_too_low", f"{BLOBS} head=sigmoid loss=bce optimizer.lr=0.0001"),
    Case(
        "lr_too_low",
        f"{BLOBS} data.classes=4 head=softmax loss=ce optimizer=adam optimizer.lr=2e-5",
    ),
    Case("lr_too_low", f"{IMAGES} head=softmax loss=ce model=mlp optimizer.lr=0.0001"),
    # a clipped unit outside [0, 1]
    Case("clipped_dead", f"{DIGITS} head=clipped_linear loss=se model.init=normal"),
    Case("clipped_dead", f"{DIGITS} head=clipped_linear loss=bce model.init=normal"),
    Case("clipped_dead", f"{BLOBS} head=clipped_linear loss=se model.weight=1 model.bias=8"),
    Case("clipped_dead", f"{BLOBS} head=clipped_linear loss=bce model.weight=1 model.bias=-8"),
    Case("clipped_dead", f"{BLOBS} head=hard_sigmoid loss=se model.weight=1 model.bias=12"),
    Case("clipped_dead", f"{MOONS} head=clipped_linear loss=se model.init_scale=20"),
    # squashed outputs that squared error leaves alone
    Case("saturated", f"{DIGITS} head=sigmoid loss=se model.init=normal model.init_scale=4"),
    Case("saturated", f"{DIGITS} head=softmax loss=se model.init=normal model.init_scale=10"),
    Case("saturated", f"{BLOBS} head=sigmoid loss=se model.weight=0 model.bias=-12"),
    Case("saturated", f"{MOONS} head=sigmoid loss=se model.init=normal model.init_scale=10"),
    Case("saturated", f"{IMAGES} head=sigmoid loss=se model.init=normal model.init_scale=4"),
    Case("saturated", f"{BLOBS} head=probit loss=se model.weight=0 model.bias=-6"),
    # Nielsen's digits that die
    Case("dead_class", f"data=digits {NIELSEN} model.widths=[100]", 8, _a_class_is_dead),
    Case("dead_class", f"{IMAGES} {NIELSEN} model.widths=[100]", 8, _a_class_is_dead),
    Case("dead_class", f"data=digits {NIELSEN} model.widths=[30]", 8, _a_class_is_dead),
    # a linear unit that squared error pulls back
    Case("confident_right", "data=outliers head=linear loss=se epochs=20 optimizer.lr=0.1", 5),
    Case(
        "confident_right",
        "data=outliers data.distance=20 data.outliers=0.1 head=linear loss=se epochs=20 "
        "optimizer.lr=0.1",
        4,
    ),
    # hidden layers that get no gradient
    Case("starved", f"{DIGITS} head=softmax loss=ce model=mlp model.init=zeros"),
    Case(
        "starved",
        f"{DIGITS} head=softmax loss=ce model=mlp model.widths=[32,32,32,32,32,32] "
        "model.activation=sigmoid model.init=torch",
    ),
    Case(
        "starved",
        f"{DIGITS} head=sigmoid loss=bce model=mlp model.widths=[32,32,32,32,32] "
        "model.activation=tanh model.init_scale=0.02",
    ),
    Case(
        "starved",
        "data=moons epochs=20 head=sigmoid loss=bce model=mlp model.widths=[16,16,16,16] "
        "model.activation=sigmoid model.init=torch",
    ),
    Case(
        "starved",
        "data=xor epochs=10 head=softmax loss=ce model=mlp model.widths=[16,16,16,16,16] "
        "model.activation=tanh model.init_scale=0.05",
    ),
    # wrong labels
    Case("label_noise", f"{DIGITS} head=softmax loss=ce data.label_noise=0.3"),
    Case("label_noise", f"{DIGITS} head=sigmoid loss=bce data.label_noise=0.2"),
    Case("label_noise", f"{BLOBS} head=sigmoid loss=bce data.label_noise=0.2"),
    Case("label_noise", f"{MOONS} head=sigmoid loss=bce data.label_noise=0.2"),
    Case("label_noise", f"{IMAGES} head=softmax loss=ce data.label_noise=0.3 optimizer.lr=0.1"),
    Case(
        "label_noise",
        f"{DIGITS} head=softmax loss=ce model=mlp data.label_noise=0.3 optimizer.lr=0.1",
    ),
    Case("label_noise", "data=csv data.path={noisy} head=sigmoid loss=bce epochs=20"),
    # too few examples for so many parameters
    Case(
        "overfitting",
        "data=moons data.n=80 data.noise=0.5 model=mlp model.widths=[256] head=sigmoid loss=bce "
        "epochs=1000",
    ),
    Case(
        "overfitting",
        "data=blobs data.n=80 data.classes=4 data.noise=1.5 model=mlp model.widths=[256] "
        "head=softmax loss=ce epochs=1000",
    ),
    Case(
        "overfitting",
        "data=synthetic_mnist data.n=400 data.val_fraction=0.4 data.test_fraction=0.4 "
        "data.noise=0.5 model=mlp head=softmax loss=ce epochs=100 "
        "optimizer.lr=0.1",
    ),
    # a line where none separates, for want of hidden units
    Case("underfitting", "data=xor epochs=40 model=linear head=sigmoid loss=bce"),
    Case("underfitting", "data=xor epochs=40 model=linear head=softmax loss=ce optimizer.lr=0.1"),
    Case("underfitting", "data=xor epochs=40 model=linear head=sigmoid loss=se optimizer.lr=2"),
    Case(
        "underfitting",
        "data=xor epochs=40 model=linear head=softmax loss=ce optimizer=adam optimizer.lr=0.01",
    ),
    # outputs that share no sum, under a loss that counts on it
    Case("no_likelihood", f"{DIGITS} objective.strict=false head=sigmoid loss=ce"),
    Case("no_likelihood", f"{DIGITS} objective.strict=false head=probit loss=ce optimizer.lr=0.1"),
    Case("no_likelihood", f"{IMAGES} objective.strict=false head=sigmoid loss=ce model=mlp"),
    # logits that overflow before anything is learned
    Case("not_finite", f"{DIGITS} head=softmax loss=ce model.weight=3e38 model.bias=0"),
    Case("not_finite", f"{DIGITS} head=linear loss=se model.weight=3e38 model.bias=0"),
    # a start that is sure and wrong
    Case("initial_loss", f"{DIGITS} head=softmax loss=ce model.init=normal model.init_scale=20"),
    Case("initial_loss", f"{DIGITS} head=softmax loss=ce model=mlp model.init_scale=8"),
    Case("initial_loss", f"{DIGITS} head=sigmoid loss=bce model.init=normal model.init_scale=10"),
    Case("initial_loss", f"{BLOBS} head=sigmoid loss=bce model.weight=30 model.bias=0"),
    Case("initial_loss", f"{IMAGES} head=softmax loss=ce model.init=normal"),
)

FINE: tuple[Case, ...] = tuple(
    Case(HEALTHY, overrides, 2)
    for overrides in (
        f"{DIGITS} head=softmax loss=ce",
        f"{DIGITS} head=softmax loss=ce optimizer.lr=0.05",
        f"{DIGITS} head=softmax loss=ce optimizer=adam optimizer.lr=0.01",
        f"{DIGITS} head=softmax loss=ce schedule=cosine optimizer.momentum=0.9 optimizer.lr=0.1",
        f"{DIGITS} head=sigmoid loss=bce",
        f"{DIGITS} head=sigmoid loss=se",
        f"{DIGITS} head=softmax loss=se",
        f"{DIGITS} head=softmax loss=bce",
        f"{DIGITS} head=softmax loss=focal",
        f"{DIGITS} head=softmax loss=smoothed_ce",
        f"{DIGITS} head=linear loss=se optimizer.lr=0.03",
        f"{DIGITS} head=linear loss=hinge optimizer.lr=0.03",
        f"{DIGITS} head=clipped_linear loss=matching optimizer.lr=0.03",
        f"{DIGITS} head=sparsemax loss=matching",
        f"{DIGITS} head=probit loss=bce optimizer.lr=0.1",
        f"{DIGITS} head=cloglog loss=bce optimizer.lr=0.1",
        f"{DIGITS} head=softmax loss=ce model=mlp optimizer.lr=0.2",
        f"{DIGITS} head=sigmoid loss=bce model=mlp model.activation=tanh optimizer.lr=0.2",
        f"{DIGITS} head=softmax loss=ce model=mlp model.activation=sigmoid optimizer.lr=1",
        f"{DIGITS} head=softmax loss=ce model=mlp model.widths=[64,64] optimizer.lr=0.1",
        f"{DIGITS} head=softmax loss=ce data.scale=standardize optimizer.lr=0.05",
        f"{DIGITS} head=softmax loss=ce data.scale=none optimizer.lr=0.002",
        f"{IMAGES} head=softmax loss=ce optimizer.lr=0.1",
        f"{IMAGES} head=softmax loss=ce model=mlp optimizer.lr=0.1",
        f"{IMAGES} head=sigmoid loss=bce model=mlp optimizer=adam",
        f"{IMAGES} head=sigmoid loss=se model=mlp model.widths=[30] model.activation=sigmoid "
        "optimizer.lr=3",
        f"{MOONS} head=sigmoid loss=bce",
        f"{MOONS} head=softmax loss=ce",
        f"{MOONS} head=linear loss=se optimizer.lr=0.1",
        "data=moons epochs=40 model=linear head=sigmoid loss=bce",
        f"{BLOBS} head=sigmoid loss=bce",
        f"{BLOBS} head=sigmoid loss=bce data.noise=1.2",
        f"{BLOBS} head=sigmoid loss=se",
        f"{BLOBS} head=sigmoid loss=se data.noise=1.6",
        f"{BLOBS} head=sigmoid loss=bce data.noise=1.6 model=mlp model.widths=[8] optimizer.lr=0.1",
        f"{BLOBS} head=sigmoid loss=bce data.label_noise=0.5",  # nothing that can be learned
        f"{MOONS} head=sigmoid loss=bce model.widths=[8] data.label_noise=0.5 optimizer.lr=0.05",
        f"{BLOBS} head=softmax loss=ce data.classes=5",
        f"{BLOBS} head=linear loss=se optimizer.lr=0.1",
        f"{BLOBS} head=linear loss=se optimizer.lr=0.1 data.noise=1.2",
        f"{BLOBS} head=clipped_linear loss=matching optimizer.lr=0.1",
        "data=outliers epochs=20 head=sigmoid loss=bce",
        "data=xor epochs=40 model=mlp model.widths=[16] head=sigmoid loss=bce",
        "data=line epochs=20 head=linear loss=se optimizer.lr=0.1",
        "data=line epochs=20 head=gaussian loss=gaussian_nll optimizer.lr=0.05",
    )
)


def write_tables(folder: Path) -> Mapping[str, Path]:
    """Data files with faults of their own: large and tiny features, and labels that are wrong.

    Args:
        folder: where they are written.

    Returns:
        By the names that the overrides of cases have in braces.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 800)
    features = rng.normal(size=(800, 2)) * 0.8 + np.where(labels, 1.0, -1.0)[:, None]
    wrong = np.where(rng.random(800) < 0.2, 1 - labels, labels)
    return {
        "large": _table(folder / "large.csv", features * 100, labels),
        "tiny": _table(folder / "tiny.csv", features * 1e-4, labels),
        "noisy": _table(folder / "noisy.csv", features, wrong),
    }


def _table(path: Path, features: NDArray[np.float64], labels: NDArray[np.int64]) -> Path:
    rows = [
        f"{one:.6g},{two:.6g},{label}" for (one, two), label in zip(features, labels, strict=True)
    ]
    path.write_text("\n".join(["first,second,label", *rows]) + "\n")
    return path
