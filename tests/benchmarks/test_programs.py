"""Programs that judge the diagnosis: each has its fault, fails by it, and learns without."""

from __future__ import annotations

import inspect
import math
import re
import warnings
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn import functional

from mlr import GradientProbe
from mlr.analysis.explain.diagnose import EVERY_RULE
from mlr.benchmarks.programs import (
    blind,
    data,
    drawn_head_loss,
    drawn_look_alikes,
    drawn_others,
    head_loss_binary,
    head_loss_classes,
    head_loss_numbers,
    look_alikes,
    loop,
    material,
    network,
)
from mlr.benchmarks.programs.case import Faulty, LookAlike, unwatched
from mlr.benchmarks.programs.corpus import FAULTY, LOOK_ALIKES
from mlr.benchmarks.programs.faults import FAULTS, MISMATCHES, RULES, rules_of
from tests.looping import looped

READ = (
    *(head_loss_classes, head_loss_binary, head_loss_numbers),
    *(loop, network, data, look_alikes),
    *(drawn_head_loss, drawn_others, drawn_look_alikes),
)
BLIND = [
    import_module(found.name)
    for found in walk_packages(blind.__path__, f"{blind.__name__}.")
    if not found.ispkg and not found.name.endswith(".material")
]
SOURCE = re.compile(
    r"https://github\.com/[\w.-]+/[\w.-]+/(issues|pull)/\d+(#[\w-]+)?"
    r"|https://(stackoverflow|(stats|ai|datascience)\.stackexchange)\.com/questions/\d+(/[\w-]+)?"
    r"|https://discuss\.(pytorch\.org|huggingface\.co)/t/(\d+|[\w-]+/\d+(/\d+)?)"
    r"|http://ansaurus\.com/question/\d+-[\w-]+"
    r"|https?://(medium\.com|naadispeaks\.blog|cloud\.tencent\.com|www\.dtcms\.com|xiaobeizi\.cn"
    r"|www\.engineermaxxing\.com)/[\w-]+/[\w./-]+"
)
"""Addresses of published questions, pull requests and articles; no page of a project."""
KINDS = {
    "mismatches": [one for one in FAULTY if one.faults[0] in MISMATCHES],
    "other faults": [one for one in FAULTY if one.faults[0] not in MISMATCHES],
    "look-alikes": LOOK_ALIKES,
}


def programs(module: ModuleType):
    """Functions of a module that open a probe."""
    for name, value in vars(module).items():
        ours = inspect.isfunction(value) and value.__module__ == module.__name__
        if ours and "watch" in inspect.signature(value).parameters:
            yield name


def test_there_are_as_many_as_the_issue_asks_for():
    assert len(FAULTY) >= 71 + 30
    assert len(LOOK_ALIKES) >= 27 + 15
    assert len(KINDS["mismatches"]) >= 28 + 12
    assert sum(one.source is not None for one in FAULTY) >= 41 + 30


def test_each_program_is_one_case_under_its_own_name():
    every = [*FAULTY, *LOOK_ALIKES]
    names = [one.name for one in every]
    assert len({*names}) == len(names)
    assert {*names} == {name for module in (*READ, *BLIND) for name in programs(module)}


@pytest.mark.parametrize("module", [*READ, *BLIND])
def test_blind_programs_are_those_of_the_folder(module):
    assert {one.blind for one in module.CASES} == {module in BLIND}


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_each_kind_was_written_blind(kind):
    assert 0.5 < sum(one.blind for one in KINDS[kind]) / len(KINDS[kind]) < 0.8


def test_faults_are_those_of_the_table():
    named = {fault for one in FAULTY for fault in one.faults}
    assert named == {*FAULTS}
    assert {*RULES} <= {*FAULTS}
    assert all(sentence.endswith(".") for sentence in FAULTS.values())
    # the two ends of the part of the table
    assert {"softmax_before_cross_entropy", "shapes_broadcast"} <= MISMATCHES
    assert "zero_grad_missing" not in MISMATCHES


def test_rules_are_those_of_the_diagnosis():
    assert {rule for rules in RULES.values() for rule in rules} <= {*EVERY_RULE}
    assert rules_of(("dead_relus", "sorted_data")) == {"dead_relus", "starved", "sorted_data"}


@looped("one", FAULTY)
def test_cases_are_well_formed(one):
    assert one.source is None or SOURCE.fullmatch(one.source), one.source
    assert one.learns - one.fails >= 0.1
    assert list(inspect.signature(one.program).parameters) == ["watch", "faulty"]
    text = inspect.getsource(one.program)
    assert "faulty" in text.partition("\n")[2]
    assert "torch.manual_seed(" in text


def test_a_source_is_a_question_or_an_article():
    no_source = (
        *("https://github.com/pytorch/pytorch", "https://github.com/a/b/blob/main/train.py"),
        *(
            "https://stackoverflow.com/questions",
            "https://discuss.pytorch.org/t/",
            "https://a.org/x",
        ),
    )
    assert not [one for one in no_source if SOURCE.fullmatch(one)]


def test_look_alikes_have_no_fault_to_switch_on():
    for one in LOOK_ALIKES:
        assert list(inspect.signature(one.program).parameters) == ["watch"]
        assert "torch.manual_seed(" in inspect.getsource(one.program)


def test_scores_are_shares_of_a_perfect_model():
    x = torch.tensor([[2.0, 0.0], [0.0, 2.0], [3.0, 0.0], [1.0, 2.0]])
    labels = torch.tensor([0, 1, 1, 1])
    assert material.accuracy(nn.Identity(), x, labels) == 0.75
    assert material.least_recall(nn.Identity(), x, labels) == pytest.approx(2 / 3)
    assert material.binary_accuracy(nn.Identity(), x[:, :1], labels, 1.5) == 0.25
    numbers = torch.tensor([[0.0], [1.0], [2.0]])
    assert material.explained(nn.Identity(), numbers, numbers) == 1
    assert material.explained(nn.Identity(), numbers, numbers.flatten()) == 1
    # squared errors 1, 1, 1 of a variance of 2/3
    assert material.explained(nn.Identity(), numbers, numbers + 1) == pytest.approx(-0.5)
    assert material.informed(torch.tensor(math.log(10)), 10) == pytest.approx(0, abs=1e-6)
    assert material.informed(torch.tensor(0.0), 10) == 1
    probable = torch.tensor([0.9]).log()
    assert material.informed(-probable) == pytest.approx(1 - math.log(1 / 0.9) / math.log(2))


def test_batches_have_each_example_once():
    x = torch.arange(10)
    torch.manual_seed(0)
    shuffled = list(material.BatchLoader(x, x + 1, size=4))
    assert [len(inputs) for inputs, _ in shuffled] == [4, 4, 2]
    assert sorted(torch.cat([inputs for inputs, _ in shuffled]).tolist()) == x.tolist()
    assert all((targets == inputs + 1).all() for inputs, targets in shuffled)
    assert not torch.equal(torch.cat([inputs for inputs, _ in shuffled]), x)
    ((first, _), *_) = material.BatchLoader(x, x, size=4, shuffle=False)
    assert first.tolist() == [0, 1, 2, 3]


@contextmanager
def _kept(folder, models, model, optimizer, **options):
    models.append(model)
    if folder is None:
        with unwatched(model, optimizer, **options) as nothing:
            yield nothing
    else:
        with GradientProbe(model, optimizer, folder, **options) as probe:
            yield probe


def observed(program, folder=None):
    """Run a program, and return its score and the bytes of its model."""
    models: list[nn.Module] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if folder else "error")
        score = program(partial(_kept, folder, models))
    (model,) = models
    state = [value.numpy().tobytes() for value in model.state_dict().values()]
    return score, state


FEW = [head_loss_binary.softmax_over_one_unit, loop.step_missing]


@pytest.mark.parametrize("program", FEW)
def test_some_fail_and_learn_and_are_the_same_when_observed(program, tmp_path):
    (one,) = [one for one in FAULTY if one.program is program]
    good, bad = one.form(False), one.form(True)
    (alone, state), (failed, _) = observed(good), observed(bad)
    assert alone >= one.learns
    assert failed <= one.fails
    assert observed(good, tmp_path / "run") == (alone, state)
    assert (tmp_path / "run" / "metrics.csv").is_file()


def ends(one: Faulty | LookAlike):
    """Forms of a program, each with whether it is the faulty one."""
    if isinstance(one, LookAlike):
        return [(one.program, False)]
    return [(one.form(faulty), faulty) for faulty in (False, True)]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("one", [*FAULTY, *LOOK_ALIKES], ids=lambda one: one.name)
def test_every_program_fails_by_its_fault_and_learns_without(one):
    for program, faulty in ends(one):
        score, _ = observed(program)
        if faulty:
            assert not score > one.fails  # NaN after a divergence
        else:
            assert score >= one.learns


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("one", [*FAULTY, *LOOK_ALIKES], ids=lambda one: one.name)
def test_no_program_is_changed_by_its_probe(one, tmp_path):
    for program, faulty in ends(one):
        score, state = observed(program)
        seen, seen_state = observed(program, tmp_path / str(faulty))
        assert repr(seen) == repr(score)  # NaN, too
        assert seen_state == state


def test_nothing_is_done_without_a_probe():
    with unwatched(nn.Linear(1, 1), torch.optim.SGD([torch.zeros(1)], 0.1)) as nothing:
        outputs = torch.ones(2, 1, requires_grad=True)
        loss = functional.mse_loss(outputs, torch.zeros(2, 1))
        assert nothing.watch(outputs, torch.zeros(2, 1), loss) is None
