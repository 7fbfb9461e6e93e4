"""Measure how often `explain` names planted faults first and leaves healthy runs alone.

`explain_programs` does so with PyTorch programs that `GradientProbe` observes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from mlr.analysis.explain import explain, findings
from mlr.benchmarks import explain_logs, explain_programs
from mlr.benchmarks.rows import BenchmarkRow, duration, in_turn, timed
from mlr.records.reading import Recorded, read_runs

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HEALTHY = "healthy"


def _always(_: Recorded) -> bool:
    return True


@dataclass(frozen=True)
class Fault:
    """A fault and the runs that have it, a sweep over seeds.

    rule: rule of the diagnosis that must come first; `HEALTHY` for none.
    overrides: overrides of the runs, separated by blanks.
    seeds: number of runs.
    took: tests by independent numbers that the fault came about; some digits die in some runs only.
    """

    rule: str
    overrides: str
    seeds: int = 3
    took: Callable[[Recorded], bool] = _always


def _a_class_is_dead(run: Recorded) -> bool:
    """Test that a class is never found though most examples are."""
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

PLANTED: tuple[Fault, ...] = (
    # features far from 1
    Fault("unscaled", f"{DIGITS} data.scale=none head=softmax loss=ce optimizer.lr=0.5"),
    Fault("unscaled", f"{DIGITS} data.scale=none head=linear loss=se optimizer.lr=0.05"),
    Fault("unscaled", f"{IMAGES} data.scale=none head=softmax loss=ce optimizer.lr=0.5"),
    Fault("unscaled", f"{IMAGES} data.scale=none head=sigmoid loss=bce model=mlp optimizer.lr=0.1"),
    Fault("unscaled", "data=csv data.path={large} data.scale=none head=sigmoid loss=bce epochs=20"),
    Fault("unscaled", "data=csv data.path={large} data.scale=none head=sigmoid loss=se epochs=20"),
    Fault(
        "unscaled",
        "data=csv data.path={large} data.scale=none head=softmax loss=ce model=mlp epochs=20",
    ),
    Fault("unscaled", "data=csv data.path={tiny} data.scale=none head=sigmoid loss=bce epochs=20"),
    # learning rates that are far too high
    Fault("lr_too_high", f"{DIGITS} head=linear loss=se optimizer.lr=1"),
    Fault("lr_too_high", f"{DIGITS} head=softmax loss=ce optimizer.lr=100"),
    Fault("lr_too_high", f"{DIGITS} head=sigmoid loss=bce optimizer.lr=50"),
    Fault("lr_too_high", f"{DIGITS} head=softmax loss=ce model=mlp optimizer.lr=10"),
    Fault("lr_too_high", f"{DIGITS} head=softmax loss=ce model=mlp optimizer=adam optimizer.lr=1"),
    Fault(
        "lr_too_high", f"{DIGITS} head=softmax loss=ce model=mlp optimizer=adam optimizer.lr=0.3"
    ),
    Fault("lr_too_high", f"{IMAGES} head=softmax loss=ce optimizer.lr=50"),
    Fault("lr_too_high", f"{MOONS} head=sigmoid loss=bce optimizer.lr=50"),
    Fault("lr_too_high", f"{BLOBS} head=sigmoid loss=bce optimizer.lr=1000 data.noise=0.8"),
    # learning rates that are far too low
    Fault("lr_too_low", f"{DIGITS} head=softmax loss=ce optimizer.lr=0.0005"),
    Fault("lr_too_low", f"{DIGITS} head=sigmoid loss=bce optimizer.lr=0.0005"),
    Fault("lr_too_low", f"{DIGITS} head=linear loss=se optimizer.lr=0.00002"),
    Fault(
        "lr_too_low", f"{DIGITS} head=softmax loss=ce model=mlp optimizer=adam optimizer.lr=1e-6"
    ),
    Fault("lr_too_low", f"{MOONS} head=sigmoid loss=bce optimizer.lr=0.0002"),
    Fault("lr_too_low", f"{BLOBS} head=sigmoid loss=bce optimizer.lr=0.0001"),
    Fault(
        "lr_too_low",
        f"{BLOBS} data.classes=4 head=softmax loss=ce optimizer=adam optimizer.lr=2e-5",
    ),
    Fault("lr_too_low", f"{IMAGES} head=softmax loss=ce model=mlp optimizer.lr=0.0001"),
    # a clipped unit outside [0, 1]
    Fault("clipped_dead", f"{DIGITS} head=clipped_linear loss=se model.init=normal"),
    Fault("clipped_dead", f"{DIGITS} head=clipped_linear loss=bce model.init=normal"),
    Fault("clipped_dead", f"{BLOBS} head=clipped_linear loss=se model.weight=1 model.bias=8"),
    Fault("clipped_dead", f"{BLOBS} head=clipped_linear loss=bce model.weight=1 model.bias=-8"),
    Fault("clipped_dead", f"{BLOBS} head=hard_sigmoid loss=se model.weight=1 model.bias=12"),
    Fault("clipped_dead", f"{MOONS} head=clipped_linear loss=se model.init_scale=20"),
    # saturated outputs that squared error does not move
    Fault("saturated", f"{DIGITS} head=sigmoid loss=se model.init=normal model.init_scale=4"),
    Fault("saturated", f"{DIGITS} head=softmax loss=se model.init=normal model.init_scale=10"),
    Fault("saturated", f"{BLOBS} head=sigmoid loss=se model.weight=0 model.bias=-12"),
    Fault("saturated", f"{MOONS} head=sigmoid loss=se model.init=normal model.init_scale=10"),
    Fault("saturated", f"{IMAGES} head=sigmoid loss=se model.init=normal model.init_scale=4"),
    Fault("saturated", f"{BLOBS} head=probit loss=se model.weight=0 model.bias=-6"),
    # Nielsen's digits that die
    Fault("dead_class", f"data=digits {NIELSEN} model.widths=[100]", 8, _a_class_is_dead),
    Fault("dead_class", f"{IMAGES} {NIELSEN} model.widths=[100]", 8, _a_class_is_dead),
    Fault("dead_class", f"data=digits {NIELSEN} model.widths=[30]", 8, _a_class_is_dead),
    # a linear unit that squared error pulls back
    Fault("confident_right", "data=outliers head=linear loss=se epochs=20 optimizer.lr=0.1", 5),
    Fault(
        "confident_right",
        "data=outliers data.distance=20 data.outliers=0.1 head=linear loss=se epochs=20 "
        "optimizer.lr=0.1",
        4,
    ),
    # hidden layers that get no gradient
    Fault("starved", f"{DIGITS} head=softmax loss=ce model=mlp model.init=zeros"),
    Fault(
        "starved",
        f"{DIGITS} head=softmax loss=ce model=mlp model.widths=[32,32,32,32,32,32] "
        "model.activation=sigmoid model.init=torch",
    ),
    Fault(
        "starved",
        f"{DIGITS} head=sigmoid loss=bce model=mlp model.widths=[32,32,32,32,32] "
        "model.activation=tanh model.init_scale=0.02",
    ),
    Fault(
        "starved",
        "data=moons epochs=20 head=sigmoid loss=bce model=mlp model.widths=[16,16,16,16] "
        "model.activation=sigmoid model.init=torch",
    ),
    Fault(
        "starved",
        "data=xor epochs=10 head=softmax loss=ce model=mlp model.widths=[16,16,16,16,16] "
        "model.activation=tanh model.init_scale=0.05",
    ),
    # wrong labels
    Fault("label_noise", f"{DIGITS} head=softmax loss=ce data.label_noise=0.3"),
    Fault("label_noise", f"{DIGITS} head=sigmoid loss=bce data.label_noise=0.2"),
    Fault("label_noise", f"{BLOBS} head=sigmoid loss=bce data.label_noise=0.2"),
    Fault("label_noise", f"{MOONS} head=sigmoid loss=bce data.label_noise=0.2"),
    Fault("label_noise", f"{IMAGES} head=softmax loss=ce data.label_noise=0.3 optimizer.lr=0.1"),
    Fault(
        "label_noise",
        f"{DIGITS} head=softmax loss=ce model=mlp data.label_noise=0.3 optimizer.lr=0.1",
    ),
    Fault("label_noise", "data=csv data.path={noisy} head=sigmoid loss=bce epochs=20"),
    # a class with a twentieth of the examples, among those of the other
    Fault("rare_class", "data=csv data.path={rare} head=sigmoid loss=bce epochs=40"),
    Fault(
        "rare_class", "data=csv data.path={rare} head=softmax loss=ce epochs=40 optimizer.lr=0.1"
    ),
    # too few examples for so many parameters
    Fault(
        "overfitting",
        "data=moons data.n=80 data.noise=0.5 model=mlp model.widths=[256] head=sigmoid loss=bce "
        "epochs=1000",
    ),
    Fault(
        "overfitting",
        "data=blobs data.n=80 data.classes=4 data.noise=1.5 model=mlp model.widths=[256] "
        "head=softmax loss=ce epochs=1000",
    ),
    Fault(
        "overfitting",
        "data=synthetic_mnist data.n=400 data.val_fraction=0.4 data.test_fraction=0.4 "
        "data.noise=0.5 model=mlp head=softmax loss=ce epochs=100 "
        "optimizer.lr=0.1",
    ),
    # a linear model where no line separates the classes
    Fault("underfitting", "data=xor epochs=40 model=linear head=sigmoid loss=bce"),
    Fault("underfitting", "data=xor epochs=40 model=linear head=softmax loss=ce optimizer.lr=0.1"),
    Fault("underfitting", "data=xor epochs=40 model=linear head=sigmoid loss=se optimizer.lr=2"),
    Fault(
        "underfitting",
        "data=xor epochs=40 model=linear head=softmax loss=ce optimizer=adam optimizer.lr=0.01",
    ),
    # outputs that are no distribution, with a loss that needs one
    Fault("no_likelihood", f"{DIGITS} objective.strict=false head=sigmoid loss=ce"),
    Fault("no_likelihood", f"{DIGITS} objective.strict=false head=probit loss=ce optimizer.lr=0.1"),
    Fault("no_likelihood", f"{IMAGES} objective.strict=false head=sigmoid loss=ce model=mlp"),
    # logits that overflow before anything is learned
    Fault("not_finite", f"{DIGITS} head=softmax loss=ce model.weight=3e38 model.bias=0"),
    Fault("not_finite", f"{DIGITS} head=linear loss=se model.weight=3e38 model.bias=0"),
    # a start that is confident and wrong
    Fault("initial_loss", f"{DIGITS} head=softmax loss=ce model.init=normal model.init_scale=20"),
    Fault("initial_loss", f"{DIGITS} head=softmax loss=ce model=mlp model.init_scale=8"),
    Fault("initial_loss", f"{DIGITS} head=sigmoid loss=bce model.init=normal model.init_scale=10"),
    Fault("initial_loss", f"{BLOBS} head=sigmoid loss=bce model.weight=30 model.bias=0"),
    Fault("initial_loss", f"{IMAGES} head=softmax loss=ce model.init=normal"),
)

FINE: tuple[Fault, ...] = tuple(
    Fault(HEALTHY, overrides, 2)
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
    """Write data files with large features, tiny features, wrong labels, and a rare class.

    Args:
        folder: folder of the files.

    Returns:
        Paths by the names that overrides have in braces.
    """
    import numpy as np

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 800)
    features = rng.normal(size=(800, 2)) * 0.8 + np.where(labels, 1.0, -1.0)[:, None]
    wrong = np.where(rng.random(800) < 0.2, 1 - labels, labels)
    seldom = (np.arange(800) % 20 == 0).astype(np.int64)
    among = rng.normal(size=(800, 2)) + 1.2 * seldom[:, None]
    return {
        "large": _table(folder / "large.csv", features * 100, labels),
        "tiny": _table(folder / "tiny.csv", features * 1e-4, labels),
        "noisy": _table(folder / "noisy.csv", features, wrong),
        "rare": _table(folder / "rare.csv", among, seldom),
    }


def _table(path: Path, features: NDArray[np.float64], labels: NDArray[np.int64]) -> Path:
    rows = [
        f"{one:.6g},{two:.6g},{label}" for (one, two), label in zip(features, labels, strict=True)
    ]
    path.write_text("\n".join(["first,second,label", *rows]) + "\n")
    return path


SWEEP = 512
"""Runs that must be explained within a second."""


@dataclass(frozen=True)
class DiagnosedRun:
    """A run and its first diagnosis.

    case: the planted fault.
    run: the run that has it.
    first: rule of the first finding; `HEALTHY` for none.
    """

    case: Fault
    run: Recorded
    first: str


class HitRate(NamedTuple):
    """Number of runs that a rule is named for rightly."""

    rule: str
    right: int
    total: int
    others: Sequence[str]
    """wrong diagnoses, with the overrides of the run"""


def rows(repeats: int, cases: Sequence[Fault] = (*PLANTED, *FINE)) -> Iterator[BenchmarkRow]:
    """Measure hit rates by rule, false alarms, and the time of explaining."""
    with TemporaryDirectory() as folder:
        judged = diagnose_cases(Path(folder), cases)
        for rate in hit_rates(judged):
            counts = f"{rate.right} of {rate.total} runs"
            instead = "; ".join(dict.fromkeys(rate.others))
            if rate.rule == HEALTHY:
                alarms = 100 * (1 - rate.right / rate.total)
                yield BenchmarkRow(
                    "healthy: left alone", counts, instead, alarms, " % alarms", most=0
                )
            else:
                hits = 100 * rate.right / rate.total
                yield BenchmarkRow(
                    f"{rate.rule}: named first", counts, instead, hits, " %", least=95
                )
        yield from _times([one.run for one in judged], repeats)


def every(repeats: int) -> Iterator[BenchmarkRow]:
    """Measure mlr's own runs with planted faults, then programs and event files of others."""
    yield from rows(repeats)
    yield from explain_programs.rows()
    yield from explain_logs.rows()


def diagnose_cases(folder: Path, cases: Sequence[Fault]) -> list[DiagnosedRun]:
    """Train all cases and diagnose every run in which the fault came about."""
    from mlr.lecture.lab import Lab

    tables = {name: str(path) for name, path in write_tables(folder).items()}
    lab = Lab(folder / "runs")
    found = []
    for case in cases:
        words = case.overrides.format(**tables).split()
        for trained in lab.sweep(*words, f"seed=range(0,{case.seeds})"):
            (run,) = read_runs(trained.folder)
            if case.took(run):
                found.append(DiagnosedRun(case, run, next(iter(findings(run)), HEALTHY)))
    return found


def hit_rates(judged: Sequence[DiagnosedRun]) -> list[HitRate]:
    """Count hits by rule, in the order of the cases."""
    found = []
    for rule in dict.fromkeys(one.case.rule for one in judged):
        having = [one for one in judged if one.case.rule == rule]
        others = [f"{one.first}: {one.case.overrides}" for one in having if one.first != rule]
        found.append(HitRate(rule, len(having) - len(others), len(having), others))
    return found


def _times(runs: Sequence[Recorded], repeats: int) -> Iterator[BenchmarkRow]:
    """Time the explanation of one run and of many, reading included."""

    def ask(some: Sequence[Recorded]) -> None:
        explain([read_runs(run.folder)[0] for run in some])

    one, many = in_turn([timed(lambda: ask(runs[:1])), timed(lambda: ask(runs))], repeats)
    yield BenchmarkRow("explaining one run", duration(one), value=1e3 * one, unit=" ms", most=50)
    whole = many * SWEEP / len(runs)
    counts = f"{len(runs)} in {duration(many)}"
    yield BenchmarkRow(f"explaining {SWEEP} runs", duration(whole), counts, whole, " s", most=1)
