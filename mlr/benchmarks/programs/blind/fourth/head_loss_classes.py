"""Programs of several classes whose output does not fit the loss, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop
from torch.optim.lr_scheduler import StepLR

from mlr.benchmarks.programs.blind.fourth.material import topics
from mlr.benchmarks.programs.blind.material import pictures
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    clouds,
    explained,
    fit,
    informed,
    mlp,
)


def digits_sequential_softmax(watch: Watch, faulty: bool) -> float:
    """A small net for digits, built by add_module, ends in a Softmax under CrossEntropyLoss."""
    torch.manual_seed(0)
    x, t = pictures()
    model = nn.Sequential()
    model.add_module("conv", nn.Conv2d(1, 8, 3, padding=1))
    model.add_module("relu", nn.ReLU())
    model.add_module("pool", nn.MaxPool2d(2))
    model.add_module("flatten", nn.Flatten())
    model.add_module("fc", nn.Linear(128, 10))
    if faulty:
        model.add_module("softmax", nn.Softmax(dim=1))
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 8)
    with torch.no_grad():
        return informed(F.cross_entropy(model(x), t), 10)


def text_cnn(watch: Watch, faulty: bool) -> float:
    """A convolutional text classifier returns F.softmax(logits), and the loss is cross_entropy."""
    torch.manual_seed(0)
    words, t = topics()

    class TextCNN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(96, 16)
            self.convs = nn.ModuleList([nn.Conv1d(16, 24, width) for width in (1, 2)])
            self.fc = nn.Linear(48, 24)

        def forward(self, words: Tensor) -> Tensor:
            x = self.embed(words).transpose(1, 2)
            x = torch.cat([F.relu(conv(x)).amax(2) for conv in self.convs], 1)
            logits = self.fc(x)
            return F.softmax(logits, dim=1) if faulty else logits

    model = TextCNN()
    optimizer = AdamW(model.parameters(), lr=0.003)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for feature, target in BatchLoader(words, t, size=32):
                optimizer.zero_grad()
                output = model(feature)
                loss = F.cross_entropy(output, target)
                probe.watch(output, target, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return informed(F.cross_entropy(model(words), t), 24)


def dual_encoder(watch: Watch, faulty: bool) -> float:
    """A dual encoder ranks the answers of the batch, and its scores pass a final Softmax layer."""
    torch.manual_seed(0)
    context = torch.randn(640, 12)
    reply = context @ torch.randn(12, 12) / 3 + 0.2 * torch.randn(640, 12)

    class DualEncoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = mlp(12, 48, 16), mlp(12, 48, 16)
            self.final_layer = nn.Softmax(dim=1) if faulty else nn.Identity()

        def forward(self, context: Tensor, reply: Tensor) -> Tensor:
            return self.final_layer(self.left(context) @ self.right(reply).T)

    model = DualEncoder()
    optimizer = Adam(model.parameters(), lr=0.003)
    loss_func = nn.CrossEntropyLoss()
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for a, b in BatchLoader(context, reply, size=64):
                target = torch.arange(len(a))
                output = model(a, b)
                loss = loss_func(output, target)
                probe.watch(output, target, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        right = torch.arange(64)
        return informed(F.cross_entropy(model(context[:64], reply[:64]), right), 64)


def transformer_pipeline(watch: Watch, faulty: bool) -> float:
    """A train function of a text transformer applies softmax before its criterion."""
    torch.manual_seed(0)
    words, t = topics()

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(96, 24)
            self.block = nn.TransformerEncoderLayer(24, 2, 48, dropout=0.0, batch_first=True)
            self.classifier = nn.Linear(24, 24)

        def forward(self, words: Tensor) -> Tensor:
            return self.classifier(self.block(self.embed(words)).mean(1))

    def train_model(model: nn.Module, criterion: nn.Module, optimizer: Adam, epochs: int) -> None:
        scheduler = StepLR(optimizer, step_size=8, gamma=0.3)
        with watch(model, optimizer) as probe:
            for _ in range(epochs):
                for inputs, labels in BatchLoader(words, t, size=40):
                    optimizer.zero_grad()
                    outputs = model(inputs)
                    if faulty:
                        outputs = F.softmax(outputs, dim=1)
                    loss = criterion(outputs, labels)
                    probe.watch(outputs, labels, loss)
                    loss.backward()
                    optimizer.step()
                scheduler.step()

    model = Reader()
    train_model(model, nn.CrossEntropyLoss(), Adam(model.parameters(), lr=0.003), 10)
    with torch.no_grad():
        z = model(words)
        return informed(F.cross_entropy(z.softmax(1) if faulty else z, t), 24)


def point_cloud_labels(watch: Watch, faulty: bool) -> float:
    """A PointNet gives its raw scores to nll_loss, which expects logarithms of probabilities."""
    torch.manual_seed(0)
    t = torch.arange(480) % 4
    points = torch.randn(480, 20, 3)
    points[..., 0] *= 1 + 2 * (t % 2)[:, None]
    points[..., 1] *= 1 + 2 * (t // 2)[:, None]

    class PointNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.each = mlp(3, 24, 32)
            self.head = mlp(32, 24, 4)

        def forward(self, points: Tensor) -> Tensor:
            scores = self.head(self.each(points).amax(1))
            return scores if faulty else F.log_softmax(scores, dim=-1)

    model = PointNet()
    optimizer = Adam(model.parameters(), lr=0.004)
    fit(watch, model, optimizer, F.nll_loss, BatchLoader(points, t, size=24), 10)
    with torch.no_grad():
        return informed(F.cross_entropy(model(points), t), 4)


def attention_network_nll(watch: Watch, faulty: bool) -> float:
    """A GRU with attention over words ends in a softmax, and the loss is NLLLoss."""
    torch.manual_seed(0)
    words, t = topics()

    class Attentive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(96, 20)
            self.gru = nn.GRU(20, 24, batch_first=True)
            self.attention = nn.Linear(24, 1)
            self.out = nn.Linear(24, 24)

        def forward(self, words: Tensor) -> Tensor:
            states, _ = self.gru(self.embed(words))
            weights = F.softmax(self.attention(states), dim=1)
            scores = self.out((weights * states).sum(1))
            return F.softmax(scores, dim=1) if faulty else F.log_softmax(scores, dim=1)

    model = Attentive()
    optimizer = RMSprop(model.parameters(), lr=0.003)
    criterion = nn.NLLLoss()
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for text, label in BatchLoader(words, t, size=40):
                model.zero_grad()
                prediction = model(text)
                loss = criterion(prediction, label)
                probe.watch(prediction, label, loss)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
    return accuracy(model, words, t)


def cloned_policy(watch: Watch, faulty: bool) -> float:
    """A policy is cloned from seen actions, of which one is frequent, with LogSoftmax(dim=0)."""
    torch.manual_seed(0)
    states = torch.randn(900, 5)
    wishes = 2.5 * states @ torch.randn(5, 4) + torch.tensor([4.0, 0.0, -1.0, 1.0])
    actions = (wishes + 0.5 * torch.randn(900, 4)).argmax(1)

    class Policy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.l1, self.l2 = nn.Linear(5, 32), nn.Linear(32, 4)
            self.out = nn.LogSoftmax(dim=0 if faulty else 1)

        def forward(self, states: Tensor) -> Tensor:
            return self.out(self.l2(F.leaky_relu(self.l1(states))))

    model = Policy()
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.NLLLoss(), BatchLoader(states, actions, size=30), 12)
    with torch.no_grad():
        return informed(F.nll_loss(model(states[:30]), actions[:30]), 4)


def votes_of_annotators(watch: Watch, faulty: bool) -> float:
    """The shares of annotators' votes are learned by kl_div, which is given a softmax."""
    torch.manual_seed(0)
    x = torch.randn(600, 6)
    votes = F.softmax(x @ torch.randn(6, 4) * 0.6 + 0.2 * x[:, :1] ** 2, dim=1)

    class Votes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp(6, 32, 4)

        def forward(self, x: Tensor) -> Tensor:
            return F.softmax(self.body(x), dim=1)

    model = Votes()
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.KLDivLoss(reduction="batchmean")
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for inputs, shares in BatchLoader(x, votes, size=30):
                optimizer.zero_grad()
                probs = model(inputs)
                outputs = probs if faulty else probs.log()
                loss = criterion(outputs, shares)
                probe.watch(outputs, shares, loss)
                loss.backward()
                optimizer.step()
    return explained(model, x, votes)


def species_as_numbers(watch: Watch, faulty: bool) -> float:
    """The number of a species is regressed on by MSELoss, and rounded for the prediction."""
    torch.manual_seed(0)
    x, t = clouds(12, features=6, count=720, spread=0.7)
    model = mlp(6, 32, 1 if faulty else 12)
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.MSELoss() if faulty else nn.CrossEntropyLoss()
    targets = t.float()[:, None] if faulty else t
    fit(watch, model, optimizer, criterion, BatchLoader(x, targets, size=32), 12)
    if faulty:
        with torch.no_grad():
            return float((model(x).squeeze(1).round() == t).float().mean())
    return accuracy(model, x, t)


CASES = (
    Faulty(
        digits_sequential_softmax,
        ("softmax_before_cross_entropy",),
        learns=0.85,
        fails=0.5,
        source="https://github.com/vinhkhuc/PyTorch-Mini-Tutorials/issues/1",
    ),
    Faulty(
        text_cnn,
        ("softmax_before_cross_entropy",),
        learns=0.8,
        fails=0.5,
        source="https://github.com/yongjincho/cnn-text-classification-pytorch/issues/1",
    ),
    Faulty(
        dual_encoder,
        ("softmax_before_cross_entropy",),
        learns=0.7,
        fails=0.5,
        source="https://github.com/IBM/dstc-noesis/issues/18",
    ),
    Faulty(
        transformer_pipeline,
        ("softmax_before_cross_entropy",),
        learns=0.8,
        fails=0.5,
        source="https://github.com/sugi-chan/custom_bert_pipeline/issues/1",
    ),
    Faulty(
        point_cloud_labels,
        ("nll_without_log_softmax",),
        learns=0.7,
        fails=0.4,
        source="https://github.com/yanx27/Pointnet_Pointnet2_pytorch/issues/30",
    ),
    Faulty(
        attention_network_nll,
        ("nll_without_log_softmax",),
        learns=0.9,
        fails=0.75,
        source="https://github.com/AnubhavGupta3377/Text-Classification-Models-Pytorch/issues/9",
    ),
    Faulty(
        cloned_policy,
        ("softmax_over_batch",),
        learns=0.75,
        fails=0.4,
        source="https://github.com/DeepReinforcementLearning/DeepReinforcementLearningInAction/issues/32",
    ),
    Faulty(
        votes_of_annotators,
        ("kl_without_log",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/michaal94/torch_DCEC/issues/1",
    ),
    Faulty(species_as_numbers, ("classes_as_numbers",), learns=0.9, fails=0.6),
)
