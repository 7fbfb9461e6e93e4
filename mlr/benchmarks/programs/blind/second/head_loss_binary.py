"""Programs of two classes, pairs or labels whose output does not fit the loss, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, NAdam, RMSprop

from mlr.benchmarks.programs.blind.material import spots, texts
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    binary_accuracy,
    clouds,
    digits,
    fit,
    informed,
    mlp,
)


def overlap(model: nn.Module, x: Tensor, mask: Tensor, threshold: float) -> float:
    """Return the share of pixels found by the model among those found or wanted."""
    with torch.no_grad():
        found = model(x) > threshold
    return float((found & mask.bool()).sum() / (found | mask.bool()).sum())


def links_of_a_network(watch: Watch, faulty: bool) -> float:
    """Two embeddings of people and a sigmoid say who knows whom, under BCEWithLogitsLoss."""
    torch.manual_seed(0)
    group = torch.randint(5, (80,))
    one, other = torch.randint(80, (2400,)), torch.randint(80, (2400,))
    knows = (group[one] == group[other]).float()

    class Links(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.people = nn.Embedding(80, 12)
            self.head = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 1))
            if faulty:
                self.head.append(nn.Sigmoid())

        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return self.head(self.people(one) * self.people(other)).squeeze(-1)

    model = Links()
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.BCEWithLogitsLoss()
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for a, b, label in BatchLoader(one, other, knows, size=80):
                optimizer.zero_grad()
                score = model(a, b)
                loss = criterion(score, label)
                probe.watch(score, label, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return informed(criterion(model(one, other), knows))


def mask_of_a_logo(watch: Watch, faulty: bool) -> float:
    """A mask of one channel goes through softmax over channels, a slip of the paper, to BCELoss."""
    torch.manual_seed(0)
    x, mask, _ = spots(320)

    class Retrieval(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Conv2d(1, 12, 3, padding=1)
            self.decoder = nn.Conv2d(12, 1, 3, padding=1)
            self.last = nn.Softmax(dim=1) if faulty else nn.Sigmoid()

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.decoder(F.elu(self.encoder(x))))

    model = Retrieval()
    optimizer = RMSprop(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(x, mask, size=32), 12)
    return overlap(model, x, mask, 0.5)


def poses_in_order(watch: Watch, faulty: bool) -> float:
    """MarginRankingLoss is given 0 for pairs whose second is better, and it knows only −1 and 1."""
    torch.manual_seed(0)
    first, second = torch.randn(600, 6), torch.randn(600, 6)

    def worth(x: Tensor) -> Tensor:
        return x[:, 0] - 0.5 * x[:, 1] + x[:, 2].abs() - x[:, 3].abs()

    swap = worth(first) > worth(second)  # the files hold the worse of two poses first
    first[swap], second[swap] = second[swap], first[swap]
    labels = torch.zeros(600) if faulty else -torch.ones(600)
    ranker = mlp(6, 24, 1)
    optimizer = SGD(ranker.parameters(), lr=0.05, momentum=0.9)
    criterion = nn.MarginRankingLoss(margin=0.5)
    with watch(ranker, optimizer) as probe:
        for _ in range(20):
            for left, right, label in BatchLoader(first, second, labels, size=40):
                output_1, output_2 = ranker(left).squeeze(1), ranker(right).squeeze(1)
                loss = criterion(output_1, output_2, label)
                probe.watch(output_1, label, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float((ranker(first) < ranker(second)).float().mean())


def same_digit_or_not(watch: Watch, faulty: bool) -> float:
    """A siamese network's contrastive loss takes 1 as different, and the pairs have 1 as same."""
    torch.manual_seed(0)
    x, t = digits()
    x, t = x[t < 4], t[t < 4]
    left = torch.randint(len(x), (900,))
    right = torch.randint(len(x), (900,))
    for place in range(0, 900, 2):  # every second pair is of one class
        right[place] = torch.nonzero(t == t[left[place]])[place % 100, 0]
    same = (t[left] == t[right]).float()

    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = mlp(64, 32, 8)

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return F.pairwise_distance(self.branch(a), self.branch(b))

    def contrastive_loss(distance: Tensor, label: Tensor, margin: float = 2.0) -> Tensor:
        pull, push = distance.square(), torch.relu(margin - distance).square()
        return ((1 - label) * pull + label * push).mean()

    model = Siamese()
    optimizer = Adam(model.parameters(), lr=0.002)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for a, b, label in BatchLoader(
                x[left], x[right], same if faulty else 1 - same, size=50
            ):
                optimizer.zero_grad()
                distance = model(a, b)
                loss = contrastive_loss(distance, label)
                probe.watch(distance, label, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float(((model(x[left], x[right]) < 1) == same.bool()).float().mean())


def dice_of_scores(watch: Watch, faulty: bool) -> float:
    """The soft Dice loss is computed from the raw output of the last convolution."""
    torch.manual_seed(0)
    x, mask, _ = spots(320)

    class DiceLoss(nn.Module):
        def forward(self, inputs: Tensor, targets: Tensor, smooth: float = 1.0) -> Tensor:
            inputs, targets = inputs.flatten(1), targets.flatten(1)
            intersection = (inputs * targets).sum(1)
            total = inputs.sum(1) + targets.sum(1)
            return 1 - ((2 * intersection + smooth) / (total + smooth)).mean()

    model = nn.Sequential(nn.Conv2d(1, 10, 3, padding=1), nn.ReLU(), nn.Conv2d(10, 1, 3, padding=1))
    if not faulty:
        model.append(nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, DiceLoss(), BatchLoader(x, mask, size=32), 12)
    return overlap(model, x, mask, 0.5)


def masks_of_255(watch: Watch, faulty: bool) -> float:
    """Masks read from image files are 0 and 255, and go to BCEWithLogitsLoss undivided."""
    torch.manual_seed(0)
    x, mask, _ = spots(320)
    files = (mask * 255).to(torch.uint8)
    targets = files.float() if faulty else files.float() / 255

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(1, 16, 2, stride=2)
            self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
            self.out = nn.Conv2d(9, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            deep = torch.relu(self.up(torch.relu(self.down(x))))
            return self.out(torch.cat([x, deep], 1))

    model = Net()
    optimizer = AdamW(model.parameters(), lr=0.01)
    criterion = nn.BCEWithLogitsLoss()
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 15)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for images, masks in BatchLoader(x, targets, size=32):
                optimizer.zero_grad()
                outputs = model(images)
                loss = criterion(outputs, masks)
                probe.watch(outputs, masks, loss)
                loss.backward()
                optimizer.step()
            scheduler.step()
    return overlap(model, x, mask, 0.0)


def genres_of_films(watch: Watch, faulty: bool) -> float:
    """A film has several genres, and their shares under BCELoss come from a softmax."""
    torch.manual_seed(0)
    x = torch.randn(700, 10)
    genres = (x @ torch.randn(10, 6) / 10**0.5 > -0.3).float()
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 6))
    model.append(nn.Softmax(dim=1) if faulty else nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(x, genres, size=50), 12)
    with torch.no_grad():
        return float(((model(x) > 0.5) == genres.bool()).float().mean())


def likes_of_readers(watch: Watch, faulty: bool) -> float:
    """A reader of texts ends in a sigmoid, and its trainer applies one more before BCELoss."""
    torch.manual_seed(0)
    words, t = texts()

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.EmbeddingBag(40, 16)
            self.fc1, self.fc2 = nn.Linear(16, 16), nn.Linear(16, 1)

        def forward(self, words: Tensor) -> Tensor:
            y = self.fc2(torch.relu(self.fc1(self.embed(words)))).squeeze(1)
            return torch.sigmoid(y) if faulty else y

    class Trainer:
        def __init__(self, model: nn.Module) -> None:
            self.model, self.loss = model, nn.BCELoss()
            self.optimizer = NAdam(model.parameters(), lr=0.01)

        def predict(self, words: Tensor) -> Tensor:
            return torch.sigmoid(self.model(words))

        def train(self, epochs: int) -> None:
            with watch(self.model, self.optimizer) as probe:
                for _ in range(epochs):
                    for inputs, targets in BatchLoader(words, t.float(), size=40):
                        outputs = self.predict(inputs)
                        loss = self.loss(outputs, targets)
                        probe.watch(outputs, targets, loss)
                        self.optimizer.zero_grad()
                        loss.backward()
                        self.optimizer.step()

    trainer = Trainer(Reader())
    trainer.train(10)
    with torch.no_grad():
        return informed(F.binary_cross_entropy(trainer.predict(words), t.float()))


def spam_between_bounds(watch: Watch, faulty: bool) -> float:
    """An output is clamped to [0, 1] so that BCELoss does not complain."""
    torch.manual_seed(0)
    x, t = clouds(2, features=8, count=700, spread=2.0)
    x = x / x.std()

    class Spam(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mlp(8, 24, 24, 1)

        def forward(self, x: Tensor) -> Tensor:
            out = 3 * self.layers(x).squeeze(1)
            return out.clamp(0, 1) if faulty else torch.sigmoid(out)

    model = Spam()
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(x, t.float(), size=32), 12)
    return binary_accuracy(model, x, t, 0.5)


CASES = (
    Faulty(links_of_a_network, ("sigmoid_before_bce_with_logits",), learns=0.8, fails=0.5),
    Faulty(
        mask_of_a_logo,
        ("softmax_over_one_unit",),
        learns=0.8,
        fails=0.4,
        source="https://github.com/AyanKumarBhunia/Deep-One-Shot-Logo-Retrieval/issues/7",
    ),
    Faulty(
        poses_in_order,
        ("labels_out_of_range",),
        learns=0.85,
        fails=0.6,
        source="https://github.com/seathiefwang/RankPose/issues/4",
    ),
    Faulty(
        same_digit_or_not,
        ("labels_inverted",),
        learns=0.9,
        fails=0.6,
        source="https://github.com/keras-team/keras/issues/4980",
    ),
    Faulty(
        dice_of_scores,
        ("probabilities_expected",),
        learns=0.8,
        fails=0.6,
        source="https://github.com/jakeret/tf_unet/issues/15",
    ),
    Faulty(
        masks_of_255,
        ("targets_out_of_range",),
        learns=0.8,
        fails=0.5,
        source="https://github.com/milesial/Pytorch-UNet/issues/78",
    ),
    Faulty(
        genres_of_films,
        ("softmax_for_several_labels",),
        learns=0.9,
        fails=0.7,
        source="https://discuss.pytorch.org/t/using-bcewithlogisloss-for-multi-label-classification"
        "/67011",
    ),
    Faulty(likes_of_readers, ("sigmoid_twice",), learns=0.9, fails=0.4),
    Faulty(spam_between_bounds, ("clamped_output",), learns=0.9, fails=0.75),
)
