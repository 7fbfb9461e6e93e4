"""Sound programs whose outputs or loss look odd, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from mlr.benchmarks.programs.blind.material import pictures, sentences, spots
from mlr.benchmarks.programs.case import LookAlike, Watch, unwatched
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
)


def variational_autoencoder(watch: Watch) -> float:
    """A sigmoid decoder under a summed cross-entropy, of which the pixels' own part stays."""
    torch.manual_seed(0)
    x, _ = digits()
    x = x[:900]

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Sequential(nn.Linear(64, 48), nn.ReLU())
            self.mu, self.log_var = nn.Linear(48, 8), nn.Linear(48, 8)
            self.decode = nn.Sequential(
                nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 64), nn.Sigmoid()
            )

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            h = self.encode(x)
            mu, log_var = self.mu(h), self.log_var(h)
            z = mu + torch.randn_like(mu) * (0.5 * log_var).exp()
            return self.decode(z), mu, log_var

    model = VAE()
    optimizer = Adam(model.parameters(), lr=0.003)
    with watch(model, optimizer, reduction="sum") as probe:
        for _ in range(20):
            for (images,) in BatchLoader(x, size=45):
                recon, mu, log_var = model(images)
                bce = F.binary_cross_entropy(recon, images, reduction="sum")
                kld = -0.5 * torch.sum(1 + log_var - mu**2 - log_var.exp())
                loss = bce + kld
                probe.watch(recon, images, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return explained(model.decode, model.mu(model.encode(x)), x)


def pairs_of_views(watch: Watch) -> float:
    """Two noisy views of a digit find each other: the classes are the batch's own examples."""
    torch.manual_seed(0)
    x, _ = digits()
    encoder = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 16))
    optimizer = AdamW(encoder.parameters(), lr=0.005)

    def similarities(images: Tensor) -> Tensor:
        one, two = (encoder(images + 0.2 * torch.randn_like(images)) for _ in range(2))
        return F.normalize(one) @ F.normalize(two).T / 0.1

    with watch(encoder, optimizer) as probe:
        for _ in range(8):
            for (images,) in BatchLoader(x[:1792], size=64):
                logits = similarities(images)
                labels = torch.arange(len(images))
                loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
                probe.watch(logits, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        right = similarities(x[:64]).argmax(1) == torch.arange(64)
    return float(right.float().mean())


def map_with_void_border(watch: Watch) -> float:
    """Segmentation of (B, K, H, W), in which the border of a picture is void, class 255."""
    torch.manual_seed(0)
    images, mask, _ = spots(300)
    t = mask.squeeze(1).long()
    t[:, [0, -1]] = 255
    t[:, :, [0, -1]] = 255
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1),
        nn.GroupNorm(3, 12),
        nn.ReLU(),
        nn.Conv2d(12, 12, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 2, 1),
    )
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for pixels, labels in BatchLoader(images, t, size=20):
                scores = model(pixels).permute(0, 2, 3, 1)
                loss = F.cross_entropy(scores.flatten(0, 2), labels.flatten(), ignore_index=255)
                probe.watch(scores, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        found = model(images).argmax(1)
    return float(min((found[t == one] == one).float().mean() for one in range(2)))


def masked_words(watch: Watch) -> float:
    """A transformer fills in masked words: four in five targets are −100."""
    torch.manual_seed(0)
    words = sentences(400, words=8)

    class Filler(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.place = nn.Embedding(9, 32), nn.Parameter(torch.randn(10, 32))
            self.block = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
            self.head = nn.Linear(32, 9)

        def forward(self, words: Tensor) -> Tensor:
            return self.head(self.block(self.embed(words) + self.place))

    model = Filler()
    optimizer = AdamW(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for (batch,) in BatchLoader(words, size=50):
                hidden = torch.rand(batch.shape) < 0.2
                labels = batch.masked_fill(~hidden, -100)
                logits = model(batch.masked_fill(hidden, 8))
                loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
                probe.watch(logits, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        asked = words.clone()
        asked[:, 4] = 8
        return float((model(asked)[:, 4].argmax(1) == words[:, 4]).float().mean())


def quantiles(watch: Watch) -> float:
    """Three quantiles (B, 3) are learned from one number (B, 1), broadcast on purpose."""
    torch.manual_seed(0)
    x, price = houses()
    price = price + 0.3 * torch.randn_like(price)
    levels = torch.tensor([0.1, 0.5, 0.9])
    model = mlp(5, 32, 3)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(20):
            for inputs, targets in BatchLoader(x, price):
                predicted = model(inputs)
                wanted = targets.expand(-1, 3)
                error = wanted - predicted
                loss = torch.maximum(levels * error, (levels - 1) * error).mean()
                probe.watch(predicted, wanted, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return explained(nn.Identity(), model(x)[:, 1:2], price)


def bright_pixels_counted(watch: Watch) -> float:
    """The number of bright pixels is regressed on: whole numbers that are no classes."""
    torch.manual_seed(0)
    x, _ = digits()
    count = (x > 0.5).sum(1, keepdim=True).float()
    count = (count - 20) / 5
    model = mlp(64, 32, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, count, size=60), 15)
    return explained(model, x, count)


def hinge_of_signs(watch: Watch) -> float:
    """Labels −1 and 1 are right for a squared hinge loss, and most examples end up without one."""
    torch.manual_seed(0)
    x, t = clouds(2, features=6, spread=1.5)
    signs = (2.0 * t - 1)[:, None]
    model = mlp(6, 16, 1, activation=nn.Tanh)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)

    def squared_hinge(outputs: Tensor, targets: Tensor) -> Tensor:
        return (1 - targets * outputs).clamp(min=0).square().mean()

    fit(watch, model, optimizer, squared_hinge, BatchLoader(x, signs, size=20), 10)
    return binary_accuracy(model, x, t)


def triplets(watch: Watch) -> float:
    """A triplet loss becomes exactly 0 for most batches, which then have no gradient."""
    torch.manual_seed(0)
    x, t = digits()
    members = [x[t == digit] for digit in range(10)]
    model = nn.Sequential(nn.Linear(64, 48), nn.PReLU(), nn.Linear(48, 8))
    optimizer = Adam(model.parameters(), lr=0.003)
    criterion = nn.TripletMarginLoss(margin=0.5)
    with watch(model, optimizer) as probe:
        for _ in range(250):
            kinds, others = torch.randint(10, (24,)), torch.randint(1, 10, (24,))
            draws = torch.rand(3, 24)

            def drawn(digits: Tensor, shares: Tensor) -> Tensor:
                pairs = zip(digits.tolist(), shares.tolist(), strict=True)
                return torch.stack([members[k][int(r * len(members[k]))] for k, r in pairs])

            anchor = model(drawn(kinds, draws[0]))
            same = model(drawn(kinds, draws[1]))
            other = model(drawn((kinds + others) % 10, draws[2]))
            loss = criterion(anchor, same, other)
            probe.watch(anchor, same.detach(), loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        codes = model(x)
        centres = torch.stack([codes[t == digit].mean(0) for digit in range(10)])
        return float((torch.cdist(codes, centres).argmin(1) == t).float().mean())


def distilled(watch: Watch) -> float:
    """A student gets log-softmax and a teacher softmax at a temperature of 4, next to labels."""
    torch.manual_seed(0)
    x, t = digits()
    teacher, student = mlp(64, 64, 10), mlp(64, 16, 10)
    before = Adam(teacher.parameters(), lr=0.01)
    fit(unwatched, teacher, before, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 5)
    optimizer = Adam(student.parameters(), lr=0.01)
    with watch(student, optimizer) as probe:
        for _ in range(8):
            for inputs, labels in BatchLoader(x, t, size=64):
                with torch.no_grad():
                    soft = (teacher(inputs) / 4).softmax(1)
                logits = student(inputs)
                loss = 16 * F.kl_div((logits / 4).log_softmax(1), soft, reduction="batchmean")
                loss = 0.7 * loss + 0.3 * F.cross_entropy(logits, labels)
                probe.watch(logits, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return accuracy(student, x, t)


def labels_often_wrong(watch: Watch) -> float:
    """Three labels in ten are wrong, so that the loss stays high in a model that is right."""
    torch.manual_seed(0)
    x, t = clouds(5, features=10, count=1500)
    noisy = torch.where(torch.rand(1500) < 0.3, torch.randint(5, (1500,)), t)
    model = mlp(10, 16, 5)
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.5)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, noisy, size=50), 10)
    return accuracy(model, x, t)


def one_in_forty(watch: Watch) -> float:
    """One example in 40 is of the rare class, and is found without any weights."""
    torch.manual_seed(0)
    t = (torch.arange(2000) % 40 == 0).float()
    x = torch.randn(2000, 5)
    x[:, 2:] += 2.5 * t[:, None]
    model = nn.Sequential(mlp(5, 16, 1), nn.Flatten(0))
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), BatchLoader(x, t, size=40), 15)
    with torch.no_grad():
        found = model(x) > 0
    return float(min(found[t == 1].float().mean(), (~found[t == 0]).float().mean()))


def overlap_of_masks(watch: Watch) -> float:
    """A Dice loss by hand, 1 less the overlap, on sigmoids of masks of few pixels."""
    torch.manual_seed(0)
    images, mask, _ = spots(300, size=2)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 1, 3, padding=1), nn.Sigmoid()
    )
    optimizer = RMSprop(model.parameters(), lr=0.005)

    def dice(outputs: Tensor, targets: Tensor) -> Tensor:
        common = (outputs * targets).sum((1, 2, 3))
        both = outputs.sum((1, 2, 3)) + targets.sum((1, 2, 3))
        return 1 - ((2 * common + 1) / (both + 1)).mean()

    fit(watch, model, optimizer, dice, BatchLoader(images, mask, size=20), 12)
    with torch.no_grad():
        found = model(images) > 0.5
    return float(found[mask == 1].float().mean())


def smooth_pictures(watch: Watch) -> float:
    """A decoder ends in a tanh, and pixels were scaled to [−1, 1], most of them at −1."""
    torch.manual_seed(0)
    images, _ = pictures()
    images = 2 * images[:900] - 1
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 16),
        nn.ReLU(),
        nn.Linear(16, 128),
        nn.ReLU(),
        nn.Unflatten(1, (8, 4, 4)),
        nn.ConvTranspose2d(8, 1, 4, stride=2, padding=1),
        nn.Tanh(),
    )
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(images, images, size=45), 20)
    return explained(model, images, images)


CASES = (
    LookAlike(variational_autoencoder, learns=0.65),
    LookAlike(pairs_of_views, learns=0.7),
    LookAlike(map_with_void_border, learns=0.9),
    LookAlike(masked_words, learns=0.9),
    LookAlike(quantiles, learns=0.8),
    LookAlike(bright_pixels_counted, learns=0.65),
    LookAlike(hinge_of_signs, learns=0.9),
    LookAlike(triplets, learns=0.8),
    LookAlike(distilled, learns=0.9),
    LookAlike(labels_often_wrong, learns=0.95),
    LookAlike(one_in_forty, learns=0.75),
    LookAlike(overlap_of_masks, learns=0.85),
    LookAlike(smooth_pictures, learns=0.8),
)
