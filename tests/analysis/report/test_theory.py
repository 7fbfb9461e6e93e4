from __future__ import annotations

from math import exp, log

import pytest

from mlr.analysis.report.charts import grid, measured, theory
from mlr.analysis.report.content import PairPanel, ReportGroup
from mlr.data.inputs import Description
from mlr.records.reading import Recorded, read_runs
from tests.analysis.report.making import anatomy, config
from tests.records.written import write_run


def group(folder, head: str, loss: str, **more) -> ReportGroup:
    write_run(
        folder / "run", f"{head}+{loss}", config=config(head, loss, **more), anatomy=anatomy()
    )
    return ReportGroup(PairPanel("", f"{head}+{loss}"), {}, read_runs(folder))


def at(values, z: float) -> float:
    return values[grid().index(z)]


def test_an_output_that_stands_alone(tmp_path):
    found = theory(group(tmp_path, "sigmoid", "se"))
    y = 1 / (1 + exp(2))
    assert found["outputs"] == 1
    assert at(found["loss"][1], -2.0) == pytest.approx((1 - y) ** 2 / 2, rel=1e-3)
    assert at(found["gradient"][1], -2.0) == pytest.approx((y - 1) * y * (1 - y), rel=1e-3)
    assert at(found["gradient"][0], -2.0) == pytest.approx(y * y * (1 - y), rel=1e-3)


def test_a_softmax_is_drawn_against_the_other_logits(tmp_path):
    """Of which it is a sigmoid."""
    found = theory(group(tmp_path, "softmax", "ce"))
    y = 1 / (1 + exp(-3))
    assert found["outputs"] == 3  # so many classes were counted
    assert at(found["loss"][1], 3.0) == pytest.approx(-log(y), rel=1e-3)
    assert at(found["gradient"][1], 3.0) == pytest.approx(y - 1, rel=1e-3)
    assert at(found["gradient"][0], 3.0) == pytest.approx(y, rel=1e-3)
    assert at(found["loss"][0], 3.0) == pytest.approx(-log((1 - y) / 2), rel=1e-3)


@pytest.mark.parametrize(
    ("head", "loss", "why"),
    [
        ("my_package.MyHead", "se", "not in torch.nn"),
        ("gaussian", "se", "two logits"),
        ("sigmoid", "mlr.losses.NoSuchLoss", "mlr.losses.NoSuchLoss"),
    ],
)
def test_what_cannot_be_drawn_says_why(tmp_path, head, loss, why):
    assert why in theory(group(tmp_path, head, loss))["why"]


def test_a_run_without_configuration_says_why(tmp_path):
    write_run(tmp_path / "run")
    assert (
        "head._target_"
        in theory(ReportGroup(PairPanel("", "sigmoid+se"), {}, read_runs(tmp_path)))["why"]
    )


def test_measured_points_are_means_over_all_outputs_of_all_runs(tmp_path):
    runs = [
        Recorded(tmp_path, {"anatomy": anatomy(counts)})
        for counts in (((1, 3), (0, 0)), ((3, 1), (0, 2)))
    ]
    runs[1].entries["anatomy"]["logits"]["grad"][0][10] = -1.5
    zeros, ones = measured(runs)
    assert zeros == [[-0.5, pytest.approx((-0.5 - 3 * 1.5) / 4), 0.5], [0.5, 0.5, 0.5]]
    assert ones == [[0.5, 0.5, 1.0]]


def test_runs_with_other_bins_are_not_added_to_them(tmp_path):
    first, other = (Recorded(tmp_path, {"anatomy": anatomy()}) for _ in range(2))
    other.entries["anatomy"]["logits"]["edges"] = [2 * edge for edge in range(-10, 11)]
    assert measured([first, other]) == measured([first])


def test_the_open_bins_stand_half_a_bin_beyond_their_edge(tmp_path):
    one = Recorded(tmp_path, {"anatomy": anatomy()})
    table = one.entries["anatomy"]["logits"]
    for place in (0, 21):
        table["count"][0][place], table["grad"][0][place] = 2, 0.25
    zeros, _ = measured([one])
    assert [z for z, _, _ in zeros] == [-10.5, 0.5, 10.5]
    assert zeros[0] == [-10.5, 0.25, 0.25]  # 2 of 8


def test_the_grid_has_all_whole_and_half_numbers():
    assert (grid()[0], grid()[-1], len(grid())) == (-10, 10, 321)
    assert {at / 2 for at in range(-20, 21)} <= set(grid())


def test_runs_without_anatomy_have_no_points(tmp_path):
    assert measured([Recorded(tmp_path, {})]) == [[], []]
    assert measured([Recorded(tmp_path, {"anatomy": {"examples": 3}})]) == [[], []]


def options(folder, head: str, loss: str, given: dict, classes: int = 3, **numbers) -> dict:
    own = group(folder, head, loss)
    (run,) = own.runs
    run.config["loss"].update(given)
    (run.folder / "inputs.json").write_bytes(
        Description((2,), classes, **{name: tuple(own) for name, own in numbers.items()}).encode()
    )
    return theory(own)


def test_options_of_the_objective_are_in_the_curves(tmp_path):
    found = options(
        *(tmp_path / "a", "sigmoid", "bce", {"pos_weight": "balanced", "weight": [2, 5]}),
        pos_weight=[3.0],
        class_weights=[2.0, 5.0],
        classes=2,
    )
    y = 1 / (1 + exp(2))
    assert at(found["loss"][1], -2.0) == pytest.approx(-5 * 3 * log(y), rel=1e-3)
    assert at(found["gradient"][1], -2.0) == pytest.approx(5 * 3 * (y - 1), rel=1e-3)
    assert at(found["gradient"][0], -2.0) == pytest.approx(2 * y, rel=1e-3)
    given = {"label_smoothing": 0.3, "temperature": 2.0, "prior": "data"}
    found = options(tmp_path / "b", "softmax", "ce", given, prior=[0.5, 0.25, 0.25])
    # the others are equal, so that their prior is a half in all

    y = exp(1) * 0.5 / (exp(1) * 0.5 + 2 * exp(-0.5 * log(2)) * 0.25)
    assert at(found["gradient"][1], 2.0) == pytest.approx((y - 0.8) / 2, rel=1e-3)
    assert at(found["gradient"][0], 2.0) == pytest.approx((y - 0.1) / 2, rel=1e-3)
    assert "inputs.json" in theory(replaced(tmp_path / "c"))["why"]


def replaced(folder) -> ReportGroup:
    own = group(folder, "sigmoid", "bce")
    own.runs[0].config["loss"]["pos_weight"] = "balanced"
    return own
