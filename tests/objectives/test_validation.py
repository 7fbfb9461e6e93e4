"""Targets and logits that objectives refuse or warn of, and those that they pass in silence."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path

import pytest
import torch

from mlr.core.checks import InputError
from mlr.objectives import Objective
from tests.looping import looped

Z = torch.randn(64, 10, generator=torch.Generator().manual_seed(0))
CLASSES = torch.arange(64) % 10
ONE_HOT = torch.eye(10)[CLASSES]


def with_label(label: int) -> torch.Tensor:
    return torch.where(torch.arange(64) == 3, label, CLASSES)


MISUSED = [
    ("softmax", "ce", Z, with_label(-1), "targets hold the class -1, but 10 outputs have the "
     "classes 0 to 9; -1 marks examples without a label: use ignore_index=-1."),
    ("softmax", "ce", Z, with_label(255), "255 marks examples without a label: use ignore_index="),
    ("softmax", "ce", Z, with_label(10), "targets hold the class 10, but 10 outputs have the "
     "classes 0 to 9; other targets than classes must be floating point, in the shape of the"),
    ("softmax", "ce", Z, CLASSES[:63], "of shape (63,) do not fit logits of shape (64, 10)"),
    ("softmax", "ce", Z.view(8, 8, 10), CLASSES[:10].expand(8, 10).clone(), "of shape (8, 10) do "
     "not fit logits of shape (8, 8, 10): these are class numbers of outputs along axis 1. Use "
     "axis=1."),
    ("linear", "se", Z[:, :1], CLASSES, "of type torch.int64 are class numbers, but loss=se takes "
     "real numbers here, in the shape (…, K) of the outputs: targets[..., None]"),
    ("gaussian", "gaussian_nll", Z, CLASSES, "of type torch.int64 are class numbers, but loss="
     "gaussian_nll takes real numbers here"),
    ("softmax", "ce", Z, torch.eye(11)[CLASSES], "K = 11 against K = 10 outputs."),
    ("softmax", "ce", Z, CLASSES.float(), "the output axis is missing, (…) against (…, K); "
     "nothing is broadcast. Use targets.long() if these are class numbers."),
    ("softmax", "ce", Z, torch.full_like(Z, 255), "targets hold 255, but loss=ce needs targets "
     "that are probabilities and sum to 1."),
    ("softmax", "ce", Z, -100 * ONE_HOT, "-100 marks examples without a label: leave them out."),
    ("softmax", "ce", Z, ONE_HOT * 2, "targets hold 2, but loss=ce needs targets that are "
     "probabilities and sum to 1. Class numbers are of an integer type and of shape (…)"),
    ("softmax", "ce", Z, torch.ones_like(Z), "targets sum to 10 over the 10 outputs, but loss=ce "
     "needs targets that are probabilities and sum to 1. For several classes at once use "
     "head=sigmoid loss=bce."),
    ("softmax", "ce", Z, ONE_HOT * 0.5, "targets sum to 0.5 over the 10 outputs"),
    ("softmax", "matching", Z, ONE_HOT * 0.5, "targets sum to 0.5 over the 10 outputs"),
    ("softmax", "ce", Z, ONE_HOT.long(), "of type torch.int64 and logits of type torch.float32"),
    ("softmax", "ce", Z.long(), ONE_HOT, "logits of type torch.int64 must be floating point"),
    ("sigmoid", "bce", Z[:, :1], torch.ones(64), "(…) against (…, 1); nothing is broadcast."),
    ("sigmoid", "bce", Z[:, :1], CLASSES, "targets hold the class 2, but one output has the "
     "classes 0 to 1; other targets"),
    ("sigmoid", "bce", Z[:, :1], -torch.ones(64, 1), "targets hold -1, but loss=bce needs targets "
     "in [0, 1]. -1 marks"),
    ("sigmoid", "matching", Z, 1.5 * ONE_HOT, "targets hold 1.5, but loss=matching needs targets"),
    ("sigmoid", "ce", Z[:, :1], torch.full((64, 1), 2.0), "targets hold 2"),
    ("gaussian", "gaussian_nll", Z, Z, "the shapes must be (…, 2K) and (…, K), 2 logits for each"),
]  # fmt: skip


@looped("way", ["forward", "losses", "gradient", "with_graph"])
@looped("head, loss, z, t, sentence", MISUSED)
def test_the_sentence_says_what_was_found_and_what_is_needed(head, loss, z, t, sentence, way):
    objective = Objective(head, loss)
    if way == "with_graph" and z.is_floating_point():
        z = z.clone().requires_grad_()
    with pytest.raises(InputError, match=re.escape(sentence)):
        (objective if way == "with_graph" else getattr(objective, way))(z, t)


def test_whole_numbers_of_a_density_are_no_classes():
    counts = CLASSES.clamp(max=1)
    for options, z in (({}, Z[:, :1]), ({}, Z[:, :3]), ({"axis": None}, Z[:, 0])):
        objective = Objective("poisson", "nll", **options)
        for function in (objective, objective.losses, objective.gradient):
            with pytest.raises(InputError, match="are class numbers, but loss=nll takes real numb"):
                function(z, counts)
    assert Objective("poisson", "nll")(Z[:, :1], counts[:, None].float()).isfinite().all()


@pytest.mark.parametrize(
    ("head", "loss", "z", "t"),
    [
        ("softmax", "ce", Z.softmax(-1), ONE_HOT), ("softmax", "se", Z.softmax(-1), ONE_HOT),
        ("sigmoid", "bce", Z.sigmoid(), ONE_HOT),
        ("sigmoid", "bce", Z[:, :1].sigmoid(), ONE_HOT[:, :1]),
        ("softmax", "ce", Z.softmax(-1).bfloat16(), ONE_HOT.bfloat16()),
        ("softmax", "ce", Z.softmax(-1).view(2, 32, 10), ONE_HOT.view(2, 32, 10)),
    ],
)  # fmt: skip
def test_probabilities_for_logits_are_warned_of_once(head, loss, z, t):
    objective = Objective(head, loss)
    with pytest.warns(UserWarning, match=f"are they predictions of head={head} already"):
        objective(z, t)
    for _ in range(20):
        objective(z, t)  # a second warning would be an error here


@pytest.mark.parametrize("method", ["__call__", "forward", "losses", "gradient"])
@pytest.mark.parametrize("inside", [False, True])
def test_the_warning_shows_the_line_of_the_user(method, inside):
    objective = Objective("softmax", "ce")
    call = getattr(objective, method)
    if inside:  # a module of the user's around it: torch's own lines lie between

        class Net(torch.nn.Module):
            def forward(self, z):
                return call(z, ONE_HOT)  # here

        net = Net()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        net(Z.softmax(-1)) if inside else call(Z.softmax(-1), ONE_HOT)  # or here
    (warning,) = seen
    assert warning.filename == __file__
    line = Path(__file__).read_text().splitlines()[warning.lineno - 1]
    assert line.endswith("# here" if inside else "# or here")


def test_they_are_seen_at_later_calls_too():
    objective = Objective("softmax", "ce")
    for _ in range(3):
        objective(Z, ONE_HOT)
    with pytest.warns(UserWarning, match="already"):  # the fourth
        objective(Z.softmax(-1), ONE_HOT)


@pytest.mark.parametrize(
    "z",
    [
        torch.zeros(64, 10), Z, Z * 0.01, torch.full((64, 10), 0.1),
        torch.rand(64, 10, generator=torch.Generator().manual_seed(0)) * 0.4,
    ],
)  # fmt: skip
def test_logits_of_a_fresh_network_are_not(z):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Objective("sigmoid", "bce")(z, ONE_HOT)
        if z[0, 0] != 0.1:  # which do sum to 1
            Objective("softmax", "ce")(z, ONE_HOT)


@pytest.mark.parametrize(
    ("head", "loss", "t"),
    [
        ("softmax", "ce", torch.softmax(Z, -1)), ("softmax", "ce", ONE_HOT * 0.9 + 0.01),
        ("softmax", "se", Z), ("softmax", "bce", (Z > 0).float()), ("linear", "se", 100 * Z),
        ("sigmoid", "bce", Z.sigmoid()), ("sigmoid", "se", Z),
    ],
)  # fmt: skip
def test_soft_and_real_targets_are_right_where_the_loss_takes_them(head, loss, t):
    assert Objective(head, loss)(Z, t).isfinite().all()


@pytest.mark.parametrize(
    "t", [[0.0, 0.25, 0.75], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3], [0.0, 0.4995, 0.5]]
)
def test_targets_at_the_ends_of_their_range_are_taken(t):
    """Next to one that is soft, so that every value is looked at; a sum is right to 1e-3."""
    targets = torch.tensor([t, [0.5, 0.25, 0.25]], dtype=torch.float64)
    z = torch.zeros(2, 3, dtype=torch.float64)
    found = Objective("softmax", "ce")(z, targets)
    assert found.tolist() == pytest.approx([math.log(3) * sum(t), math.log(3)])
    targets[1, 0] += 0.0011
    with pytest.raises(InputError, match=r"targets sum to 1\.0011 over the 3 outputs"):
        Objective("softmax", "ce")(z, targets)


@pytest.mark.parametrize(("count", "warned"), [(31, False), (32, True)])
def test_few_numbers_may_well_be_logits(count, warned):
    z = torch.linspace(0, 1, count).unsqueeze(1)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        Objective("sigmoid", "bce")(z, torch.zeros_like(z))
    assert len(seen) == warned


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_soft_targets_sum_to_one_as_well_as_they_can(dtype):
    Objective("softmax", "ce")(Z.to(dtype), torch.softmax(Z, -1).to(dtype))


def test_autocast_gives_float32_losses_of_half_logits():
    linear, objective = torch.nn.Linear(4, 10), Objective("softmax", "ce")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = linear(torch.randn(64, 4))
        losses = objective(logits, ONE_HOT)
    assert logits.dtype == torch.bfloat16
    assert losses.dtype == torch.float32
    losses.mean().backward()
    assert linear.weight.grad.isfinite().all()
    assert objective(logits, ONE_HOT.bfloat16()).dtype == torch.bfloat16  # outside of it
