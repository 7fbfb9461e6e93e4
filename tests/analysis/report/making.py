"""Sweeps as they lie on disk, written by hand, for reports."""

import csv
import json
from pathlib import Path

from tests.records.written import write_run

TARGETS = {
    **{"linear": "mlr.heads.Linear", "clipped_linear": "mlr.heads.ClippedLinear"},
    **{"sigmoid": "mlr.heads.Sigmoid", "softmax": "mlr.heads.Softmax"},
    **{"se": "mlr.losses.SquaredError", "bce": "mlr.losses.BinaryCrossEntropy"},
    **{"ce": "mlr.losses.CrossEntropy", "gaussian": "mlr.heads.Gaussian"},
}
POINTS = 21
EDGES = list(range(-10, 11))


def config(head: str, loss: str, **more) -> str:
    """A configuration of the pair; keys with `__` stand for a dot."""
    tree = {"head": {"_target_": TARGETS.get(head, head)}}
    tree["loss"] = {"_target_": TARGETS.get(loss, loss)}
    tree["model"] = {"_target_": "mlr.models.Linear"}
    tree["data"] = {"_target_": "mlr.data.Digits"}
    for key, value in more.items():
        group, _, name = key.partition("__")
        if name:
            tree.setdefault(group, {})[name] = value
        else:
            tree[group] = value
    return json.dumps(tree)  # YAML too


def anatomy(counts=((0, 4), (2, 2))) -> dict:
    """Two bins of measured logits, at −0.5 and 0.5, for targets 0 and 1; the mean is their z."""
    count, grad = [[0] * 22, [0] * 22], [[None] * 22, [None] * 22]
    for target, pair in enumerate(counts):
        for place, number in zip((10, 11), pair, strict=True):
            count[target][place] = number
            grad[target][place] = place - 10.5 if number else None
    return {
        "classes": {"count": [5, 5, 5]},
        "logits": {"edges": EDGES, "count": count, "grad": grad},
    }


def metrics(accuracy: float) -> dict[str, float]:
    return {
        **{"accuracy/test": accuracy, "loss/test": 1 - accuracy, "accuracy/val": accuracy},
        **{"accuracy/train": accuracy, "logit_grad/wrong": 0.5, "stuck/fraction": 0.25},
    }


def series(accuracy: float) -> dict[str, list]:
    """Accuracy rises in a straight line; the gradient on wrong samples falls to exactly 0."""
    return {
        "loss/train": [2 - at / POINTS for at in range(POINTS)],
        "accuracy/val": [
            accuracy * at / (POINTS - 1) if at % 2 == 0 else None for at in range(POINTS)
        ],
        "logit_grad/wrong": [10.0**-at if at < POINTS - 1 else 0.0 for at in range(POINTS)],
        "stuck/fraction": [0.01 * at for at in range(POINTS)],
    }


def add_run(sweep: Path, head: str, loss: str, seed: int, accuracy: float, **more) -> Path:
    """One finished run of a sweep; `more` goes into its configuration and its overrides."""
    overrides = [f"head={head}", f"loss={loss}"]
    overrides += [f"{key.replace('__', '.')}={value}" for key, value in more.items()]
    overrides.append(f"seed={seed}")
    name = ",".join([f"{head}+{loss}", *overrides[2:]]).replace("/", "_")
    return write_run(
        sweep / name,
        f"{head}+{loss}",
        seed,
        overrides,
        metrics=metrics(accuracy),
        series=series(accuracy),
        config=config(head, loss, seed=seed, **more),
        anatomy=anatomy(),
    )


def refuse(sweep: Path, *rows: tuple[str, str, str]) -> None:
    """runs.csv that tells of refused jobs: pair, name and reason."""
    with (sweep / "runs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["run", "status", "head", "loss", "reason"])
        for pair, name, reason in rows:
            table.writerow([name, "refused", *pair.split("+"), reason])


def small_sweep(sweep: Path) -> Path:
    """Three pairs, two learning rates, two seeds; a refused pair; a run that diverged."""
    sweep.mkdir()
    for pair, accuracy in (("sigmoid+se", 0.6), ("sigmoid+bce", 0.8), ("softmax+ce", 0.9)):
        for lr in (0.1, 10.0):
            for seed in (0, 1):
                gain = 0.01 * seed + (0.02 if lr == 10 else 0)
                add_run(sweep, *pair.split("+"), seed, accuracy + gain, optimizer__lr=lr)
    write_run(
        sweep / "sigmoid+se,optimizer.lr=10.0,seed=2",
        "sigmoid+se",
        2,
        ["head=sigmoid", "loss=se", "optimizer.lr=10.0", "seed=2"],
        status="diverged",
        reason="loss/train is not finite",
        series={"loss/train": [1.0, float("inf")]},
        config=config("sigmoid", "se", seed=2, optimizer__lr=10.0),
    )
    refuse(sweep, ("linear+bce", "linear+bce,seed=0", "loss=bce needs predictions in [0, 1]"))
    return sweep
