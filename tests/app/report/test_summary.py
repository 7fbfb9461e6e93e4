from __future__ import annotations

import pytest

from mlr.app.report import content, summary
from mlr.app.report.quantities import told_with_spread
from tests.app.report.making import add_run, small_sweep
from tests.records.written import write_run


def test_a_sweep_in_sentences(tmp_path):
    found = content.read(small_sweep(tmp_path / "sweep"))
    assert summary.verdict(found) == (
        "softmax + CE is best with 92.5 ± 0.7 % test accuracy; "
        "sigmoid + SE is last with 60.5 ± 0.7 %."
    )
    assert summary.counts(found) == (
        "13 runs of 3 pairs of head and loss, 3 seeds: 12 done, 1 diverged. 1 job refused."
    )
    assert summary.spread(found) == (
        "Means over seeds range from 60.5 % to 92.5 % over 6 settings."
    )


def test_a_lead_that_could_be_chance_is_called_so(tmp_path):
    for seed, (one, other) in enumerate(((0.8, 0.7), (0.7, 0.8), (0.81, 0.7))):
        add_run(tmp_path, "sigmoid", "bce", seed, one)
        add_run(tmp_path, "softmax", "ce", seed, other)
    text = summary.verdict(content.read(tmp_path))
    assert text.endswith("test accuracy; its lead over each other pair could be chance.")


def test_one_run(tmp_path):
    found = content.read(add_run(tmp_path, "sigmoid", "se", 0, 0.5))
    assert summary.verdict(found) == "sigmoid + SE: 50.0 % test accuracy."
    assert summary.counts(found) == "1 run of 1 pair of head and loss: 1 done, 0 diverged."
    assert summary.spread(found) == ""


def test_losses_of_another_kind_are_not_compared(tmp_path):
    for loss, value in (("se", 0.1), ("mae", 0.2)):
        metrics = {"loss/test": value}
        write_run(tmp_path / loss, f"linear+{loss}", overrides=[f"loss={loss}"], metrics=metrics)
    assert summary.verdict(content.read(tmp_path)) == "linear + SE is best with 0.1 test loss."


def test_nothing_has_ended(tmp_path):
    write_run(tmp_path / "run", status="running")
    found = content.read(tmp_path)
    assert summary.verdict(found) == "No run has ended yet."
    assert "1 running, 0 diverged" in summary.counts(found)


@pytest.mark.parametrize(
    ("mean", "std", "share", "text"),
    [
        (0.5, float("nan"), True, "50.0 %"),
        (0.96444, 0.01, True, "96.4 ± 1.0 %"),
        (0.012345, 0.001, False, "0.0123 ± 0.001"),
    ],
)
def test_numbers_with_their_spread(mean, std, share, text):
    assert told_with_spread(mean, std, share) == text
