from __future__ import annotations

import re
from itertools import product
from statistics import mean
from types import SimpleNamespace

import pytest
import yaml

from mlr.app.config.output_paths import CONFIGS
from mlr.lecture.lab import Lab
from mlr.lecture.published import noise
from tests.lecture.published.support import need_mnist

README = """
| CE              | **99.1±0.1** | **98.8±0.0** | **98.6±0.0** | 98.0±0.1  |
| linear          | 95.0±3.5  | 98.5±0.1  | 98.2±0.0  | 97.6±0.0  |
| GCE             | 98.8±0.0  | 98.7±0.0  | 98.5±0.0  | **98.1±0.0** |
| PHuber-CE       | 99.0±0.0  | 98.8±0.1  | 98.5±0.1  | 97.6±0.0  |
"""
"""Four rows of the table in github.com/dmizr/phuber @ 0df9cf94."""
ACCURACIES = {
    "CE": ((96.0, 97.0), (95.0, 95.0), (94.0, 94.0), (91.0, 92.0)),
    "GCE": ((95.0, 95.0), (95.0, 95.0), (94.0, 94.5), (92.0, 93.0)),
    "linear": ((80.0, 90.0),) * 4,
    "PHuber-CE": ((90.0, 90.0),) * 4,
}


def test_the_published_table_is_quoted():
    rows = [line.strip("|\n ").split("|") for line in README.strip().splitlines()]
    quoted = {
        row[0].strip(): tuple(float(cell.strip(" *").partition("±")[0]) for cell in row[1:])
        for row in rows
    }
    assert quoted == noise.PUBLISHED


def accuracy(loss: str, q: float, share: float, seed: int) -> float:
    """A number that tells the run, and in the order of the published table."""
    ahead = {"ce": 0.5 - share, "phuber_ce": -0.1, "gce": 0.2 * (1 - q)}[loss]
    return 0.9 + 0.05 * ahead + 0.001 * seed


class Pretended:
    """Lab whose runs have the accuracy of their overrides, in the order in which Hydra's are."""

    def __init__(self):
        self.typed = []

    def sweep(self, *overrides):
        self.typed.append(overrides)
        given = dict(word.split("=", 1) for word in overrides)
        (first, last) = map(int, re.findall(r"\d+", given["seed"]))
        seeds = [str(seed) for seed in range(first, last)]
        values = {key: value.split(",") for key, value in given.items()} | {"seed": seeds}
        jobs = [dict(zip(values, job, strict=True)) for job in product(*values.values())]
        return [
            SimpleNamespace(
                metrics={
                    "accuracy/test": accuracy(
                        job["loss"],
                        float(job.get("loss.q", 0.7)),
                        float(job["data.label_noise"]),
                        int(job["seed"]),
                    )
                },
                command="",
                whole=CONFIGS,
            )
            for job in jobs
        ]


def test_each_number_is_of_its_own_loss_noise_and_seeds():
    lab = Pretended()
    answer = noise.noisy_labels(lab)
    assert answer.holds
    named = {"CE": ("ce", 0.7), "GCE": ("gce", 0.7), "linear": ("gce", 1.0)}
    named["PHuber-CE"] = ("phuber_ce", 0.7)
    rows = {row.what: row for row in answer.rows}
    for loss, share in product(noise.PUBLISHED, (0.0, 0.2, 0.4, 0.6)):
        row = rows[f"{loss}, {100 * share:.0f} % wrong labels: test accuracy, mean of 3 seeds"]
        here = [100 * accuracy(*named[loss], share, seed) for seed in (0, 1, 2)]
        assert row.ours == pytest.approx(mean(here))
        assert row.published == noise.PUBLISHED[loss][round(share / 0.2)]
    assert len(answer.rows) == 16 + 4
    assert all("experiment=noisy_labels" in words for words in lab.typed)


def test_margins_and_claims_follow_from_the_accuracies():
    answer = noise.answer_of(ACCURACIES)
    margins = [row for row in answer.rows if row.what.startswith("GCE − CE")]
    assert [row.published for row in margins] == pytest.approx([-0.3, -0.1, -0.1, 0.1])
    assert [row.ours for row in margins] == pytest.approx([-1.5, 0.0, 0.25, 1.0])
    assert [claim.measured for claim in answer.claims] == ["by 1.5 points", "by 1.0 points"]
    assert answer.holds
    assert "CE with right labels (96.5 %), GCE with 60 % wrong ones (92.5 %), as in" in (
        answer.sentence
    )


def test_another_order_is_reported():
    turned = noise.answer_of(ACCURACIES | {"CE": ACCURACIES["GCE"], "GCE": ACCURACIES["CE"]})
    assert [claim.holds for claim in turned.claims] == [False, False]
    assert ", not as in the published table" in turned.sentence


def test_the_shortening_is_as_told():
    text = (CONFIGS / "experiment" / "noisy_labels.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    updates = config["data"]["train_size"] * config["epochs"] // config["batch_size"]
    assert updates == 1125
    assert config["schedule"]["gamma"] ** updates == pytest.approx(0.1, rel=1e-3)
    full = 60_000 * 20 // 32
    assert full == 37_500
    assert round(full / updates) == 33
    assert round(100 * updates / full) == 3
    assert 10 ** (full / 10_000) == pytest.approx(5600, rel=0.01)
    published = float(re.search(r"schedule\.gamma=(\S+)", text)[1])
    assert published**10_000 == pytest.approx(0.1, rel=1e-5)
    told = " ".join(noise.noisy_labels.__doc__.split())
    assert "3 epochs over 12,000, 3 % of their updates" in told
    assert "to a tenth in all, not to 1/5600" in told
    titles = [picture.title for picture in noise.answer_of(ACCURACIES).pictures]
    assert titles == ["here: 1,125 updates, 2 seeds", "published: 37,500 updates"]


@pytest.mark.slow
@pytest.mark.long
def test_gce_is_ahead_with_wrong_labels_only(monkeypatch, tmp_path):
    need_mnist(monkeypatch)
    assert noise.noisy_labels(Lab(tmp_path)).holds
