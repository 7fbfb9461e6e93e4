"""Programs of two classes, masks, pairs or several labels that do not fit the loss, blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, RMSprop

from mlr.benchmarks.programs.blind.material import spots, texts
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    binary_accuracy,
    clouds,
    fit,
    informed,
    mlp,
)


class UNet(nn.Module):
    """A small net with one way down, one up, and a skip connection."""

    def __init__(self, end: nn.Module | None = None) -> None:
        super().__init__()
        self.inc = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU())
        self.down = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(12, 8, 2, stride=2)
        self.outc = nn.Conv2d(16, 1, 3, padding=1)
        self.end = nn.Identity() if end is None else end

    def forward(self, x: Tensor) -> Tensor:
        """Return a map (count, 1, 8, 8) of the picture's pixels."""
        skip = self.inc(x)
        return self.end(self.outc(torch.cat([skip, self.up(self.down(skip))], dim=1)))


def soft_dice(shares: Tensor, masks: Tensor) -> Tensor:
    """Return the loss of Dice, which takes probabilities."""
    shares, masks = shares.flatten(1), masks.flatten(1)
    both = (shares * masks).sum(1)
    return 1 - ((2 * both + 1) / (shares.sum(1) + masks.sum(1) + 1)).mean()


def mask_of_a_sigmoid(watch: Watch, faulty: bool) -> float:
    """A U-Net ends in a sigmoid, and the loss of its masks is BCEWithLogitsLoss."""
    torch.manual_seed(0)
    x, mask, _ = spots(400)
    model = UNet(nn.Sigmoid() if faulty else None)
    optimizer = RMSprop(model.parameters(), lr=0.005)
    criterion = nn.BCEWithLogitsLoss()
    fit(watch, model, optimizer, criterion, BatchLoader(x, mask, size=25), 6)
    with torch.no_grad():
        return informed(criterion(model(x), mask))


def dice_of_two_sigmoids(watch: Watch, faulty: bool) -> float:
    """The loss of Dice applies a sigmoid, though the net of the masks ends in one."""
    torch.manual_seed(0)
    x, mask, _ = spots(400)

    class BinaryDiceLoss(nn.Module):
        def forward(self, output: Tensor, target: Tensor) -> Tensor:
            return soft_dice(torch.sigmoid(output), target)

    model = nn.Sequential(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.Conv2d(16, 1, 1))
    if faulty:
        model.append(nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = BinaryDiceLoss()
    fit(watch, model, optimizer, criterion, BatchLoader(x, mask, size=25), 10)
    with torch.no_grad():
        return float(1 - criterion(model(x), mask))


def dice_of_logits(watch: Watch, faulty: bool) -> float:
    """The loss of Dice, which takes probabilities, gets the numbers of the last convolution."""
    torch.manual_seed(0)
    x, mask, _ = spots(400)
    model = UNet(None if faulty else nn.Sigmoid())
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for images, masks in BatchLoader(x, mask, size=25):
                output = model(images)
                loss = soft_dice(output, masks)
                probe.watch(output, masks, loss)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
    with torch.no_grad():
        return float(1 - soft_dice((model(x) > 0.5).float(), mask))


def mask_of_bytes(watch: Watch, faulty: bool) -> float:
    """Masks are read as bytes, 0 and 255, and are not divided by 255 before the loss."""
    torch.manual_seed(0)
    x, mask, _ = spots(400)
    stored = (255 * mask).to(torch.uint8)
    model = UNet()
    optimizer = RMSprop(model.parameters(), lr=0.003, momentum=0.5)
    with watch(model, optimizer) as probe:
        for _ in range(6):
            for image, bytes_ in BatchLoader(x, stored, size=25):
                true_masks = bytes_.float() if faulty else bytes_.float() / 255
                masks_pred = model(image)
                loss = F.binary_cross_entropy_with_logits(masks_pred, true_masks)
                probe.watch(masks_pred, true_masks, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        found, right = model(x) > 0, mask.bool()
        return float((found & right).sum() / (found | right).sum())


def next_basket(watch: Watch, faulty: bool) -> float:
    """The items of the next basket get a softmax, and the loss is binary_cross_entropy."""
    torch.manual_seed(0)
    past = (torch.rand(700, 10) < 0.4).float()
    following = torch.maximum(past.roll(1, 1), past.roll(2, 1) * (1 - past))
    model = mlp(10, 48, 10)
    model.append(nn.Softmax(dim=-1) if faulty else nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(past, following, size=35), 15)
    with torch.no_grad():
        return float(((model(past) > 0.5) == following.bool()).all(1).float().mean())


def one_label_reward(watch: Watch, faulty: bool) -> float:
    """A GRU of texts has one label, whose score passes a softmax over the labels."""
    torch.manual_seed(0)
    words, t = texts(640)

    class Classifier(nn.Module):
        def __init__(self, num_labels: int = 1) -> None:
            super().__init__()
            self.embedding = nn.Embedding(40, 12)
            self.gru = nn.GRU(12, 16, batch_first=True)
            self.score = nn.Linear(16, num_labels)

        def forward(self, words: Tensor) -> Tensor:
            states, _ = self.gru(self.embedding(words))
            logits = self.score(states.mean(1))
            return logits.softmax(-1) if faulty else logits.sigmoid()

    model = Classifier()
    optimizer = Adam(model.parameters(), lr=0.01)
    labels = t.float()[:, None]
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(words, labels, size=40), 8)
    return binary_accuracy(model, words, t, 0.5)


def pairs_of_sentences(watch: Watch, faulty: bool) -> float:
    """Pairs are labelled 1 and 0, where cosine_embedding_loss expects 1 and −1."""
    torch.manual_seed(0)
    x, t = clouds(6, 10, 900, spread=0.7)
    x = 0.4 * x + 1
    other = torch.where(torch.arange(900) % 2 == 0, torch.arange(900), torch.randperm(900))
    partner = (other + 6 * torch.randint(1, 20, (900,))) % 900
    same = t == t[partner]
    y = torch.where(same, 1, 0 if faulty else -1)
    tower = mlp(10, 32, 16, activation=nn.Tanh)
    optimizer = Adam(tower.parameters(), lr=0.003)
    with watch(tower, optimizer) as probe:
        for _ in range(15):
            for a, b, label in BatchLoader(x, x[partner], y, size=50):
                left, right = tower(a), tower(b)
                loss = F.cosine_embedding_loss(left, right, label, margin=0.2)
                probe.watch(F.cosine_similarity(left, right), label, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        near = F.cosine_similarity(tower(x), tower(x[partner])) > 0.6
        return float((near == same).float().mean())


def signatures(watch: Watch, faulty: bool) -> float:
    """A contrastive loss takes 1 as forged, and the pairs of signatures are 1 if genuine."""
    torch.manual_seed(0)
    x, writer = clouds(5, 12, 800, spread=0.7)
    partner = torch.randperm(800)
    half = torch.arange(800) < 400
    partner[half] = (torch.arange(400) + 5 * torch.randint(1, 30, (400,))) % 800
    genuine = (writer == writer[partner]).float()
    net = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 8))
    optimizer = Adam(net.parameters(), lr=0.002)

    def contrastive(distance: Tensor, y: Tensor, margin: float = 2.0) -> Tensor:
        near, far = distance.square(), (margin - distance).clamp(min=0).square()
        return ((1 - y) * near + y * far).mean() if faulty else (y * near + (1 - y) * far).mean()

    with watch(net, optimizer) as probe:
        for _ in range(8):
            for a, b, y in BatchLoader(x, x[partner], genuine, size=40):
                distance = F.pairwise_distance(net(a), net(b))
                loss = contrastive(distance, y)
                probe.watch(distance, y, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        near = F.pairwise_distance(net(x), net(x[partner])) < 1
        return float((near == genuine.bool()).float().mean())


CASES = (
    Faulty(
        mask_of_a_sigmoid,
        ("sigmoid_before_bce_with_logits",),
        learns=0.8,
        fails=0.3,
        source="https://github.com/avBuffer/UNet3plus_pth/issues/23",
    ),
    Faulty(
        dice_of_two_sigmoids,
        ("sigmoid_twice",),
        learns=0.85,
        fails=0.4,
        source="https://github.com/Hsuxu/Loss_ToolBox-PyTorch/issues/11",
    ),
    Faulty(
        dice_of_logits,
        ("probabilities_expected",),
        learns=0.9,
        fails=0.6,
        source="https://github.com/ScrollPrize/villa/pull/1644",
    ),
    Faulty(
        mask_of_bytes,
        ("targets_out_of_range",),
        learns=0.85,
        fails=0.6,
        source="https://github.com/milesial/Pytorch-UNet/issues/78",
    ),
    Faulty(
        next_basket,
        ("softmax_for_several_labels",),
        learns=0.85,
        fails=0.4,
        source="https://github.com/HaojiHu/Sets2Sets/issues/3",
    ),
    Faulty(
        one_label_reward,
        ("softmax_over_one_unit",),
        learns=0.85,
        fails=0.6,
        source="https://github.com/vllm-project/vllm/pull/18313",
    ),
    Faulty(
        pairs_of_sentences,
        ("labels_out_of_range",),
        learns=0.9,
        fails=0.75,
        source="https://github.com/datawhalechina/thorough-pytorch/issues/39",
    ),
    Faulty(
        signatures,
        ("labels_inverted", "wrong_loss"),
        learns=0.9,
        fails=0.5,
        source="https://github.com/VinhLoiIT/signet-pytorch/issues/2",
    ),
)
