"""Programs of two classes or several labels whose output does not fit the loss, written blind."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW
from torch.optim.lr_scheduler import CosineAnnealingLR

from mlr.benchmarks.programs.blind.fourth.material import bags
from mlr.benchmarks.programs.blind.material import spots, texts
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import BatchLoader, binary_accuracy, fit, informed, mlp, rings


def overlap(shares: Tensor, mask: Tensor) -> float:
    """Return the intersection over union of a mask and of shares above one half."""
    found = shares > 0.5
    return float((found & mask.bool()).sum() / (found | mask.bool()).sum())


def tumour_masks(watch: Watch, faulty: bool) -> float:
    """A small U-Net ends in a sigmoid, and its masks are learned by BCEWithLogitsLoss."""
    torch.manual_seed(0)
    x, mask, _ = spots()

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(1, 8, 3, padding=1)
            self.middle = nn.Conv2d(8, 12, 3, padding=1)
            self.up = nn.ConvTranspose2d(12, 8, 2, stride=2)
            self.outc = nn.Conv2d(16, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            skip = F.relu(self.down(x))
            deep = F.relu(self.up(F.relu(self.middle(F.max_pool2d(skip, 2)))))
            logits = self.outc(torch.cat([skip, deep], 1))
            return torch.sigmoid(logits) if faulty else logits

    model = UNet()
    optimizer = AdamW(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), BatchLoader(x, mask, size=32), 10)
    with torch.no_grad():
        return overlap(torch.sigmoid(model(x)), mask)


def tags_of_museum(watch: Watch, faulty: bool) -> float:
    """Twelve tags may hold of one object; sigmoid and BCEWithLogitsLoss are both applied."""
    torch.manual_seed(0)
    words, tags = bags()

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag = nn.EmbeddingBag(60, 32, mode="sum")
            self.norm = nn.LayerNorm(32)
            self.head = mlp(32, 48, 12)

        def forward(self, words: Tensor) -> Tensor:
            return self.head(self.norm(self.bag(words)))

    model = Tagger()
    optimizer = Adam(model.parameters(), lr=0.004)
    scheduler = CosineAnnealingLR(optimizer, 20)
    criterion = nn.BCEWithLogitsLoss()
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for inputs, labels in BatchLoader(words, tags, size=50):
                outputs = model(inputs)
                outputs = outputs.sigmoid() if faulty else outputs
                loss = criterion(outputs, labels)
                probe.watch(outputs, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            scheduler.step()
    with torch.no_grad():
        z = model(words)
        z = z.sigmoid() if faulty else z
        return informed(F.binary_cross_entropy_with_logits(z, tags))


def finetuned_head(watch: Watch, faulty: bool) -> float:
    """A head on a frozen backbone passes torch.sigmoid and then a loss with logits."""
    torch.manual_seed(0)
    x, t = rings(800)
    y = t.float()[:, None]

    class TransferModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(nn.Linear(2, 48), nn.Tanh())
            self.features.requires_grad_(False)
            self.fc = mlp(48, 24, 1)

        def forward(self, x: Tensor) -> Tensor:
            y_logits = self.fc(self.features(x))
            return torch.sigmoid(y_logits) if faulty else y_logits

    model = TransferModel()
    optimizer = Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    loss_func = F.binary_cross_entropy_with_logits
    fit(watch, model, optimizer, loss_func, BatchLoader(x, y, size=40), 10)
    with torch.no_grad():
        return float(((torch.sigmoid(model(x)) > 0.5) == y.bool()).float().mean())


def links_of_graph(watch: Watch, faulty: bool) -> float:
    """Scores of links in a graph of two communities pass a sigmoid, and BCEWithLogitsLoss."""
    torch.manual_seed(0)
    nodes = 60
    team = torch.arange(nodes) % 3
    likely = torch.where(team[:, None] == team, 0.85, 0.03)
    adjacency = (torch.rand(nodes, nodes) < likely).float().triu(1)
    adjacency = adjacency + adjacency.T
    left, right = torch.triu_indices(nodes, nodes, 1)
    known = adjacency[left, right]
    walk = (adjacency + torch.eye(nodes)) / (adjacency.sum(1, keepdim=True) + 1)

    class LinkPredictor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.node = nn.Parameter(torch.randn(nodes, 12))
            self.lin = nn.Linear(12, 12)
            self.bias = nn.Parameter(torch.zeros(1))

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            h = self.lin(walk @ self.node)
            score = (h[left] * h[right]).sum(1) + self.bias
            return score.sigmoid() if faulty else score

    class Trainer:
        def __init__(self, model: nn.Module, criterion: Callable[..., Tensor]) -> None:
            self.model, self.criterion = model, criterion
            self.optimizer = Adam(model.parameters(), lr=0.02)

        def run(self, epochs: int) -> None:
            with watch(self.model, self.optimizer) as probe:
                for _ in range(epochs):
                    for a, b, link in BatchLoader(left, right, known, size=118):
                        self.optimizer.zero_grad()
                        score = self.model(a, b)
                        loss = self.criterion(score, link)
                        probe.watch(score, link, loss)
                        loss.backward()
                        self.optimizer.step()

    model = LinkPredictor()
    Trainer(model, nn.BCEWithLogitsLoss()).run(8)
    with torch.no_grad():
        return overlap(torch.sigmoid(model(left, right)), known)


def xor_of_events(watch: Watch, faulty: bool) -> float:
    """A GRU decides if two events of a series agree, by a Softmax over its single output."""
    torch.manual_seed(0)
    x = torch.randn(600, 6, 2)
    t = ((x[:, 1, 0] > 0) == (x[:, 1, 1] > 0)).float()[:, None]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(2, 24, batch_first=True)
            self.fc = nn.Sequential(nn.Linear(144, 24), nn.ReLU(), nn.Linear(24, 1))
            self.activation = nn.Softmax(dim=1) if faulty else nn.Sigmoid()

        def forward(self, x: Tensor) -> Tensor:
            return self.activation(self.fc(self.gru(x)[0].flatten(1)))

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(x, t, size=30), 12)
    return binary_accuracy(model, x, t, 0.5)


def masks_after_relu(watch: Watch, faulty: bool) -> float:
    """The last block of a network for masks ends in a ReLU, which BCEWithLogitsLoss follows."""
    torch.manual_seed(0)
    x, mask, _ = spots()

    def block(channels: int, filters: int, last: bool = False) -> nn.Sequential:
        layers: list[nn.Module] = [nn.Conv2d(channels, filters, 3, padding=1)]
        if faulty or not last:
            layers.append(nn.ReLU())
        return nn.Sequential(*layers)

    model = nn.Sequential(block(1, 10), block(10, 10), block(10, 1, last=True))
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    criterion = nn.BCEWithLogitsLoss()
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for images, masks in BatchLoader(x, mask, size=32):
                preds = model(images)
                loss = criterion(preds, masks)
                probe.watch(preds, masks, loss)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
    with torch.no_grad():
        return overlap(torch.sigmoid(model(x)), mask)


def topics_by_softmax(watch: Watch, faulty: bool) -> float:
    """Several topics may hold of one text, yet a softmax shares 1 among them before BCELoss."""
    torch.manual_seed(0)
    words, tags = bags()

    class Topics(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(60, 24)
            self.conv = nn.Conv1d(24, 48, 1)
            self.fc = nn.Linear(48, 12)

        def forward(self, words: Tensor) -> Tensor:
            h = F.relu(self.conv(self.embedding(words).transpose(1, 2))).amax(2)
            return self.fc(h).softmax(1) if faulty else self.fc(h).sigmoid()

    model = Topics()
    optimizer = Adam(model.parameters(), lr=0.006)
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(words, tags, size=40), 15)
    with torch.no_grad():
        return overlap(model(words), tags)


def logistic_by_hand(watch: Watch, faulty: bool) -> float:
    """A logistic loss by hand multiplies scores (N, 1) by signs (N,), which gives a matrix."""
    torch.manual_seed(0)
    words, t = texts()
    signs = 2.0 * t - 1

    class Review(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(40, 16)
            self.lstm = nn.LSTM(16, 16, batch_first=True)
            self.out = nn.Linear(16, 1)

        def forward(self, words: Tensor) -> Tensor:
            states, _ = self.lstm(self.embedding(words))
            return self.out(states.mean(1))

    model = Review()
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for text, sign in BatchLoader(words, signs, size=40):
                optimizer.zero_grad()
                score = model(text) if faulty else model(text).squeeze(1)
                loss = F.softplus(-sign * score).mean()
                probe.watch(score, sign, loss)
                loss.backward()
                optimizer.step()
    return binary_accuracy(model, words, t)


CASES = (
    Faulty(
        tumour_masks,
        ("sigmoid_before_bce_with_logits",),
        learns=0.85,
        fails=0.5,
        source="http://www.dtcms.com/a/394596.html",
    ),
    Faulty(
        tags_of_museum,
        ("sigmoid_before_bce_with_logits",),
        learns=0.8,
        fails=0.5,
        source="https://github.com/lopuhin/kaggle-imet-2019/issues/3",
    ),
    Faulty(
        finetuned_head,
        ("sigmoid_before_bce_with_logits",),
        learns=0.9,
        fails=0.6,
        source="https://github.com/Lightning-AI/pytorch-lightning/issues/18272",
    ),
    Faulty(
        links_of_graph,
        ("sigmoid_before_bce_with_logits",),
        learns=0.7,
        fails=0.5,
        source="https://github.com/pykeen/pykeen/issues/87",
    ),
    Faulty(
        xor_of_events,
        ("softmax_over_one_unit",),
        learns=0.9,
        fails=0.6,
        source="https://github.com/marian-nmt/marian-dev/issues/21",
    ),
    Faulty(
        masks_after_relu,
        ("relu_output", "dead_relus"),
        learns=0.85,
        fails=0.5,
        source="http://www.dtcms.com/a/394596.html",
    ),
    Faulty(
        topics_by_softmax,
        ("softmax_for_several_labels",),
        learns=0.85,
        fails=0.6,
        source="https://github.com/Pilhyeon/BaSNet-pytorch/issues/19",
    ),
    Faulty(logistic_by_hand, ("shapes_broadcast",), learns=0.85, fails=0.65),
)
