"""mlr.try_remedies finds the fault, trains its remedies, and recommends what helps."""

from __future__ import annotations

import random
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import mlr
from mlr.core.checks import InputError
from mlr.remedies import trial as trials

generator = torch.Generator().manual_seed(0)
X = torch.randn(96, 2, generator=generator)
T = (X[:, :1] - X[:, 1:] > 0).float()
LOADER = list(zip(X.split(16), T.split(16), strict=True))
CLASSES = [(x, t.flatten().long()) for x, t in LOADER]
NUMBERS = [(x, x[:, :1] + 2) for x, _ in LOADER]
SGD = partial(torch.optim.SGD, lr=0.3)


class Net(nn.Module):
    """A sigmoid in the forward method, before a loss on logits."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, x):
        return torch.sigmoid(self.layer(x))


ONE = Net()


def tried(model=Net, loss=F.binary_cross_entropy_with_logits, loader=LOADER, **options):
    options = {"make_optimizer": SGD, "steps": 30} | options
    return mlr.try_remedies(model, loss, loader, **options)


@pytest.fixture(scope="module")
def cured():
    return tried()


def test_the_fault_is_named_and_its_remedy_proven(cured):
    assert cured.diagnoses[0].rule == "sigmoid_before_bce_with_logits"
    assert cured.best == ["remove the sigmoid at the end of the model"]
    stage = cured.stages[0]
    assert (stage.steps, stage.seeds, stage.base) == (30, [0, 1, 2], [])
    judgement = stage.judgement
    assert judgement.tag == "accuracy/train"
    assert judgement.mean == pytest.approx(float(T.mean()))  # the probability is above one half
    first = judgement.remedies[0]
    assert first.helps
    assert first.mean > 0.9
    assert cured.ended == ""


def test_the_program_with_the_remedy_is_there_to_be_trained(cured):
    model, (optimizer,) = cured.program.make()
    assert isinstance(model.model, Net)
    assert torch.equal(model(X), model.model.layer(X))
    assert optimizer.param_groups[0]["lr"] == 0.3


def test_it_prints_and_displays_itself(cured):
    lines = repr(cured).splitlines()
    assert lines[0] == "sigmoid_before_bce_with_logits"
    assert lines[1].strip() == cured.diagnoses[0].sentence
    assert lines[3] == "  tried     30 updates, seeds 0 to 2; accuracy/train:"
    assert lines[4].split()[:3] == ["as", "it", "is"]
    assert "helps (p" in lines[5]
    assert lines[-1] == "  write     remove the sigmoid at the end of the model"
    page = cured._repr_html_()
    assert "remove the sigmoid at the end of the model" in page
    assert cured.diagnoses[0].rule in page
    assert "<script" not in page


def test_a_remedy_that_does_not_help_is_not_recommended():
    """Targets that belong to no input: the loss of a constant is all there is."""
    drawn = torch.Generator().manual_seed(1)
    noise = [
        (torch.randn(32, 2, generator=drawn), torch.randint(2, (32,), generator=drawn))
        for _ in range(4)
    ]
    held = [(x, t[torch.randperm(32, generator=drawn)]) for x, t in noise]
    found = tried(lambda: nn.Linear(2, 2), F.cross_entropy, noise, validation=held)
    assert found.best == []
    assert not any(one.helps for one in found.remedies)
    assert len(found.remedies) >= 3
    assert repr(found).splitlines()[-1] == f"  best      none of {len(found.remedies)} helps"
    assert f"none of {len(found.remedies)} helps" in found._repr_html_()
    assert found.stages[0].judgement.tag == "accuracy/val"


def test_numbers_are_judged_by_the_explained_variance():
    found = tried(
        lambda: nn.Linear(2, 1), F.mse_loss, NUMBERS, make_optimizer=partial(SGD, lr=1e-6)
    )
    judgement = found.stages[0].judgement
    assert judgement.tag == "explained variance/train"
    assert judgement.mean == 0  # no better than a constant
    (best,) = [one for one in found.remedies if one.remedy == found.best[-1]]
    assert best.mean > 0.9


def test_a_step_of_the_users_own_is_tried_against_the_plain_one():
    def step(model, optimizer, inputs, targets, watch):
        outputs = model(inputs)
        loss = F.cross_entropy(outputs, targets)
        watch(outputs, targets, loss)
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()

    found = tried(lambda: nn.Linear(2, 2), F.cross_entropy, CLASSES, step=step)
    assert found.diagnoses[0].rule == "zero_grad_misplaced"
    assert found.best[0].startswith("optimizer.zero_grad(); loss.backward(); optimizer.step()")


def test_a_factory_of_model_and_optimizer():
    def make():
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        return model, torch.optim.SGD(model[0].parameters(), lr=0.3)

    found = tried(make, make_optimizer=None)
    assert found.diagnoses[0].rule == "parameters_missing"
    assert "optimizer = torch.optim.…(model.parameters())" in found.remedies[0].remedy
    assert found.best[0] == found.remedies[0].remedy


def test_what_is_left_is_tried_on_top_of_what_helps():
    def make():
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Sigmoid())
        return model, torch.optim.SGD(model[0].parameters(), lr=0.3)

    found = tried(make, make_optimizer=None)
    first, second = found.stages[:2]
    assert found.best[0] == "remove the sigmoid at the end of the model"
    assert found.best[1].startswith("optimizer = torch.optim.…(model.parameters())")
    assert (first.base, second.base) == ([], found.best[:1])
    assert second.judgement.mean == first.judgement.remedies[0].mean  # not trained again
    assert "  then      30 updates" in repr(found)
    assert f"with {found.best[0]}" in repr(found)


def test_nothing_of_the_users_is_changed():
    made = []

    def make():
        made.append(Net())
        torch.rand(1), np.random.rand(), random.random()
        return made[-1]

    data = torch.utils.data.TensorDataset(X, T)
    own = torch.Generator().manual_seed(5)
    loader = torch.utils.data.DataLoader(data, 16, shuffle=True, generator=own)
    torch.manual_seed(3)
    states = torch.get_rng_state(), own.get_state(), random.getstate()
    numpy = np.random.get_state()[1].copy()
    with torch.no_grad():  # as somebody may be
        tried(make, loader=loader, steps=6)
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(own.get_state(), states[1])
    assert random.getstate() == states[2]
    assert np.array_equal(np.random.get_state()[1], numpy)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in made)
    assert torch.equal(LOADER[0][0], X[:16])


def test_the_same_call_gives_the_same_numbers(cured):
    again = tried()
    assert again.remedies == cured.remedies


def test_ctrl_c_gives_what_is_known(monkeypatch):
    calls = 0

    def interrupted(*arguments):
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return F.binary_cross_entropy_with_logits(*arguments)

    found = tried(loss=interrupted, steps=4)
    assert found.ended == "interrupted"
    assert found.best == []
    assert repr(found).splitlines()[-1].strip().startswith("ended     interrupted")


def test_the_time_ends_it(monkeypatch):
    ticks = iter(range(10**6))
    monkeypatch.setattr(trials, "monotonic", lambda: next(ticks))
    monkeypatch.setattr("mlr.remedies.program.monotonic", lambda: next(ticks))
    found = tried(steps=4, seconds=30)
    assert found.ended == "stopped after 30 seconds"
    assert len(found.stages) == 1


def test_without_steps_the_time_bounds_them(monkeypatch):
    monkeypatch.setattr(trials, "STEPS", 9)
    assert tried(steps=None).stages[0].steps == 9


def test_a_remedy_that_cannot_be_trained_is_told(monkeypatch):
    def refuses(outputs, targets):
        if float(outputs.min()) < 0 or float(outputs.max()) > 1:
            raise ValueError("no probabilities")
        return F.binary_cross_entropy_with_logits(outputs, targets)

    found = tried(loss=refuses)
    refused = [one for one in found.remedies if "cannot be trained" in one.text]
    assert refused[0].text == "cannot be trained: ValueError: no probabilities"
    assert not refused[0].helps


def test_an_error_of_the_program_itself_is_the_users():
    with pytest.raises(ZeroDivisionError):
        tried(loss=lambda outputs, targets: 1 / 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loader": iter(LOADER)}, "^loader must be readable many times, as a DataLoader"),
        ({"loader": 3}, "and is int"),
        ({"validation": iter(LOADER)}, "^validation must be readable many times"),
        ({"loader": []}, "gives no batch"),
        ({"loader": [{"x": X}]}, "^A batch must be a pair of inputs and targets, and is dict"),
        ({"loader": [(X, X, T)]}, "and is list of 3|and is tuple of 3"),
        ({"loader": [(X, 1)]}, "^Targets must be a tensor, and are int"),
        ({"make_optimizer": None}, "^An optimizer is missing: give make_optimizer="),
        ({"model": lambda: ONE}, "must make a new model in each call"),
        ({"model": lambda: F.relu}, "must give a torch.nn.Module, and gives function"),
        ({"steps": 0}, "steps"),
        ({"seconds": 0}, "^seconds=0 must be above 0"),
        ({"loss": lambda outputs, targets: 1.0}, "^The loss must be a tensor, and is float"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(options, said):
    with pytest.raises(InputError, match=said):
        tried(**options)
