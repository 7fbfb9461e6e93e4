"""Networks of real size: CNNs next to plain loops, and whole commands that train MLPs on MNIST."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from mlr.benchmarks.commands import TRAIN, program
from mlr.benchmarks.memory import MIB, peak_memory
from mlr.benchmarks.rows import BenchmarkRow, Ratio, duration, rounds, timed
from mlr.benchmarks.workloads import Workload, by_hand, by_mlr, make_data
from mlr.lecture.published.files import mnist_root
from mlr.models import Cnn
from mlr.training import Adam

MOST = 5
"""Most rounds, of which none warms up: a round takes up to half a minute."""
CNN = Workload(
    *("CNN of 16 and 32 maps, Adam, 9,600 images, batch 64", 9_600, 784, 10, 64, 1, Cnn()),
    optimizer=Adam(lr=0.003),
    side=28,
)
CNNS, MLPS, FEW, MANY = 4, 8, 8, 64
MLP = ("head=softmax", "loss=ce", "model=mlp", "data=mnist", "batch_size=128", "epochs=1")
FEWER_IMAGES = ("data.train_size=10000", "data.val_size=1000")
"""Memory depends on how many copies of them there are, and time on how many are trained on."""


def rows(repeats: int) -> Iterator[BenchmarkRow]:
    """Measure CNNs, then the commands, if MNIST is there."""
    repeats = min(repeats, MOST)
    yield from cnns(repeats)
    root = mnist_root()
    if root is None:
        yield BenchmarkRow("MLPs of MNIST", other="MLR_MNIST does not name a folder with MNIST")
        return
    yield commands(repeats, root)
    yield memory(root)


def cnns(repeats: int, work: Workload = CNN) -> Iterator[BenchmarkRow]:
    """Measure one CNN and several in a sweep, files included, next to the same loop."""
    data = make_data(work)
    with TemporaryDirectory() as folder:
        one, sweep, loop = rounds(
            [
                timed(partial(by_mlr, work, data, Path(folder))),
                timed(partial(by_mlr, work, data, Path(folder), runs=CNNS)),
                timed(partial(by_hand, work, data)),
            ],
            repeats,
            warm_up=False,
        )
    loops = [seconds * CNNS for seconds in loop]
    for what, own, hand, most, quantity in (
        (work.title, one, loop, 1.0, "CNN epoch ÷ hand loop"),
        (
            f"{CNNS} of them in a sweep",
            sweep,
            loops,
            0.8,
            f"{CNNS} CNNs in a sweep ÷ {CNNS} hand loops",
        ),
    ):
        yield BenchmarkRow(
            what,
            duration(median(own)),
            f"{duration(median(hand))} by hand",
            Ratio.of(own, hand),
            most=most,
            quantity=quantity,
        )


def commands(repeats: int, root: Path, work: tuple[str, ...] = MLP) -> BenchmarkRow:
    """Measure the command that trains MLPs on MNIST, next to a script that trains the same."""
    words = (*TRAIN, "--multirun", *work, f"data.root={root}", f"seed=range(0,{MLPS})")
    script = ("-m", "mlr.benchmarks.mnist_by_hand", str(root), str(MLPS))
    with TemporaryDirectory() as folder:
        here = Path(folder)
        measures = [program(here, words, MLPS), program(here, script, 0)]
        own, hand = rounds(measures, repeats, warm_up=False)
    return BenchmarkRow(
        f"{MLPS} MLPs of MNIST, whole command",
        duration(median(own)),
        f"{duration(median(hand))} by a script by hand",
        Ratio.of(own, hand),
        most=0.7,
        quantity=f"{MLPS} MLPs of MNIST, whole command ÷ hand script's whole command",
    )


def memory(root: Path, few: int = FEW, many: int = MANY) -> BenchmarkRow:
    """Measure the peak memory of a sweep over many seeds next to that over a few, three times."""
    work = (*MLP, *FEWER_IMAGES, f"data.root={root}")

    def peak(count: int) -> float:
        return peak_memory(count, work=work)[0]

    more, less = rounds([partial(peak, many), partial(peak, few)], repeats=3, warm_up=False)
    return BenchmarkRow(
        f"{many} seeds of an MLP of MNIST, peak memory",
        f"{median(more) / MIB:.0f} MiB",
        f"{median(less) / MIB:.0f} MiB of {few} seeds",
        Ratio.of(more, less),
        most=1.5,
        quantity=f"{many} seeds of an MNIST MLP: peak memory ÷ that of {few}",
    )
