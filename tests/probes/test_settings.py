from __future__ import annotations

import math
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from mlr.core.checks import InputError
from mlr.probes.families import families_on
from mlr.probes.schedules import Schedule
from mlr.probes.settings import NAMES, ProbeSettings, presets

CONFIGS = Path(__file__).parents[2] / "configs" / "probes"
NOTHING = families_on("off") | {"histograms": False}
BASIC = {"points": 200, "histograms": 50, "figures": 1, "threshold": 0.01}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("basic", BASIC),
        ("full", BASIC | {"figures": 6}),
        ("off", BASIC | {"points": 0, "histograms": 0, "figures": 0}),
    ],
)
def test_the_presets_are_those_of_the_configuration(name, options):
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert config.pop("_target_") == "mlr.probes.ProbeSettings"
    assert config.pop("defaults") == ["_self_", f"/families/{name}@_here_"]
    assert config == options
    assert asdict(presets()[name]) == options | families_on(name)


def test_the_basic_families_are_the_defaults_and_the_full_ones_all():
    assert asdict(ProbeSettings()) == asdict(presets()["basic"])
    basic = {"performance", "logit_gradient", "saturation", "gradient_norm", "nonfinite"}
    assert {*presets()["basic"].families} == basic
    assert presets()["full"].families == NAMES
    assert presets()["off"].due(100) == {}


@pytest.mark.parametrize("total", [1, 7, 199, 200, 201, 640, 100_000])
def test_about_two_hundred_points_whatever_the_length(total):
    steps = Schedule.of("probes.points", 200).steps(total)
    assert steps[0] == 0
    assert steps[-1] == total - 1
    assert min(total, 100) <= len(steps) <= 201
    # all gaps are equal but the last, which ends at the last step
    assert len({after - before for before, after in pairwise(steps[:-1])}) <= 1


@pytest.mark.parametrize("text", ["every:10", "every(10)", " every:10"])
def test_every_tenth_step_and_the_last(text):
    assert Schedule.of("probes.points", text).steps(32) == [0, 10, 20, 30, 31]


def test_log_spaced_steps_grow_by_equal_factors():
    steps = Schedule.of("probes.points", "log_spaced:4").steps(1000)
    assert steps == [0, 9, 99, 999]
    for text in ("log_spaced:1", "log_spaced:2"):
        assert Schedule.of("probes.points", text).steps(1000) == [0, 999]
    many = Schedule.of("probes.points", "log_spaced:200").steps(100_000)
    assert many[:3] == [0, 1, 2]
    assert many[-1] == 99_999
    assert 130 < len(many) <= 200


@pytest.mark.parametrize("text", ["every:1", "log_spaced:5", 3, 0])
@pytest.mark.parametrize("total", [0, 1, 2, 5])
def test_steps_are_of_the_run_and_ascend(text, total):
    steps = Schedule.of("probes.points", text).steps(total)
    assert steps == sorted(set(steps) & set(range(total)))


def test_of_an_unknown_length_the_first_steps_are_all_there_and_later_ones_fewer():
    schedule = Schedule.of("probes.points", 200)
    due = [step for step in range(50_000) if schedule.due(step)]
    assert due[:33] == [*range(8), *range(8, 208, 8)]
    ends = [200, 500, 5_000, 50_000]
    assert [sum(step < length for step in due) for length in ends] == [32, 64, 147, 231]
    spaced = Schedule.of("probes.points", "log_spaced:60")
    found = [step for step in range(1_000_000) if spaced.due(step)]
    assert found[:3] == [0, 1, 2]
    assert len(found) <= 61
    assert not any(Schedule.of("probes.points", 0).due(step) for step in range(10))
    seven = Schedule.of("probes.points", 7)  # the first, the eighth, then at twice the step
    assert [step for step in range(70) if seven.due(step)] == [0, 8, 16, 32, 64]
    tenth = Schedule.of("probes.points", "every:10")
    assert [step for step in range(35) if tenth.due(step)] == [0, 10, 20, 30]


@pytest.mark.parametrize(
    "text", [0, 1, 4, 5, 7, 26, 200, 999, "every:1", "every:7", "log_spaced:9"]
)
def test_of_an_unknown_length_each_selected_step_is_followed_by_the_next(text):
    schedule = Schedule.of("probes.points", text)
    due = [step for step in range(3_000) if schedule.due(step)]
    for step in range(due[-2] if len(due) > 2 else 0):
        assert schedule.following(step) == next(one for one in due if one > step)
    if len(due) < 2:
        assert schedule.following(0) == math.inf


def test_of_an_unknown_length_six_log_spaced_points_end_the_decades_of_a_million():
    spaced = Schedule.of("probes.points", "log_spaced:6")
    found = [step for step in range(1_000_000) if spaced.due(step)]
    assert found == [0, 9, 99, 999, 9_999, 99_999, 999_999]


@pytest.mark.parametrize(
    "value", ["sometimes", "every", "every:0", "every:-1", -1, 1.5, "10", None]
)
def test_what_is_no_schedule_is_refused(value):
    with pytest.raises(InputError, match=r"probes\.points=.* must be a schedule: 200 \(about"):
        ProbeSettings(points=value)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("classes", "daily", "probes.classes=daily must be a schedule"),
        ("histograms", -1, "probes.histograms=-1 must be a schedule"),
        ("threshold", 0.0, "probes.threshold=0.0 must be"),
        ("figures", -1, "probes.figures=-1 must be"),
    ],
)
def test_settings_out_of_range_are_refused(field, value, message):
    with pytest.raises(InputError, match=message):
        ProbeSettings(**{field: value})


def test_each_family_has_a_schedule_of_its_own():
    settings = ProbeSettings(**NOTHING | {"points": "every:10", "classes": True, "units": 2})
    due = settings.due(25)
    assert {step: set(names) for step, names in due.items()} == {
        0: {"classes", "units"},
        10: {"classes"},
        13: {"units"},
        20: {"classes"},
        24: {"classes", "units"},
    }
    assert list(due) == sorted(due)
    assert settings.families == ("classes", "units")


def test_histograms_stand_at_steps_that_have_numbers():
    due = ProbeSettings(points=200, histograms=50).due(640)
    bars = [step for step, names in due.items() if "histograms" in names]
    assert 40 <= len(bars) <= 51
    assert all("performance" in due[step] for step in bars)
    alone = ProbeSettings(**NOTHING | {"histograms": "every:5"}).due(11)
    assert list(alone) == [0, 5, 10]


@pytest.mark.parametrize(
    ("histograms", "steps"),
    [
        (3, [0, 40, 80]),  # of 0, 10, …, 90 and 99 each fourth
        (11, [*range(0, 100, 10), 99]),
        (10, [0, 20, 40, 60, 80, 99]),
        ("every:35", [0, 35, 70, 99]),
        ("log_spaced:3", [0, 9, 99]),
        (True, [0, 20, 40, 60, 80, 99]),  # as many as the points
        (False, []),
    ],
)
def test_histograms_are_thinned_by_their_number_or_have_steps_of_their_own(histograms, steps):
    due = ProbeSettings(points=10, histograms=histograms).due(100)
    assert [step for step, names in due.items() if "histograms" in names] == steps


def test_most_steps_bounds_what_is_due():
    for points in (0, 7, 200, "every:3", "log_spaced:30"):
        settings = ProbeSettings(points=points, histograms=0)
        assert len(settings.due(100)) <= settings.most_steps(100) + 2


@pytest.mark.parametrize(
    ("points", "histograms", "most"),
    [
        (7, 5, 7),
        (7, 9, 9),
        (200, 5, 100),  # no more than there are
        ("every:3", 5, 33),
        ("every:50", 5, 5),
        ("log_spaced:30", "every:10", 30),
        (0, 0, 0),
    ],
)
def test_most_steps_are_those_of_the_densest_schedule(points, histograms, most):
    assert ProbeSettings(points=points, histograms=histograms).most_steps(100) == most
