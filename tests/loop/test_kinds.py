"""Kinds of loops, each against numbers computed by hand: mixed precision, compiled, own losses."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlr import GradientProbe
from tests.loop.loops import batches, module, table
from tests.loop.test_layout import PADDED, K, by_hand, close, rows

CE = F.cross_entropy


def test_half_precision_under_a_scaler_is_told_unscaled(tmp_path):
    for kind in (torch.float16, torch.bfloat16):
        model, scaler = module(), torch.amp.GradScaler("cpu", init_scale=2.0**12)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        ((inputs, targets),) = batches(1)
        with GradientProbe(model, optimizer, tmp_path / str(kind), scaler=scaler) as probe:
            with torch.autocast("cpu", kind):
                logits = model(inputs)
                loss = CE(logits, targets)
            assert logits.dtype == kind
            (pulls,) = torch.autograd.grad(loss, logits, retain_graph=True)
            parts = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
            probe.watch(logits, targets, loss)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        (row,) = table(tmp_path / str(kind))
        size = math.hypot(*(float(one.float().norm()) for one in parts))
        # to the digits of the type: unscaled gradients are rounded elsewhere
        rel = 4 * torch.finfo(kind).eps
        assert row["grad_norm/total"] == pytest.approx(size, rel=rel)
        mean = 16 * float(pulls.float().norm(dim=1).mean())
        assert row["logit_grad/mean"] == pytest.approx(mean, rel=rel)
        assert row["loss/train"] == pytest.approx(loss.item(), rel=1e-6)


@dataclass
class Output:
    """As the models of transformers return it."""

    loss: Tensor
    logits: Tensor


class Speaker(nn.Module):
    """Language model that computes its own loss, of labels that it shifts."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.out = nn.Embedding(K, 6), nn.Linear(6, K)

    def forward(self, words, labels):
        logits = self.out(self.words(words))
        later = F.pad(labels, (0, 1), value=-100)[..., 1:].contiguous()
        return Output(CE(logits.float().view(-1, K), later.view(-1)), logits)


def test_a_model_that_computes_its_own_loss_of_padded_words(tmp_path):
    model = Speaker()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, tmp_path / "run", accumulate=2) as probe:
        for _ in range(2):
            found = model(PADDED.clamp(0), labels=PADDED)
            probe.watch(found.logits, PADDED, found.loss)
            (found.loss / 2).backward()
        expected = by_hand(*rows(found.logits.detach()[:, :-1], PADDED[:, 1:]))
        expected["grad_norm/total"] = math.hypot(
            *(float(p.grad.norm()) for p in model.parameters())
        )
        optimizer.step()
    (row,) = table(tmp_path / "run")
    assert {tag: row[tag] for tag in expected} == close(expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_compiled_losses_are_known_by_their_value_or_left_out_by_name(tmp_path):
    def later(z, t, smooth):
        return CE(z[:, :-1].flatten(0, 1), t[:, 1:].flatten(), label_smoothing=smooth)

    for backend in ("eager", "aot_eager"):
        for smooth in (0.0, 0.1):
            torch._dynamo.reset()
            loss_of = torch.compile(later, backend=backend)
            model = nn.Linear(6, K)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            folder = tmp_path / f"{backend}{smooth}"
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                with GradientProbe(model, optimizer, folder) as probe:
                    z = model(torch.randn(3, 5, 6))
                    loss = loss_of(z, PADDED.clamp(0), smooth)
                    probe.watch(z, PADDED.clamp(0), loss)
                    loss.backward()
                    optimizer.step()
            (row,) = table(folder)
            if backend == "aot_eager" and smooth:
                assert "accuracy/train" not in row
                assert any("accuracy, and gradients" in str(one.message) for one in told)
                continue
            z, t = rows(z.detach()[:, :-1], PADDED.clamp(0)[:, 1:])
            expected = by_hand(z, t, label_smoothing=smooth)
            assert {tag: row[tag] for tag in expected} == close(expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_compiled_model_that_computes_its_own_loss_is_left_out_by_name(tmp_path):
    model = torch.compile(Speaker(), backend="aot_eager")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientProbe(model, optimizer, tmp_path / "run", settings="basic") as probe:
        found = model(PADDED.clamp(0), labels=PADDED)
        probe.watch(found.logits, PADDED, found.loss)
        found.loss.backward()
        with pytest.warns(UserWarning, match="no gradient came to the logits"):
            optimizer.step()
