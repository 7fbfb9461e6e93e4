"""Faults planted in real trainings are named first, and sound runs are left alone.

`python scripts/benchmark.py explain` does so with all of the cases.
"""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest
from hydra import compose, initialize_config_dir

from mlr.analysis.explain import RULES
from mlr.analysis.explain import explain as explained
from mlr.analysis.explain.command import command
from mlr.app.cli.command import CONFIGS, VERSION_BASE
from mlr.app.config.run_spec import make_run_spec
from mlr.app.config.schema import register_schema
from mlr.app.run.job import resolved
from mlr.app.sweep.resolvers import register_resolvers
from mlr.benchmarks import explain
from mlr.benchmarks.explain import FINE, HEALTHY, PLANTED
from mlr.benchmarks.rows import table
from mlr.objectives.compatibility import check_pair


def some(place: int):
    """A case of each rule and every twelfth sound one, in one seed; dead digits need several."""
    kinds = {rule: [case for case in PLANTED if case.rule == rule] for rule in RULES}
    few = [cases[place] for cases in kinds.values()]
    fine = FINE[6 * place :: 12]
    # whether a class dies depends on last bits, and so on the processor
    seeds = {case.rule: case.seeds if case.rule == "dead_class" else 1 for case in few}
    return [replace(case, seeds=seeds.get(case.rule, 1)) for case in (*few, *fine)]


def test_every_rule_is_planted_and_enough_runs_are():
    assert {case.rule for case in PLANTED} == {*RULES}
    assert sum(case.seeds for case in PLANTED) >= 100
    assert sum(case.seeds for case in FINE) >= 40
    assert {case.rule for case in FINE} == {HEALTHY}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("place", [0, -1])
def test_planted_faults_are_named_first_and_sound_runs_left_alone(tmp_path, place):
    judged = explain.diagnose_cases(tmp_path, some(place))
    hit_rates = explain.hit_rates(judged)
    assert {rate.rule: rate.others for rate in hit_rates if rate.others} == {}
    assert {rate.rule for rate in hit_rates} == {*RULES, HEALTHY}
    _remedies_can_be_trained(judged)


def _remedies_can_be_trained(judged):
    register_schema()
    register_resolvers()
    with initialize_config_dir(str(CONFIGS), job_name="train", **VERSION_BASE):
        for one in judged:
            for said in explained([one.run]):
                line = command(one.run, said.remedy)
                if said.rule == "not_finite":  # no override mends a model
                    assert line is None
                    continue
                assert line, said
                config = resolved(compose("train", shlex.split(line)[2:]))
                spec = make_run_spec(config)
                counts = one.run.anatomy.get("classes", {}).get("count")
                outputs = None if counts is None else spec.head.outputs(len(counts))
                check_pair(spec.head, spec.loss, outputs, regression=counts is None)


def test_the_section_tells_hits_alarms_and_times(tmp_path):
    from rich.console import Console

    cases = [replace(case, seeds=2) for case in (PLANTED[8], FINE[-2])]
    rows = list(explain.rows(1, cases))
    assert [row.kept for row in rows[:2]] == [True, True]
    assert rows[0].mlr == "2 of 2 runs"
    assert len(rows) == 4
    Console(quiet=True).print(table(rows))


def test_what_is_said_instead_is_told():
    class Run:
        pass

    case = PLANTED[0]
    judged = [
        explain.DiagnosedRun(case, Run(), "lr_too_high"),
        explain.DiagnosedRun(case, Run(), "unscaled"),
    ]
    (rate,) = explain.hit_rates(judged)
    assert (rate.right, rate.total) == (1, 2)
    assert rate.others == [f"lr_too_high: {case.overrides}"]
