"""Rows and targets that a loss reads: shifted, sliced, masked and moved outputs, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.analysis.explain import explain
from mlr.loop.layout import loss_layout
from mlr.records.reading import read_runs
from mlr.records.run_folder import read_status
from tests.loop.loops import table

CE = F.cross_entropy
B, T, K = 3, 5, 5  # as many places as classes, so that no shape tells the axis
DRAWN = torch.Generator().manual_seed(3)
Z = torch.randn(B, T, K, generator=DRAWN)
WORDS = torch.randint(K, (B, T), generator=DRAWN)
PADDED = WORDS.clone()
PADDED[0, 3:] = PADDED[2, 4:] = -100
MASK = torch.rand(B, T, generator=DRAWN) < 0.6
HEAVY = torch.tensor([1.0, 2, 3, 1, 2])


def rows(z, t, there=None):
    z, t = z.reshape(-1, K), t.reshape(-1)
    there = t >= 0 if there is None else there.reshape(-1) & (t >= 0)
    return z[there], t[there]


def masked_mean(z, t):
    each = CE(z.flatten(0, 1), t.flatten(), reduction="none") * MASK.flatten()
    return each.sum() / MASK.sum()


def shifted_inside(z, t):  # as a model of transformers computes its own loss
    later = F.pad(t, (0, 1), value=-100)[..., 1:].contiguous()
    return CE(z.float().view(-1, K), later.view(-1), ignore_index=-100)


def gathered(z, t):
    return -z.log_softmax(-1)[:, :-1].gather(-1, t[:, 1:, None]).mean()


# name: loss, targets that the probe is given, rows of outputs and targets that count
LAYOUTS = {
    "later words": (
        lambda z, t: CE(z[:, :-1].reshape(-1, K), t[:, 1:].reshape(-1)),
        WORDS,
        lambda z, t: rows(z[:, :-1], t[:, 1:]),
    ),
    "later words, classes second": (
        lambda z, t: CE(z[:, :-1].transpose(1, 2), t[:, 1:]),
        PADDED,
        lambda z, t: rows(z[:, :-1], t[:, 1:]),
    ),
    "later words, as a sum": (
        lambda z, t: CE(z[:, :-1].flatten(0, 1), t[:, 1:].flatten(), reduction="sum"),
        PADDED,
        lambda z, t: rows(z[:, :-1], t[:, 1:]),
    ),
    "later words by gather": (gathered, WORDS, lambda z, t: rows(z[:, :-1], t[:, 1:])),
    "labels shifted": (shifted_inside, PADDED, lambda z, t: rows(z[:, :-1], t[:, 1:])),
    "behind a prompt": (
        lambda z, t: CE(z[:, 1:].flatten(0, 1), t[:, 1:].flatten()),
        WORDS,
        lambda z, t: rows(z[:, 1:], t[:, 1:]),
    ),
    "the last place": (
        lambda z, t: CE(z[:, -1], t[:, -1]),
        WORDS,
        lambda z, t: rows(z[:, -1], t[:, -1]),
    ),
    "by a mask": (lambda z, t: CE(z[MASK], t[MASK]), WORDS, lambda z, t: rows(z, t, MASK)),
    "by a mask of flat words": (
        lambda z, t: CE(z.view(-1, K)[MASK.flatten()], t.flatten()[MASK.flatten()]),
        WORDS,
        lambda z, t: rows(z, t, MASK),
    ),
    "by factors of 0": (masked_mean, WORDS, lambda z, t: rows(z, t, MASK)),
    "a loss of each place": (
        lambda z, t: sum(CE(z[:, i], t[:, i]) for i in range(T)) / T,
        WORDS,
        rows,
    ),
    "a loss of some places": (
        lambda z, t: (CE(z[:, 1], t[:, 1]) + CE(z[:, 3], t[:, 3])) / 2,
        WORDS,
        lambda z, t: rows(z[:, 1::2], t[:, 1::2]),
    ),
    "given shifted": (
        lambda z, t: CE(z[:, :-1].flatten(0, 1), t.flatten()),
        WORDS[:, 1:],
        lambda z, t: rows(z[:, :-1], t),
    ),
    "given flat": (
        lambda z, t: CE(z.flatten(0, 1), t),
        PADDED.flatten(),
        rows,
    ),
    "classes second": (CE, PADDED, lambda z, t: rows(z.transpose(1, 2), t)),
    "moved": (lambda z, t: CE(z.transpose(1, 2), t), PADDED, rows),
    "moved, words first": (
        lambda z, t: CE(z.permute(1, 2, 0), t.T),
        PADDED,
        rows,
    ),
}


class Free(nn.Module):
    def __init__(self, z):
        super().__init__()
        self.z = nn.Parameter(z.clone())


def recorded(folder, z, targets, loss_of, **options):
    model = Free(z)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, folder, schedule="every:1", **options) as probe:
        for _ in range(2):
            optimizer.zero_grad()
            outputs = model.z.clone()
            loss = loss_of(outputs, targets)
            probe.watch(outputs, targets, loss)
            loss.backward()
            optimizer.step()
    return table(folder)[0]


def by_hand(z, t, **more):
    """Loss, accuracy and mean |dL/dz| of rows (N, K) with classes (N,), one by one."""
    z = z.clone().requires_grad_()
    each = CE(z, t, reduction="none", **more)
    (own,) = torch.autograd.grad(each.sum(), z)
    return {
        "loss/train": each.mean().item(),
        "accuracy/train": (z.argmax(1) == t).float().mean().item(),
        "logit_grad/mean": own.norm(dim=1).mean().item(),
    }


def close(expected):
    return pytest.approx(expected, rel=1e-5)


def test_rows_and_targets_are_those_of_the_loss(tmp_path):
    for name, (loss_of, targets, counted) in LAYOUTS.items():
        found = recorded(tmp_path / name, Z, targets, loss_of)
        expected = by_hand(*counted(Z, targets))
        assert {tag: found[tag] for tag in expected} == close(expected), name


def test_pixels_have_their_classes_where_the_loss_has_them(tmp_path):
    z = torch.randn(2, K, K, K, generator=DRAWN)
    t = torch.randint(K, (2, K, K), generator=DRAWN)
    cases = {
        "second": (CE, lambda z: z.movedim(1, -1)),
        "last": (lambda z, t: CE(z.permute(0, 3, 1, 2), t), lambda z: z),
        "third": (lambda z, t: CE(z.transpose(1, 2), t, label_smoothing=0.1), lambda z: z.mT),
    }
    for name, (loss_of, last) in cases.items():
        found = recorded(tmp_path / name, z, t, loss_of)
        axis = {"second": 1, "last": 3, "third": 2}[name]
        expected = (z.argmax(axis) == t).float().mean().item()
        assert found["accuracy/train"] == close(expected), name
        if name != "third":
            assert found["logit_grad/mean"] == close(by_hand(*rows(last(z), t))["logit_grad/mean"])


def test_outputs_with_the_classes_first(tmp_path):
    z, t = torch.randn(K, 7, generator=DRAWN), torch.arange(7) % K
    found = recorded(tmp_path / "run", z, t, lambda z, t: CE(z.T, t))
    expected = by_hand(z.T, t)
    assert {tag: found[tag] for tag in expected} == close(expected)


def test_a_batch_whose_words_are_all_ignored_is_left_out(tmp_path):
    model = Free(Z)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, tmp_path / "run", schedule="every:1") as probe:
        for targets in (PADDED, torch.full_like(WORDS, -100), PADDED):
            outputs = model.z.clone()
            loss = CE(outputs.flatten(0, 1), targets.flatten(), reduction="sum")
            probe.watch(outputs, targets, loss)
            loss.backward()
            optimizer.step()
    assert [row["step"] for row in table(tmp_path / "run")] == [0, 2]


SMOOTHED = [
    {"label_smoothing": 0.1},
    {"weight": HEAVY},
    {"weight": HEAVY, "label_smoothing": 0.2},
    {"weight": HEAVY, "label_smoothing": 0.2, "ignore_index": 1},
    {"ignore_index": 0, "label_smoothing": 0.3},
]


def test_weighted_and_smoothed_losses_are_those_of_single_examples(tmp_path):
    z, t = Z.flatten(0, 1), WORDS.flatten()
    for number, more in enumerate(SMOOTHED):
        there = t != more.get("ignore_index", -100)
        expected = by_hand(z[there], t[there], **more)
        for how in ("mean", "sum", "none"):
            loss_of = lambda z, t, how=how, more=more: CE(z, t, reduction=how, **more).sum()  # noqa: E731
            found = recorded(tmp_path / f"{number}{how}", z, t, loss_of)
            if how == "mean":  # torch divides by the weights
                expected["loss/train"] = loss_of(z, t).item()
            else:
                expected["loss/train"] = by_hand(z[there], t[there], **more)["loss/train"]
            assert {tag: found[tag] for tag in expected} == close(expected), (more, how)


def focal(z, t):
    each = CE(z, t, reduction="none")
    return (1 - (-each).exp()) ** 2 * each


def test_losses_that_no_value_shows_are_reduced_as_their_last_operation_is(tmp_path):
    z, t = Z.flatten(0, 1), WORDS.flatten()
    own = z.clone().requires_grad_()
    (grad,) = torch.autograd.grad(focal(own, t).sum(), own)
    expected = {"logit_grad/mean": grad.norm(dim=1).mean().item()}
    expected["loss/train"] = focal(z, t).mean().item()
    reduced = {
        "mean": lambda c: c.mean(),
        "sum": lambda c: c.sum(),
        "divided": lambda c: c.sum() / len(c),
        "product": lambda c: c.sum() * (1 / len(c)),
        "negative": lambda c: -((-c).sum()),
    }
    for name, reduce in reduced.items():
        found = recorded(tmp_path / name, z, t, lambda z, t, reduce=reduce: reduce(focal(z, t)))
        assert {tag: found[tag] for tag in expected} == close(expected), name


def test_a_loss_that_shifts_its_words_is_no_fault(tmp_path):
    """The words that a causal model reads are given as targets, and all are the same batch."""
    torch.manual_seed(0)
    words = torch.arange(8)[:, None].add(torch.arange(6)) % K
    model = nn.Sequential(nn.Embedding(K, 8), nn.LSTM(8, 8, batch_first=True))
    out = nn.Linear(8, K)
    model.append(out)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    sliced = LAYOUTS["later words"][0]
    padded = LAYOUTS["labels shifted"][0]
    for name, loss_of in (("sliced", sliced), ("padded", padded)):
        with GradientProbe(model, optimizer, tmp_path / name) as probe:
            for _ in range(40):
                optimizer.zero_grad()
                outputs = out(model[1](model[0](words))[0])
                loss = loss_of(outputs, words)
                probe.watch(outputs, words, loss)
                loss.backward()
                optimizer.step()
        look = read_status(tmp_path / name).program["looks"][0]
        assert not look.get("copied")
        assert "ce:mean" in look["forms"]
    assert not explain(read_runs(tmp_path))


class Unreadable(torch.autograd.Function):
    """Cross-entropy of which the graph tells nothing, as of a compiled one."""

    @staticmethod
    def forward(ctx, z, t, is_shifted):
        ctx.save_for_backward(z)
        return CE(z[:, :-1].flatten(0, 1), t[:, 1:].flatten()) if is_shifted else CE(z.mT, t)

    @staticmethod
    def backward(ctx, slope):
        return torch.zeros_like(ctx.saved_tensors[0]), None, None


def test_shifted_words_of_an_unreadable_loss_are_known_by_its_value():
    for is_shifted in (True, False):
        z = Z.clone().requires_grad_()
        layout = loss_layout(z, WORDS, Unreadable.apply(z, WORDS, is_shifted))
        assert layout.later is is_shifted
        assert layout.moved is is_shifted


def test_a_mask_is_one_in_a_batch_without_padding_too():
    """The layout is decided by the first batch, which may be full."""
    z = 1 * Z.clone().requires_grad_()
    for mask in (torch.ones(B, T), MASK.float()):
        loss = (CE(z.flatten(0, 1), WORDS.flatten(), reduction="none") * mask.flatten()).mean()
        assert loss_layout(z, WORDS, loss).own
    weights = torch.rand(B * T, generator=DRAWN) + 0.5
    loss = (CE(z.flatten(0, 1), WORDS.flatten(), reduction="none") * weights).mean()
    assert not loss_layout(z, WORDS, loss).own


def test_a_shift_is_padded_by_the_number_that_the_loss_leaves_out():
    z = 1 * Z.clone().requires_grad_()
    for ignored in (-100, -1):
        later = F.pad(WORDS[:, 1:], (0, 1), value=ignored)
        loss = CE(z.flatten(0, 1), later.flatten(), ignore_index=ignored)
        layout = loss_layout(z, WORDS, loss)
        assert (layout.own, layout.moved, layout.ignored) == (True, True, ignored)
