"""Ranges, sums and counts, against numpy and numbers that are written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr.loop.evidence import graph, values


def test_outputs():
    y = torch.tensor([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    found = values.of_outputs(y)
    assert found["output_shape"] == [3, 2]
    assert (found["output_low"], found["output_high"], found["output_lost"]) == (0, 1, 0)
    assert (found["row_low"], found["row_high"]) == (1, 1)
    assert found["output_edge"] == pytest.approx(2 / 6)
    assert found["output_std"] == pytest.approx(np.std(y.numpy(), axis=0, ddof=1).max())
    lost = values.of_outputs(torch.tensor([[1.0], [torch.nan]]))
    assert lost == {"output_shape": [2, 1], "output_lost": 0.5}


def test_the_share_of_outputs_at_their_ends():
    assert values.of_outputs(torch.tensor([[2.0], [2.0]]))["output_edge"] == 1
    assert values.of_outputs(torch.tensor([[0.0], [3.0], [1.0], [3.0]]))["output_edge"] == 0.75


def test_log_sums_of_rows():
    y = torch.tensor([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    assert values.log_sum(y) == pytest.approx(np.log(np.exp(y.numpy()).sum(1)).max())
    assert values.log_sum(y.T, 0) == values.log_sum(y)
    assert values.log_sum(y.log_softmax(1)) == pytest.approx(0, abs=1e-7)
    assert np.isnan([values.log_sum(y[:, 0]), values.log_sum(y[:, :1])]).all()


def test_targets():
    whole = values.of_targets(torch.tensor([0, 3, 1]))
    assert whole == {
        **{"target_shape": [3], "target_integer": True, "target_lost": 0.0},
        **{"target_low": 0.0, "target_high": 3.0, "target_whole": True},
    }
    rows = values.of_targets(torch.tensor([[0.5, 0.5], [1.0, 1.0]]))
    assert (rows["target_whole"], rows["target_integer"]) == (False, False)
    assert (rows["target_row_low"], rows["target_row_high"]) == (1, 2)


def test_inputs_column_by_column():
    torch.manual_seed(0)
    inputs = torch.randn(50, 3) * torch.tensor([1.0, 100, 0]) + torch.tensor([0.0, 0, 7])
    inputs[:, 0] += 20
    found, own = values.of_inputs(inputs), inputs.numpy().astype(float)
    assert found["input_constant"] == pytest.approx(1 / 3)
    assert found["input_offset"] == pytest.approx(own[:, 0].mean() / own[:, 0].std(ddof=1))
    assert found["input_largest"] == pytest.approx(np.sqrt((own[:, 1] ** 2).mean()))
    assert found["input_smallest"] == pytest.approx(np.sqrt((own[:, 0] ** 2).mean()))
    assert found["input_size"] == pytest.approx(np.sqrt((own**2).mean()))
    images = values.of_inputs(torch.stack([torch.zeros(4, 5, 5), torch.ones(4, 5, 5)]))
    assert images["input_size"] == pytest.approx(np.sqrt(0.5))
    assert values.of_inputs(torch.arange(6).view(2, 3)) == {}
    assert values.of_inputs(torch.full((2, 2), torch.inf))["input_lost"] == 1


def test_what_the_loss_was_given():
    z = nn.Linear(2, 3)(torch.randn(5, 2))
    classes = torch.tensor([0, 1, 2, 0, 1])
    raw = values.of_fed(graph.seen(z, F.nll_loss(z, classes)))
    assert raw["fed_log_sum"] == pytest.approx(float(z.logsumexp(1).abs().max().detach()))
    logs = values.of_fed(graph.seen(z, F.cross_entropy(z, classes)))
    assert (logs["fed"], logs["fed_count"]) == ("nll", 15)
    assert logs["fed_log_sum"] == pytest.approx(0, abs=1e-6)
    signs = torch.tensor([[-1.0, 1, 1]]).expand(5, 3)
    given = values.of_fed(graph.seen(z, F.binary_cross_entropy_with_logits(z, signs)))
    assert (given["wanted_low"], given["wanted_high"]) == (-1, 1)
    assert given["fed_high"] == pytest.approx(float(z.max().detach()))
    # softplus(z) − t z and (z − t)², without what is added
    cost = (1 + z.exp()).log() - signs * z
    assert given["fed_cost"] == pytest.approx(float(cost.mean().detach()))
    square = values.of_fed(graph.seen(z, F.mse_loss(z, signs) + z.square().sum()))
    assert square["fed_cost"] == pytest.approx(float(((z - signs) ** 2).mean().detach()))
    ends = values.of_fed(graph.seen(z, F.binary_cross_entropy((9 * z).clamp(0, 1), signs.abs())))
    assert ends["fed_edge"] == pytest.approx(float(((9 * z <= 0) | (9 * z >= 1)).float().mean()))
    logs = values.of_fed(graph.seen(z, ctc(z)))
    assert (logs["fed"], "wanted_low" in logs) == ("ctc", False)
    assert logs["fed_log_sum"] == pytest.approx(float(z.logsumexp(1).abs().max().detach()))


def ctc(z):
    """One text of the length 5, with two letters."""
    return F.ctc_loss(z[:, None], torch.tensor([[1, 2]]), torch.tensor([5]), torch.tensor([2]))


def test_targets_that_are_not_finite_are_counted():
    counted = values.Targets()
    for batch in ([1.0, 2.0], [torch.nan, 2.0], [torch.inf, 0.0], [3.0, 2.0]):
        counted.add(torch.tensor(batch))
    found = counted.entries()
    assert (found["lost_targets"], found["target_mean"]) == (2, 2.0)


@pytest.mark.parametrize("often", [1, 3, 64])
def test_targets_are_counted_whatever_is_counted_at_once(monkeypatch, often):
    monkeypatch.setattr(values, "OFTEN", often)
    counted = values.Targets()
    batches = [[0, 0, 2], [2, 2, 2], [5, 0, 0], [1, 1]]
    for batch in batches:
        counted.add(torch.tensor(batch))
    found = counted.entries()
    assert found["class_counts"] == [4, 2, 4, 0, 0, 1]
    assert (found["batches"], found["one_class_batches"]) == (4, 2)
    assert found["same_successive"] == pytest.approx((1 + 2 + 1 + 1) / 7)


def test_numbers_have_moments_and_the_copy_is_of_the_moment():
    counted = values.Targets()
    targets = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]])
    numbers = targets.numpy().copy()
    counted.add(targets)
    targets.zero_()
    found = counted.entries()
    assert found["target_columns"] == 2
    assert found["target_mean"] == pytest.approx(numbers.mean())
    assert found["target_variance"] == pytest.approx(numbers.var(axis=0).mean())
    assert found["target_size"] == pytest.approx(np.sqrt((numbers**2).mean()))
    apart = np.abs(numbers - np.median(numbers, axis=0)).mean()
    assert found["target_deviation"] == pytest.approx(apart)
    p = numbers.mean(axis=0)
    assert found["target_entropy"] == pytest.approx(
        -(p * np.log(p) + (1 - p) * np.log(1 - p)).mean()
    )


def test_one_hot_rows_are_classes_and_ignored_words_are_not():
    hot = values.Targets()
    hot.add(F.one_hot(torch.tensor([0, 2, 2]), 3).float())
    assert hot.entries()["class_counts"] == [1, 0, 2]
    words = values.Targets()
    words.add(torch.tensor([[1, 2], [1, -100]]))
    assert words.entries()["class_counts"] == [0, 2, 1]


def attention(**options):
    def attended(h):
        h = h[:, None]  # one head
        return F.scaled_dot_product_attention(h, h, h, **options)[:, 0]

    return attended


def by_hand(hidden):
    def attended(h):
        return (h @ h.mT).masked_fill(hidden, float("-inf")).softmax(-1) @ h

    return attended


LATER = torch.ones(6, 6).triu(1).bool()
NONE_AFTER = torch.zeros(6, 6).masked_fill(LATER, float("-inf"))
WORDS = torch.randint(9, (3, 6), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("attended", "targets", "found"),
    [
        (attention(is_causal=True), WORDS, True),
        (attention(attn_mask=NONE_AFTER), WORDS, True),
        (attention(attn_mask=~LATER), WORDS, True),
        (by_hand(LATER), WORDS.flatten(), True),
        (attention(is_causal=True), WORDS.roll(-1, 1), False),  # the next words
        (attention(is_causal=True), WORDS[:, 1:], False),
        (attention(), WORDS, False),  # as of an autoencoder
        (by_hand(LATER.mT), WORDS, False),
        (by_hand(torch.arange(6) > 3), WORDS, False),  # the padding
        (by_hand((torch.arange(6) > 3).expand(6, 6)), WORDS, False),
    ],
)
def test_targets_that_are_the_words_that_are_read(attended, targets, found):
    embed, place, head = nn.Embedding(9, 4), nn.Embedding(6, 4), nn.Linear(4, 9)
    h = embed(WORDS) + place(torch.arange(6).expand(3, 6))
    z = head(attended(h))
    seen = graph.seen(z, z.square().mean())
    assert values.copied(seen, targets, False) == found
    # a decoder that reads other words than the encoder
    both = z + head(embed(WORDS.roll(1, 1)))
    assert not values.copied(graph.seen(both, both.square().mean()), targets, False)


def test_the_median_of_many_numbers_is_told_by_some():
    numbers = torch.randn(values.SAMPLED // 50, 200, generator=torch.Generator().manual_seed(0))
    many = values.Targets()
    for rows in numbers.exp().split(20):  # not symmetric
        many.add(rows)
    found = many.entries()["target_deviation"]
    whole = numbers.exp().numpy()
    apart = np.abs(whole - np.median(whole, axis=0)).mean()
    assert found == pytest.approx(apart, rel=0.05)
    assert abs(np.abs(whole - whole.mean(axis=0)).mean() / apart - 1) > 0.05
