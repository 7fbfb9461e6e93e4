"""Programs whose training loop or optimizer is at fault."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    binary_accuracy,
    clouds,
    digits,
    explained,
    fit,
    houses,
    mlp,
    rings,
    wave,
)


def step_missing(watch: Watch, faulty: bool) -> float:
    """The call of optimizer.step() was forgotten."""
    torch.manual_seed(0)
    x, t = clouds()
    model = mlp(8, 16, 3)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, targets in BatchLoader(x, t):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                if not faulty:
                    optimizer.step()
    return accuracy(model, x, t)


def optimizer_of_replaced_model(watch: Watch, faulty: bool) -> float:
    """The optimizer was built before the model was replaced by a copy."""
    torch.manual_seed(0)
    x, t = clouds()
    model = mlp(8, 16, 3)
    optimizer = Adam(model.parameters(), lr=0.01)
    model = copy.deepcopy(model)
    if not faulty:
        optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(x, t), 8)
    return accuracy(model, x, t)


def layers_in_a_list(watch: Watch, faulty: bool) -> float:
    """Hidden layers are kept in a plain list, so that the optimizer does not find them."""
    torch.manual_seed(0)
    x, t = rings()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers = [nn.Linear(2, 4), nn.Linear(4, 4), nn.Linear(4, 4)]
            self.layers = layers if faulty else nn.ModuleList(layers)
            self.out = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.tanh(layer(x))
            return self.out(x)

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.02)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t), 15)
    return accuracy(model, x, t)


def features_detached(watch: Watch, faulty: bool) -> float:
    """The features are detached before the classifier, so that the encoder gets no gradient."""
    torch.manual_seed(0)
    x, t = rings()
    encoder = mlp(2, 8, 3, activation=nn.Tanh)
    classifier = nn.Linear(3, 2)
    model = nn.ModuleDict({"encoder": encoder, "classifier": classifier})
    optimizer = Adam(model.parameters(), lr=0.03)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for inputs, targets in BatchLoader(x, t):
                features = encoder(inputs)
                outputs = classifier(features.detach() if faulty else features)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return accuracy(nn.Sequential(encoder, classifier), x, t)


def numpy_in_forward(watch: Watch, faulty: bool) -> float:
    """A hidden layer's output is scaled by NumPy, which cuts the graph."""
    torch.manual_seed(0)
    x, t = rings()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(2, 4)
            self.two = nn.Linear(4, 1)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.tanh(self.one(x))
            h = torch.from_numpy(h.detach().numpy() * 2) if faulty else h * 2
            return self.two(h)

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.05)
    loader = BatchLoader(x, t.float()[:, None])
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), loader, 15)
    return binary_accuracy(model, x, t)


def loss_made_new(watch: Watch, faulty: bool) -> float:
    """The loss is wrapped into a new tensor that requires a gradient, which ends the error."""
    torch.manual_seed(0)
    x, t = clouds()
    model = mlp(8, 16, 3)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, targets in BatchLoader(x, t):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                if faulty:
                    loss = torch.tensor(loss.item(), requires_grad=True)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def no_grad_in_forward(watch: Watch, faulty: bool) -> float:
    """The forward pass runs without gradients, and the loss is told to require one."""
    torch.manual_seed(0)
    x, t = clouds()
    model = mlp(8, 16, 3)
    optimizer = SGD(model.parameters(), lr=0.1)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, targets in BatchLoader(x, t):
                with torch.set_grad_enabled(not faulty):
                    outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                if not loss.requires_grad:
                    loss.requires_grad_()
                probe.watch(outputs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def frozen_by_mistake(watch: Watch, faulty: bool) -> float:
    """Parameters were frozen for a test, and only the last layer was thawed."""
    torch.manual_seed(0)
    x, t = rings()
    model = mlp(2, 4, 4, 2, activation=nn.Tanh)
    for parameter in model.parameters():
        parameter.requires_grad = False
    for parameter in (model[-1] if faulty else model).parameters():
        parameter.requires_grad = True
    optimizer = Adam(model.parameters(), lr=0.03)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t), 15)
    return accuracy(model, x, t)


def train_mode_at_test(watch: Watch, faulty: bool) -> float:
    """Validation between the epochs runs in train mode, with dropout of half the units."""
    torch.manual_seed(0)
    x, t = digits()
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.7), nn.Linear(32, 10))
    optimizer = Adam(model.parameters(), lr=0.01)
    held, right = slice(0, 300), 0.0
    with watch(model, optimizer) as probe:
        for _ in range(8):
            model.train()
            for inputs, targets in BatchLoader(x[300:], t[300:], size=64):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
            if not faulty:
                model.eval()
            with torch.no_grad():
                outputs = model(x[held])
                right = float((outputs.argmax(1) == t[held]).float().mean())
    return right


def maximised(watch: Watch, faulty: bool) -> float:
    """The optimizer was taken over from an actor, with maximize=True."""
    torch.manual_seed(0)
    x, t = clouds()
    model = mlp(8, 16, 3)
    optimizer = Adam(model.parameters(), lr=0.01, maximize=faulty)
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(x, t), 8)
    return accuracy(model, x, t)


def sign_lost(watch: Watch, faulty: bool) -> float:
    """A cross-entropy written by hand lacks its minus."""
    torch.manual_seed(0)
    x, t = clouds()
    model = mlp(8, 16, 3)
    optimizer = SGD(model.parameters(), lr=0.05)

    def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
        logs = F.log_softmax(outputs, dim=1)
        chosen = (F.one_hot(targets, 3) * logs).sum(1)
        return chosen.mean() if faulty else -chosen.mean()

    fit(watch, model, optimizer, cross_entropy, BatchLoader(x, t), 8)
    return accuracy(model, x, t)


def outputs_of_before(watch: Watch, faulty: bool) -> float:
    """The outputs are computed once, before the loop, and retain_graph silences the error."""
    torch.manual_seed(0)
    x, t = clouds(3, features=4)
    model = nn.Linear(4, 3)
    optimizer = SGD(model.parameters(), lr=0.05)
    first = model(x)
    with watch(model, optimizer) as probe:
        for _ in range(200):
            outputs = first if faulty else model(x)
            loss = F.cross_entropy(outputs, t)
            probe.watch(outputs, t, loss)
            optimizer.zero_grad()
            loss.backward(retain_graph=True)
            optimizer.step()
    with torch.no_grad():
        return float(1 - F.cross_entropy(model(x), t) / torch.tensor(3.0).log())


def momentum_above_one(watch: Watch, faulty: bool) -> float:
    """The momentum lost its decimal point: 1.09 in place of 0.9."""
    torch.manual_seed(0)
    x, t = houses()
    model = mlp(5, 32, 1)
    optimizer = SGD(model.parameters(), lr=0.01, momentum=1.09 if faulty else 0.9)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, t), 20)
    return explained(model, x, t)


def rate_too_high(watch: Watch, faulty: bool) -> float:
    """Adam runs with a rate of 1."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 32, 10)
    optimizer = Adam(model.parameters(), lr=1.0 if faulty else 0.003)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 10)
    return accuracy(model, x, t)


def rate_too_low(watch: Watch, faulty: bool) -> float:
    """Plain SGD runs with a rate that was chosen for fine-tuning."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=1e-5 if faulty else 0.3)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 10)
    return accuracy(model, x, t)


def decay_too_strong(watch: Watch, faulty: bool) -> float:
    """A weight decay of 1 was copied from AdamW, where the rate multiplies it, to SGD."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=0.3, weight_decay=1.0 if faulty else 1e-4)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 10)
    return accuracy(model, x, t)


def optimizer_of_the_head(watch: Watch, faulty: bool) -> float:
    """Only the last layer's parameters were handed to the optimizer."""
    torch.manual_seed(0)
    x, t = wave()
    model = mlp(1, 4, 4, 1, activation=nn.Tanh)
    owned = model[-1] if faulty else model
    optimizer = Adam(owned.parameters(), lr=0.02)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, t), 20)
    return explained(model, x, t)


CASES = (
    Faulty(
        step_missing,
        ("step_missing",),
        learns=0.95,
        fails=0.6,
        source="https://github.com/zhaoyuzhi/deepfillv2/issues/6",
    ),
    Faulty(
        optimizer_of_replaced_model,
        ("wrong_parameters", "parameters_missing"),
        learns=0.95,
        fails=0.6,
        source="https://github.com/spro/practical-pytorch/issues/9",
    ),
    Faulty(
        layers_in_a_list,
        ("unregistered_layers", "parameters_missing"),
        learns=0.9,
        fails=0.75,
        source="https://github.com/pytorch/pytorch/issues/59925",
    ),
    Faulty(
        features_detached,
        ("graph_cut",),
        learns=0.95,
        fails=0.8,
        source="https://github.com/lucidrains/CoCa-pytorch/issues/6",
    ),
    Faulty(numpy_in_forward, ("graph_cut",), learns=0.95, fails=0.8),
    Faulty(loss_made_new, ("loss_without_graph", "graph_cut"), learns=0.95, fails=0.6),
    Faulty(
        no_grad_in_forward,
        ("graph_cut", "loss_without_graph"),
        learns=0.95,
        fails=0.6,
        source="https://github.com/ronghuaiyang/arcface-pytorch/issues/56",
    ),
    Faulty(frozen_by_mistake, ("frozen",), learns=0.9, fails=0.75),
    Faulty(
        train_mode_at_test,
        ("train_in_evaluation",),
        learns=0.85,
        fails=0.7,
        source="https://github.com/ipolharvard/ethos-ares/issues/20",
    ),
    Faulty(maximised, ("loss_maximised",), learns=0.95, fails=0.4),
    Faulty(
        sign_lost,
        ("loss_maximised",),
        learns=0.95,
        fails=0.4,
        source="https://github.com/kmkurn/pytorch-crf/issues/27",
    ),
    Faulty(outputs_of_before, ("stale_outputs",), learns=0.8, fails=0.2),
    Faulty(momentum_above_one, ("momentum_too_high",), learns=0.8, fails=0.1),
    Faulty(
        rate_too_high,
        ("rate_too_high",),
        learns=0.9,
        fails=0.4,
        source="https://github.com/BobLiu20/FaceRecognition_PyTorch/issues/2",
    ),
    Faulty(rate_too_low, ("rate_too_low",), learns=0.9, fails=0.3),
    Faulty(
        decay_too_strong,
        ("decay_too_strong",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/deeplearningathome/pytorch-language-model/issues/1",
    ),
    Faulty(
        optimizer_of_the_head,
        ("parameters_missing",),
        learns=0.9,
        fails=0.75,
        source="https://github.com/zjunlp/HVPNeT/issues/5",
    ),
)
