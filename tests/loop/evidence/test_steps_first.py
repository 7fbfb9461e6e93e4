"""Shapes of what layers read that take steps along the first axis."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mlr import GradientProbe
from mlr.loop.evidence.observer import Observer
from mlr.loop.evidence.steps_first import StepsFirst
from mlr.records.evidence import Evidence
from mlr.records.run_folder import read_status


class Reader(nn.Module):
    def __init__(self, layer, turned=False):
        super().__init__()
        self.layer, self.out, self.turned = layer, nn.Linear(4, 2), turned

    def forward(self, x):
        x = x.transpose(0, 1) if self.turned else x
        read = self.layer(x)
        read = read[0] if isinstance(read, tuple) else read
        return self.out(read[-1] if self.turned else read[:, -1])


LAYERS = {
    "gru": lambda first: nn.GRU(4, 4, batch_first=first),
    "lstm": lambda first: nn.LSTM(4, 4, batch_first=first),
    "attention": lambda first: nn.TransformerEncoderLayer(4, 2, 8, batch_first=first),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_shape_of_the_first_batch_is_read(tmp_path, layer):
    for turned, first, wanted in (
        *((False, False, ["6/3"]), (True, False, ["3/6"])),
        (False, True, []),
    ):
        model = Reader(LAYERS[layer](first), turned)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        folder = tmp_path / f"{turned}{first}"
        with GradientProbe(model, optimizer, folder) as probe:
            twin = copy.deepcopy(model)
            for _ in range(2):
                z = model(torch.randn(6, 3, 4))
                loss = F.cross_entropy(z, torch.zeros(6).long())
                probe.watch(z, torch.zeros(6).long(), loss)
                loss.backward()
                optimizer.step()
            assert not any(part._forward_pre_hooks for part in model.layer.modules())
        twin(torch.randn(2, 5, 4))
        assert Evidence.decode(read_status(folder).program).sequences == wanted
        kinds = (part._forward_pre_hooks.values() for part in twin.layer.modules())
        assert not any("mlr" in type(hook).__module__ for hooks in kinds for hook in hooks)


def test_hooks_are_removed_without_any_batch():
    model = Reader(LAYERS["gru"](False))
    observer = Observer(model, [])
    assert model.layer._forward_pre_hooks
    observer.close()
    assert not model.layer._forward_pre_hooks


@pytest.mark.parametrize(
    ("arranged", "mixed"),
    [
        (lambda x: x.view(5, 8, 3), [5, 8]),
        (lambda x: x.reshape(5, 8, 3), [5, 8]),
        (lambda x: x.transpose(0, 1), []),
        (lambda x: x.transpose(0, 1).contiguous(), []),
        (lambda x: x[:5].reshape(5, 5, 3), []),  # as many steps as examples
    ],
)
def test_inputs_that_a_view_has_mixed(arranged, mixed):
    gru, x = nn.GRU(3, 4), torch.randn(8, 5, 3)
    seen = StepsFirst(gru, listen=True)
    gru(arranged(x))
    assert seen.mixed == mixed
    seen.close()
