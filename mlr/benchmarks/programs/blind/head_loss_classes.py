"""Programs of several classes whose output does not fit the loss, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from mlr.benchmarks.programs.blind.material import pictures, spots, texts
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import BatchLoader, accuracy, digits, fit, informed


def recurrent_softmax(watch: Watch, faulty: bool) -> float:
    """An LSTM reads an image row by row, and its classifier ends in a softmax."""
    torch.manual_seed(0)
    x, t = pictures()
    rows, t = x[:900].squeeze(1), t[:900]

    class RowReader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(8, 24, batch_first=True)
            self.output_layers = nn.Sequential(nn.Linear(24, 32), nn.Tanh(), nn.Linear(32, 10))
            if faulty:
                self.output_layers.append(nn.Softmax(dim=-1))

        def forward(self, rows: Tensor) -> Tensor:
            _, (hidden, _) = self.lstm(rows)
            return self.output_layers(hidden[-1])

    model = RowReader()
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.9)
    cls_criterion = nn.CrossEntropyLoss()
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for X, y in BatchLoader(rows, t, size=60):
                optimizer.zero_grad()
                predictions = model(X)
                loss = cls_criterion(predictions, y)
                probe.watch(predictions, y, loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, rows, t)


def matching_by_attention(watch: Watch, faulty: bool) -> float:
    """Episodes of five classes: the softmax over the similarities is handed to cross_entropy."""
    torch.manual_seed(0)
    x, t = digits()
    x = torch.cat([x, 1.5 * torch.randn(len(x), 32)], 1)
    members = [x[t == digit] for digit in range(10)]
    encoder = nn.Sequential(nn.Linear(96, 32), nn.LeakyReLU(), nn.Linear(32, 8))
    optimizer = SGD(encoder.parameters(), lr=0.02)
    queries = torch.arange(5).repeat_interleave(6)

    def similarities(classes: Tensor) -> Tensor:
        drawn = [members[k][torch.randperm(len(members[k]))[:8]] for k in classes.tolist()]
        shots = encoder(torch.stack([some[:2] for some in drawn]).flatten(0, 1))
        asked = encoder(torch.stack([some[2:] for some in drawn]).flatten(0, 1))
        return -8 * torch.cdist(asked, shots.reshape(5, 2, 8).mean(1)).square()

    with watch(encoder, optimizer) as probe:
        for _ in range(300):
            outputs = similarities(torch.randperm(10)[:5])
            if faulty:
                outputs = outputs.softmax(dim=1)
            loss = F.cross_entropy(outputs, queries)
            probe.watch(outputs, queries, loss)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        episodes = [similarities(torch.randperm(10)[:5]) for _ in range(20)]
        if faulty:
            episodes = [outputs.softmax(1).log() for outputs in episodes]
        right = [(outputs.argmax(1) == queries).float().mean() for outputs in episodes]
    return float(torch.stack(right).mean())


def tagger_over_the_batch(watch: Watch, faulty: bool) -> float:
    """A transformer tags words, and takes the log-softmax of (B, T, K) over axis 0."""
    torch.manual_seed(0)
    words = torch.randint(24, (320, 6))
    tags = (words + torch.cat([words[:, :1], words[:, :-1]], 1)) % 2 + 2 * (words % 3 == 0)

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(24, 32)
            self.place = nn.Parameter(0.5 * torch.randn(6, 32))
            self.block = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
            self.tag = nn.Linear(32, 4)

        def forward(self, words: Tensor) -> Tensor:
            z = self.tag(self.block(self.embed(words) + self.place))
            return F.log_softmax(z, dim=0 if faulty else -1)

    model = Tagger()
    optimizer = AdamW(model.parameters(), lr=0.004)
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for inputs, targets in BatchLoader(words, tags, size=40):
                log_probs = model(inputs)
                loss = F.nll_loss(log_probs.flatten(0, 1), targets.flatten())
                probe.watch(log_probs, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        singly = torch.cat([model(one).argmax(-1) for one in words.split(1)])
    return float((singly == tags).float().mean())


def softmax_over_rows(watch: Watch, faulty: bool) -> float:
    """Each pixel has one of three classes, and the log-softmax runs over the rows of the map."""
    torch.manual_seed(0)
    x, mask, _ = spots(300)
    t = (mask + ((mask == 0) & (F.max_pool2d(mask, 3, 1, 1) > 0))).squeeze(1).long()
    t[(mask == 0).squeeze(1) & (t == 1)] = 2

    class Segmenter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
            self.conv2 = nn.Conv2d(16, 16, 3, padding=1)
            self.classify = nn.Conv2d(16, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            z = self.classify(F.relu(self.conv2(F.relu(self.conv1(x)))))
            return F.log_softmax(z, dim=2 if faulty else 1).permute(0, 2, 3, 1)

    model = Segmenter()
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.NLLLoss()
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for images, labels in BatchLoader(x, t, size=20):
                optimizer.zero_grad()
                scores = model(images)
                loss = criterion(scores.reshape(-1, 3), labels.reshape(-1))
                probe.watch(scores, labels, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        found = model(x).argmax(-1)
    return float(min((found[t == one] == one).float().mean() for one in range(3)))


def class_head_of_critic(watch: Watch, faulty: bool) -> float:
    """A critic tells drawn digits from noise and names their class, by Softmax and NLLLoss."""
    torch.manual_seed(0)
    x, t = digits()

    class Critic(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Sequential(nn.Linear(64, 48), nn.LeakyReLU(0.2), nn.Dropout(0.1))
            self.fc_dis, self.fc_aux = nn.Linear(48, 1), nn.Linear(48, 10)
            self.softmax = nn.Softmax(dim=1) if faulty else nn.LogSoftmax(dim=1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            h = self.main(x)
            return torch.sigmoid(self.fc_dis(h)), self.softmax(self.fc_aux(h))

    model = Critic()
    optimizer = SGD(model.parameters(), lr=0.03, momentum=0.5)
    dis_criterion, aux_criterion = nn.BCELoss(), nn.NLLLoss()
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for images, labels in BatchLoader(x, t, size=50):
                optimizer.zero_grad()
                real, classes = model(images)
                made, _ = model(torch.rand_like(images))
                aux_loss = aux_criterion(classes, labels)
                dis_loss = dis_criterion(real, torch.ones_like(real))
                dis_loss = dis_loss + dis_criterion(made, torch.zeros_like(made))
                loss = aux_loss + 0.5 * dis_loss
                probe.watch(classes, labels, loss)
                loss.backward()
                optimizer.step()
    model.eval()
    with torch.no_grad():
        return float((model(x)[1].argmax(1) == t).float().mean())


def one_sigmoid_for_three(watch: Watch, faulty: bool) -> float:
    """Three classes, one output, and a binary cross-entropy against the numbers 0, 1 and 2."""
    torch.manual_seed(0)
    images, t = pictures()
    images, t = images[t < 3], t[t < 3]
    model = nn.Sequential(
        nn.Conv2d(1, 6, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(54, 1 if faulty else 3),
    )
    optimizer = RMSprop(model.parameters(), lr=0.003)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for inputs, labels in BatchLoader(images, t, size=16):
                optimizer.zero_grad()
                outputs = model(inputs)
                if faulty:
                    targets = labels.float().unsqueeze(1)
                    loss = F.binary_cross_entropy_with_logits(outputs, targets)
                else:
                    targets = labels
                    loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    if not faulty:
        return accuracy(model, images, t)
    with torch.no_grad():
        return float((torch.sigmoid(model(images)).round().flatten() == t).float().mean())


def class_index_by_rmse(watch: Watch, faulty: bool) -> float:
    """The number of the class is learned by a root mean square error, and rounded."""
    torch.manual_seed(0)
    images, t = pictures()
    t = torch.randperm(10)[t]
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(128, 24),
        nn.Tanh(),
        nn.Linear(24, 1 if faulty else 10),
    )
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, targets in BatchLoader(images, t, size=50):
                optimizer.zero_grad()
                outputs = model(inputs)
                if faulty:
                    outputs, targets = outputs.squeeze(1), targets.float()
                    loss = torch.sqrt(F.mse_loss(outputs, targets))
                else:
                    loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    if not faulty:
        return accuracy(model, images, t)
    with torch.no_grad():
        return float((model(images).squeeze(1).round() == t).float().mean())


def cosines_as_logits(watch: Watch, faulty: bool) -> float:
    """The logits are cosines between features and class vectors, with the scale left out."""
    torch.manual_seed(0)
    x, t = digits()

    class CosineHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 24))
            self.weight = nn.Parameter(torch.randn(10, 24))
            self.scale = 1.0 if faulty else 16.0

        def forward(self, x: Tensor) -> Tensor:
            features = F.normalize(self.body(x))
            return self.scale * F.linear(features, F.normalize(self.weight))

    model = CosineHead()
    optimizer = AdamW(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=100), 12)
    with torch.no_grad():
        return informed(F.cross_entropy(model(x), t), 10)


def texts_of_raw_scores(watch: Watch, faulty: bool) -> float:
    """The text classifier returns raw scores, and the loop calls nll_loss on them."""
    torch.manual_seed(0)
    words, t = texts()

    class TextClassifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(40, 16)
            self.conv = nn.Conv1d(16, 24, 3, padding=1)
            self.fc = nn.Linear(24, 2)

        def forward(self, words: Tensor) -> Tensor:
            h = torch.relu(self.conv(self.embedding(words).transpose(1, 2)))
            z = self.fc(h.mean(2))
            return z if faulty else torch.log_softmax(z, 1)

    model = TextClassifier()
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for inputs, targets in BatchLoader(words, t):
                model.zero_grad()
                outputs = model(inputs)
                loss = F.nll_loss(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return informed(F.cross_entropy(model(words), t))


CASES = (
    Faulty(
        recurrent_softmax,
        ("softmax_before_cross_entropy",),
        learns=0.85,
        fails=0.5,
        source="https://github.com/eriklindernoren/Action-Recognition/issues/23",
    ),
    Faulty(
        matching_by_attention,
        ("softmax_before_cross_entropy",),
        learns=0.75,
        fails=0.6,
        source="https://github.com/gitabcworld/MatchingNetworks/issues/5",
    ),
    Faulty(
        tagger_over_the_batch,
        ("softmax_over_batch",),
        learns=0.85,
        fails=0.5,
        source="https://github.com/MicrosoftDocs/pytorchfundamentals/pull/21",
    ),
    Faulty(
        softmax_over_rows,
        ("softmax_over_wrong_axis", "nll_without_log_softmax"),
        learns=0.9,
        fails=0.75,
        source="https://github.com/HRNet/HRNet-Semantic-Segmentation/pull/271",
    ),
    Faulty(
        class_head_of_critic,
        ("nll_without_log_softmax",),
        learns=0.85,
        fails=0.4,
        source="https://github.com/clvrai/ACGAN-PyTorch/pull/4",
    ),
    Faulty(
        one_sigmoid_for_three,
        ("targets_out_of_range", "labels_out_of_range", "classes_as_numbers"),
        learns=0.95,
        fails=0.7,
        source="https://github.com/zzh8829/yolov3-tf2/issues/91",
    ),
    Faulty(
        class_index_by_rmse,
        ("classes_as_numbers",),
        learns=0.95,
        fails=0.6,
        source="https://github.com/chemprop/chemprop/issues/839",
    ),
    Faulty(
        cosines_as_logits,
        ("bounded_logits",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/zergylord/oneshot/issues/2",
    ),
    Faulty(
        texts_of_raw_scores,
        ("nll_without_log_softmax",),
        learns=0.8,
        fails=0.0,
        source="https://github.com/pytorch/pytorch/pull/12703",
    ),
)
