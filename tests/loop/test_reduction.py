"""|dL/dz| is that of each example's own loss, however the loss is reduced, against autograd."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.records.run_folder import read_status
from tests.loop.loops import module, table
from tests.loop.test_batch import Free

BCE = F.binary_cross_entropy_with_logits
CE = F.cross_entropy
N = 6
DRAWN = torch.Generator().manual_seed(5)
LABELS = torch.arange(N) % 3
NUMBERS = torch.randn(N, 3, generator=DRAWN)
WORDS = torch.tensor([[1, 2, 3, -100], [4, -100, -100, -100]])
HEAVY = torch.tensor([1.0, 2, 3])


def several(k):
    return (torch.rand(N, k, generator=torch.Generator().manual_seed(k)) < 0.3).float()


def recorded(folder, z, targets, loss_of, parts=1, **options):
    model = Free(*z) if isinstance(z, tuple) else z
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, folder, accumulate=parts, **options) as probe:
        for _ in range(parts):
            outputs = model.z.clone()
            loss = loss_of(outputs, targets)
            probe.watch(outputs, targets, loss)
            (loss / parts).backward()
        optimizer.step()
    return table(folder)[0], outputs.detach()


def pulls(z, each):
    """Norms (N,) of the gradients of losses (N,) of rows (N, K), one by one."""
    z = z.clone().requires_grad_()
    (own,) = torch.autograd.grad(each(z).sum(), z)
    return own.reshape(len(own), -1).norm(dim=1)


REDUCED = {
    "mean": lambda c: c.mean(),
    "rows": lambda c: c.sum(1).mean(),
    "sum / B": lambda c: c.sum() / len(c),
    "sum": lambda c: c.sum(),
}


@pytest.mark.parametrize(
    ("k", "reduced", "parts"),
    [
        *((k, reduced, 1) for k in (1, 2, 200) for reduced in ("mean", "rows", "sum / B")),
        *((200, reduced, 2) for reduced in ("mean", "rows")),
        (5, "sum", 1),
    ],
)
def test_several_labels_have_the_gradient_of_their_sum(tmp_path, k, reduced, parts):
    targets = several(k)
    loss_of = lambda z, t: REDUCED[reduced](BCE(z, t, reduction="none"))  # noqa: E731
    found, z = recorded(tmp_path / "run", (N, k), targets, loss_of, parts)
    expected = pulls(z, lambda z: BCE(z, targets, reduction="none").sum(1)).mean().item()
    assert found["logit_grad/mean"] == pytest.approx(expected, rel=1e-5)
    assert "accuracy/train" not in found  # several labels are no classes


def test_a_single_logit_has_no_axis_of_its_own(tmp_path):
    found, z = recorded(tmp_path / "run", (N,), several(1)[:, 0], BCE)
    expected = pulls(z[:, None], lambda z: BCE(z, several(1), reduction="none")).mean().item()
    assert found["logit_grad/mean"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("targets", "loss_of"),
    [
        # a weighted loss has no value that is known
        (several(3), lambda z, t, how: BCE(z, t, pos_weight=HEAVY, reduction=how)),
        (NUMBERS, lambda z, t, how: F.mse_loss(z, t, reduction=how)),
        (NUMBERS, lambda z, t, how: F.l1_loss(z, t, reduction=how)),
        (NUMBERS, lambda z, t, how: F.smooth_l1_loss(z, t, reduction=how)),
        (NUMBERS, lambda z, t, how: F.huber_loss(z, t, delta=0.3, reduction=how)),
    ],
)
@pytest.mark.parametrize("how", ["mean", "sum"])
def test_numbers_have_the_gradient_of_their_sum(tmp_path, targets, loss_of, how):
    found, z = recorded(tmp_path / "run", (N, 3), targets, lambda z, t: loss_of(z, t, how))
    expected = pulls(z, lambda z: loss_of(z, targets, "none").sum(1)).mean().item()
    assert found["logit_grad/mean"] == pytest.approx(expected, rel=1e-5)
    total = loss_of(z, targets, "sum").item()
    loss = total / (N if how == "sum" else 3 * N)
    assert found["loss/train"] == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(
    ("how", "told", "smooth"),
    [
        *((how, told, 0.0) for how in ("mean", "sum") for told in ("mean", "sum")),
        *((how, how, 0.1) for how in ("mean", "sum")),  # no value shows it
    ],
)
def test_classes_are_alike_whatever_is_told(tmp_path, how, told, smooth):
    loss_of = lambda z, t: CE(z, t, reduction=how, label_smoothing=smooth)  # noqa: E731
    found, z = recorded(tmp_path / "run", (N, 3), LABELS, loss_of, reduction=told)
    each = lambda z: CE(z, LABELS, reduction="none", label_smoothing=smooth)  # noqa: E731
    norms = pulls(z, each)
    numbers = {"loss/train": each(z).mean().item(), "logit_grad/mean": norms.mean().item()}
    wrong = z.argmax(1) != LABELS
    numbers["stuck/fraction"] = (wrong & (norms < 0.01)).float().mean().item()
    assert {tag: found[tag] for tag in numbers} == pytest.approx(numbers, rel=1e-5)


@pytest.mark.parametrize("padding", [-100, 0])
@pytest.mark.parametrize("how", ["mean", "sum"])
def test_words_are_examples_without_those_ignored(tmp_path, how, padding):
    words = torch.where(WORDS < 0, padding, WORDS)
    loss_of = lambda z, t: CE(  # noqa: E731
        z.flatten(0, 1), t.flatten(), reduction=how, ignore_index=padding
    )
    found, z = recorded(tmp_path / "run", (2, 4, 7), words, loss_of)
    there = WORDS.flatten() >= 0
    rows, labels = z.flatten(0, 1)[there], WORDS.flatten()[there]
    each = lambda z: CE(z, labels, reduction="none")  # noqa: E731
    numbers = {
        "loss/train": each(rows).mean().item(),
        "logit_grad/mean": pulls(rows, each).mean().item(),
        "accuracy/train": (rows.argmax(1) == labels).float().mean().item(),
    }
    assert {tag: found[tag] for tag in numbers} == pytest.approx(numbers, rel=1e-5)


def test_examples_of_several_numbers_have_the_gradient_of_their_sum_in_a_layer(tmp_path):
    model = module()
    inputs, targets = torch.randn(N, 5, generator=DRAWN), several(3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, tmp_path / "run", settings="full") as probe:
        z = model(inputs)
        loss = BCE(z, targets)
        sizes = []
        for i in range(N):
            own = BCE(z[i], targets[i], reduction="sum")
            grads = torch.autograd.grad(own, list(model.parameters()), retain_graph=True)
            sizes.append(torch.cat([one.flatten() for one in grads]).norm())
        probe.watch(z, targets, loss)
        loss.backward()
        optimizer.step()
    found = table(tmp_path / "run")[0]["sample_grad/mean"]
    assert found == pytest.approx(torch.stack(sizes).mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("watches", "steps", "reason"),
    [
        ((), True, "probe.watch was not called with gradients enabled"),
        (("unused",), True, "no gradient came to the logits"),
        (("used",), False, "the optimizer that the probe was given made no step"),
        (("used",), True, None),
    ],
)
@pytest.mark.filterwarnings("ignore:Nothing is recorded of step")
def test_a_run_without_a_number_says_why(tmp_path, capsys, monkeypatch, watches, steps, reason):
    monkeypatch.setattr("mlr.core.console.is_watched", lambda: True)
    model = module()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    probe = GradientProbe(model, optimizer, tmp_path / "run")
    z = model(torch.randn(N, 5))
    loss = CE(z, LABELS)
    if "used" in watches:
        probe.watch(z, LABELS, loss)
    if "unused" in watches:
        probe.watch(model(torch.randn(N, 5)), LABELS, loss)
    loss.backward()
    if steps:
        optimizer.step()
    probe.close()
    status = read_status(tmp_path / "run")
    said = capsys.readouterr().err
    if reason is None:
        assert status.reason is None
        assert "Nothing" not in said
    else:
        assert reason in status.reason
        assert f"mlr: {status.reason}" in said
