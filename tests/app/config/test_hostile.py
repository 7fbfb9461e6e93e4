"""Files of others are data: nothing in them is run, whatever they say."""

from __future__ import annotations

import pytest

from tests.app.hostile_configs import detours, places, resolvers, sections, targets, texts
from tests.app.hostile_runs import GENUINE, checkpoints, genuine, run_folders
from tests.app.judging import Case, Judge, problems


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    judge = Judge(tmp_path_factory.mktemp("judged"), "mlr.app.cli.command")
    yield judge
    judge.close()


@pytest.fixture(scope="module")
def judge_of_all(tmp_path_factory):
    warm = ("mlr.app.cli.command", "mlr.analysis.report.command", "mlr.training.checkpoint")
    judge = Judge(tmp_path_factory.mktemp("judged"), *warm)
    yield judge
    judge.close()


def some(cases, *names):
    return [case for case in cases if case.name in names]


FEW = [
    *some(targets(), "target head evil_mod.Mark", "target model os.system"),
    *some(sections(), "main callback evil_mod.Mark", "experiment job_logging factory"),
    *some(sections(), "searchpath params allow", "shown help"),
    *some(detours(), "header hydra", "node", "allow in main", "rerun, short"),
    *some(resolvers(), "resolver 0", "resolver 4"),
    *some(places(), "chosen run.dir by a key", "chosen sweep.dir up"),
    *some(texts(), "yaml bomb", "yaml deep", "yaml apply", "yaml twice"),
]


@pytest.mark.parametrize("case", FEW, ids=lambda case: case.name)
def test_nothing_of_others_is_run(judge, case):
    assert problems(case, judge(case)) == []


@pytest.mark.parametrize(
    "name",
    ["main callback evil_mod.Mark", "main hydra_logging factory", "main job_logging factory"],
)
def test_the_judge_would_see_it(judge, name):
    (case,) = some(sections(), name)
    case = Case(case.name, case.arguments, case.files, unguarded=True)
    judged = judge(case)
    assert judged.marked
    assert any("evil_mod" in one for one in judged.seen)


PARTS = 4


@pytest.mark.faults
@pytest.mark.parametrize("part", range(PARTS))
def test_no_artefact_is_run(judge_of_all, part):
    makers = (targets, sections, detours, resolvers, texts, run_folders, places)
    cases = [case for maker in makers for case in maker()]
    assert len(cases) >= 200
    assert found(judge_of_all, cases[part::PARTS]) == {}


@pytest.mark.faults
def test_no_checkpoint_is_run_or_believed(judge_of_all):
    assert found(judge_of_all, list(checkpoints(genuine(judge_of_all)))) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["metrics.csv", ".lock", "status.json"])
def test_no_link_of_others_is_written_through(train, trained_before, tmp_path, name):
    kept = tmp_path / "kept.txt"
    kept.write_text("mine")
    trained_before("run", *GENUINE)
    (tmp_path / "run" / name).unlink()
    if name == "status.json":
        kept.write_text('{"status": "interrupted"}')
    before = kept.read_bytes()
    (tmp_path / "run" / name).symlink_to(kept)
    finished = train(f"resume={tmp_path}/run", "epochs=3")
    assert finished.code == 3
    assert "is a link" in finished.err
    assert kept.read_bytes() == before


def found(judge, cases):
    return {case.name: wrong for case in cases if (wrong := problems(case, judge(case)))}
