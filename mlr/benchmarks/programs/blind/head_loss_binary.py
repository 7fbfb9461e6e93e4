"""Programs of two classes or several labels whose output does not fit the loss, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam

from mlr.benchmarks.programs.blind.material import sequences, texts
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import BatchLoader, binary_accuracy, clouds, fit, informed


def several_topics(watch: Watch, faulty: bool) -> float:
    """A text may have several of five topics, and the rows of 0 and 1 go to cross_entropy."""
    torch.manual_seed(0)
    words = torch.randint(50, (700, 8))
    topics = torch.stack([(words % 5 == topic).sum(1) > 1 for topic in range(5)], 1).float()

    class Topics(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag = nn.EmbeddingBag(50, 24, mode="sum")
            self.head = nn.Sequential(nn.Linear(24, 48), nn.ReLU(), nn.Linear(48, 5))

        def forward(self, words: Tensor) -> Tensor:
            return self.head(self.bag(words))

    model = Topics()
    optimizer = Adam(model.parameters(), lr=0.005)
    criterion = F.cross_entropy if faulty else F.binary_cross_entropy_with_logits
    fit(watch, model, optimizer, criterion, BatchLoader(words, topics, size=25), 15)
    with torch.no_grad():
        shares = model(words).softmax(1) if faulty else torch.sigmoid(model(words))
        return float(((shares > 0.5) == topics.bool()).all(1).float().mean())


def focal_of_a_sigmoid(watch: Watch, faulty: bool) -> float:
    """A focal loss takes the sigmoid before binary_cross_entropy_with_logits, which has its own."""
    torch.manual_seed(0)
    x, t = sequences()
    t = (t > 1).float()

    class FocalLoss(nn.Module):
        def __init__(self, gamma: float = 2.0, alpha: float = 0.5) -> None:
            super().__init__()
            self.gamma, self.alpha = gamma, alpha

        def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
            probs = torch.sigmoid(inputs)
            logits = probs if faulty else inputs
            bce_loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
            p_t = probs * targets + (1 - probs) * (1 - targets)
            alpha_t = self.alpha * targets + (1 - self.alpha) * (1 - targets)
            return (alpha_t * (1 - p_t) ** self.gamma * bce_loss).mean()

    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(2, 12, 3, padding=1)
            self.fc = nn.Linear(96, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(torch.relu(self.conv(x.transpose(1, 2))).flatten(1)).squeeze(1)

    model = Detector()
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
    fit(watch, model, optimizer, FocalLoss(), BatchLoader(x, t, size=40), 10)
    with torch.no_grad():
        z = model(x)
        return informed(F.binary_cross_entropy_with_logits(z.sigmoid() if faulty else z, t))


def factors_of_likes(watch: Watch, faulty: bool) -> float:
    """Matrix factors predict who likes what by a sigmoid, and the loss is BCEWithLogitsLoss."""
    torch.manual_seed(0)
    tastes, kinds = torch.randn(60, 3), torch.randn(50, 3)
    users, items = torch.randint(60, (2000,)), torch.randint(50, (2000,))
    liked = ((tastes[users] * kinds[items]).sum(1) > 0).float()

    class Factors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed_user, self.embed_item = nn.Embedding(60, 8), nn.Embedding(50, 8)
            nn.init.normal_(self.embed_user.weight, std=0.1)
            nn.init.normal_(self.embed_item.weight, std=0.1)

        def forward(self, users: Tensor, items: Tensor) -> Tensor:
            pred = (self.embed_user(users) * self.embed_item(items)).sum(-1)
            return pred.sigmoid() if faulty else pred

    model = Factors()
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.BCEWithLogitsLoss()
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for u, i, label in BatchLoader(users, items, liked, size=50):
                model.zero_grad()
                pred = model(u, i)
                loss = criterion(pred, label)
                probe.watch(pred, label, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float(((model(users, items) > 0) == liked.bool()).float().mean())


def pair_of_drugs(watch: Watch, faulty: bool) -> float:
    """Two towers and a head of one unit, which a softmax follows."""
    torch.manual_seed(0)
    left, right = torch.randn(600, 5), torch.randn(600, 5)
    synergy = (left[:, 0] * right[:, 0] + left[:, 1] + right[:, 1] > 0).float()

    class Synergy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = nn.Sequential(nn.Linear(5, 12), nn.ReLU())
            self.right = nn.Sequential(nn.Linear(5, 12), nn.ReLU())
            self.final = nn.Sequential(nn.Linear(24, 24), nn.ReLU(), nn.Linear(24, 1))

        def forward(self, left: Tensor, right: Tensor) -> Tensor:
            hidden = self.final(torch.cat([self.left(left), self.right(right)], dim=1))
            return (torch.softmax(hidden, dim=1) if faulty else torch.sigmoid(hidden)).squeeze(1)

    model = Synergy()
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for a, b, y in BatchLoader(left, right, synergy, size=24):
                optimizer.zero_grad()
                prediction = model(a, b)
                loss = F.binary_cross_entropy(prediction, y)
                probe.watch(prediction, y, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float(((model(left, right) > 0.5) == synergy.bool()).float().mean())


def hinge_on_zero_one(watch: Watch, faulty: bool) -> float:
    """A support vector machine by hand: its labels should be −1 and 1, and are 0 and 1."""
    torch.manual_seed(0)
    x, t = clouds(2, features=10, spread=2.0)
    y = t.float() if faulty else 2.0 * t - 1
    model = nn.Linear(10, 1)
    optimizer = SGD(model.parameters(), lr=0.05)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for inputs, labels in BatchLoader(x, y, size=20):
                output = model(inputs).squeeze(1)
                loss = torch.clamp(1 - labels * output, min=0).mean()
                loss = loss + 0.001 * model.weight.square().sum()
                probe.watch(output, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return binary_accuracy(model, x, t)


def xor_with_relu_output(watch: Watch, faulty: bool) -> float:
    """XOR is learned by a network whose every layer ends in a ReLU, under a squared error."""
    torch.manual_seed(0)
    x = torch.randint(2, (400, 2)).float()
    t = (x[:, :1] != x[:, 1:]).float()
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    if faulty:
        model.append(nn.ReLU())
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.8)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, t, size=20), 20)
    return binary_accuracy(model, x, t, 0.5)


def logarithm_of_edges(watch: Watch, faulty: bool) -> float:
    """A focal loss by hand takes the logarithms of a sigmoid that is 0 or 1 for sure edges."""
    torch.manual_seed(0)
    x = 40 * torch.randn(900, 6)
    t = (x[:, 0] - x[:, 1] + 0.5 * x[:, 2] > 0).float()
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1), nn.Flatten(0))
    optimizer = Adam(model.parameters(), lr=0.005)

    def focal(inputs: Tensor, target: Tensor, gamma: float = 1.0) -> Tensor:
        if faulty:
            pos = torch.sigmoid(inputs)
            log_pos, log_neg = pos.log(), (1 - pos).log()
        else:
            log_pos, log_neg = F.logsigmoid(inputs), F.logsigmoid(-inputs)
        pos_term = -(1 - log_pos.exp()).pow(gamma) * target * log_pos
        neg_term = -(1 - log_neg.exp()).pow(gamma) * (1 - target) * log_neg
        return (pos_term + neg_term).mean()

    fit(watch, model, optimizer, focal, BatchLoader(x, t, size=30), 10)
    return binary_accuracy(model, x, t)


def opinions_after_two_sigmoids(watch: Watch, faulty: bool) -> float:
    """A reader of texts ends in a sigmoid, and the loop applies another before its BCELoss."""
    torch.manual_seed(0)
    words, t = texts()

    class Sentiment(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(40, 12)
            self.rnn = nn.RNN(12, 16, batch_first=True)
            self.out = nn.Linear(16, 1)

        def forward(self, words: Tensor) -> Tensor:
            states, _ = self.rnn(self.embedding(words))
            z = self.out(states.mean(1)).squeeze(1)
            return torch.sigmoid(z) if faulty else z

    model = Sentiment()
    optimizer = Adagrad(model.parameters(), lr=0.05)
    bce = nn.BCELoss()
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for inputs, targets in BatchLoader(words, t.float(), size=40):
                optimizer.zero_grad()
                outputs = torch.sigmoid(model(inputs))
                loss = bce(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float(((torch.sigmoid(model(words)) > 0.5) == t.bool()).float().mean())


CASES = (
    Faulty(
        several_topics,
        ("softmax_for_several_labels",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/open-mmlab/mmpretrain/issues/783",
    ),
    Faulty(
        focal_of_a_sigmoid,
        ("sigmoid_before_bce_with_logits",),
        learns=0.7,
        fails=0.4,
        source="https://github.com/itakurah/focal-loss-pytorch/pull/5",
    ),
    Faulty(
        factors_of_likes,
        ("sigmoid_before_bce_with_logits",),
        learns=0.95,
        fails=0.6,
        source="https://github.com/yudi-mars/daisyRec/pull/15",
    ),
    Faulty(
        pair_of_drugs,
        ("softmax_over_one_unit",),
        learns=0.9,
        fails=0.6,
        source="https://github.com/AstraZeneca/chemicalx/issues/78",
    ),
    Faulty(
        hinge_on_zero_one,
        ("labels_out_of_range",),
        learns=0.95,
        fails=0.8,
        source="https://github.com/deepchem/deepchem/pull/5018",
    ),
    Faulty(
        xor_with_relu_output,
        ("relu_output", "dead_relus"),
        learns=0.95,
        fails=0.6,
        source="https://stats.stackexchange.com/questions/433365",
    ),
    Faulty(
        logarithm_of_edges,
        ("log_of_softmax", "not_finite"),
        learns=0.95,
        fails=0.6,
        source="https://github.com/gnn-tracking/gnn_tracking/issues/104",
    ),
    Faulty(
        opinions_after_two_sigmoids,
        ("sigmoid_twice", "sigmoid_before_bce_with_logits"),
        learns=0.85,
        fails=0.55,
        source="https://github.com/cvg/glue-factory/issues/89",
    ),
)
