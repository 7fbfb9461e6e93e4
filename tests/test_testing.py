"""The helper for pytest passes silently, or says the fault and the line that mends it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import mlr
from mlr.core.checks import InputError
from mlr.testing import assert_learns

torch.manual_seed(0)
X = torch.randn(24, 6)
T = X[:, :3].argmax(1)
CE = nn.CrossEntropyLoss()
PAGE = (Path(__file__).parents[1] / "mlr" / "docs" / "check.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"<!-- example: (\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))


def network(*after):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 3), *after)


def refusal(*arguments, **options):
    with pytest.raises(AssertionError) as raised:
        assert_learns(*arguments, **options)
    return raised.value


def test_a_sound_program_passes_and_is_as_before():
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    before = [own.detach().clone() for own in model.parameters()]
    random = torch.get_rng_state()
    assert assert_learns(model, CE, (X, T), optimizer, steps=40) is None
    assert torch.equal(torch.get_rng_state(), random)
    assert all(map(torch.equal, before, model.parameters()))
    assert all(own.grad is None for own in model.parameters())
    assert not optimizer.state


def test_a_fault_says_sentence_evidence_and_line():
    model = network(nn.Softmax(dim=1))
    error = refusal(model, CE, (X, T), steps=5)
    (first, *_) = mlr.check(model, CE, (X, T))
    rule, said, evidence, write, *_ = str(error).splitlines()
    assert (rule, said.strip()) == (first.rule, first.sentence)
    assert evidence.split()[0] == "evidence"
    assert write.split(maxsplit=1) == ["write", first.remedy]
    assert str(error).splitlines()[-1].split() == ["also", "batch_not_learned"]


def test_a_refusal_of_torch_is_chained():
    error = refusal(network(), CE, (X, T.float()))
    assert isinstance(error.__cause__, RuntimeError)
    assert "targets = targets.long()" in str(error)


def test_a_batch_that_is_not_learned():
    model = network()
    slow = torch.optim.Adam(model.parameters(), lr=1e-5)
    assert str(refusal(model, CE, (X, T), slow, steps=10)).startswith("batch_not_learned")
    assert_learns(model, CE, (X, T), slow, steps=0)
    assert_learns(model, CE, (X, T), slow, steps=10, ignore=["batch_not_learned"])
    with pytest.raises(InputError, match="batch_not_learned"):
        assert_learns(model, CE, (X, T), slow, steps=10, ignore=["batch_not_lerned"])


def test_validation_is_compared():
    error = refusal(network(), CE, (X, T), validation=(X[:9], T[:9]), steps=0)
    assert str(error).startswith("validation_in_training")


def test_it_says_the_same_each_time():
    model = network(nn.Tanh())  # with dropout, and a range of outputs as evidence
    slow = torch.optim.Adam(model.parameters(), lr=1e-5)
    texts, checked = set(), set()
    for _ in range(3):
        torch.rand(1)  # another state of the generator
        texts.add(str(refusal(model, CE, (X, T), slow, steps=6)))
        checked.add(repr(mlr.check(model, CE, (X, T), slow)))
    assert len(texts) == 1 < len(checked)


def test_the_examples_of_the_page_run(tmp_path):
    scope: dict = {}
    exec(EXAMPLES["check.py"], scope)
    assert [one.rule for one in scope["found"]] == ["targets_of_wrong_type"]
    exec(EXAMPLES["test_model.py"], scope)
    scope["test_the_model_learns"]()
    exec(EXAMPLES["check_validation.py"], scope)
    assert list(scope["found"]) == []
