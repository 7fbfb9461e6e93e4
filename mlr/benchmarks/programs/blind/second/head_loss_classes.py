"""Programs of several classes whose output does not fit the loss, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, RMSprop

from mlr.benchmarks.programs.blind.material import pictures, sequences, spots
from mlr.benchmarks.programs.blind.second.material import citations
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    clouds,
    digits,
    fit,
    informed,
    mlp,
)


def activity_of_sensors(watch: Watch, faulty: bool) -> float:
    """A convolution over sensors returns F.softmax, as in print-outs, to CrossEntropyLoss."""
    torch.manual_seed(0)
    x, t = sequences()

    class Activity(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Sequential(nn.Conv1d(2, 16, 3, padding=1), nn.ReLU())
            self.fc1 = nn.Sequential(nn.Linear(16 * 8, 32), nn.ReLU())
            self.fc2 = nn.Linear(32, 4)

        def forward(self, x: Tensor) -> Tensor:
            out = self.conv1(x.transpose(1, 2))
            out = self.fc2(self.fc1(out.reshape(-1, 16 * 8)))
            return F.softmax(out, dim=1) if faulty else out

    model = Activity()
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    fit(watch, model, optimizer, criterion, BatchLoader(x, t, size=32), 10)
    with torch.no_grad():
        return informed(criterion(model(x), t), 4)


def matching_by_attention_again(watch: Watch, faulty: bool) -> float:
    """Similarities to a support set are softmaxed as attention, and go to cross_entropy."""
    torch.manual_seed(0)
    x, t = clouds(8, features=12, count=640, spread=0.7)

    class Matching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = mlp(12, 32, 16)
            self.register_buffer("support", x[:8])

        def forward(self, queries: Tensor) -> Tensor:
            similarities = self.embed(queries) @ self.embed(self.support).T
            return similarities.softmax(dim=1) if faulty else similarities

    model = Matching()
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for queries, classes in BatchLoader(x, t, size=64):
                preds = model(queries)
                crossentropy_loss = F.cross_entropy(preds, classes)
                probe.watch(preds, classes, crossentropy_loss)
                optimizer.zero_grad()
                crossentropy_loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 8.0)
                optimizer.step()
    with torch.no_grad():
        return informed(F.cross_entropy(model(x), t), 8)


def values_of_moves(watch: Watch, faulty: bool) -> float:
    """A policy ends in Softmax(dim=0), right for one state, and is trained on batches of them."""
    torch.manual_seed(0)
    states, moves = clouds(9, features=6, count=900, spread=0.7)
    model = nn.Sequential(
        nn.Linear(6, 32),
        nn.LeakyReLU(),
        nn.Linear(32, 9),
        nn.Softmax(dim=0 if faulty else 1),
    )
    optimizer = Adam(model.parameters(), lr=0.005)

    def loss_fn(preds: Tensor, chosen: Tensor) -> Tensor:
        return -torch.log(preds.gather(1, chosen[:, None]).squeeze(1) + 1e-8).mean()

    fit(watch, model, optimizer, loss_fn, BatchLoader(states, moves, size=10), 4)
    with torch.no_grad():  # it plays one state at a time
        played = torch.cat([model(state[None]) for state in states]).argmax(1)
        return float((played == moves).float().mean())


def regions_of_pictures(watch: Watch, faulty: bool) -> float:
    """A segmentation of three classes takes its softmax over pixels, dim 2, for a plain loss."""
    torch.manual_seed(0)
    x, mask, _ = spots(320)
    t = mask[:, 0].long()
    t[:, :, 4:] = torch.where(t[:, :, 4:] == 1, 2, 0)

    class Segmenter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(2, 16, 3, padding=1), nn.ReLU())
            self.last = nn.Conv2d(16, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            column = torch.linspace(-1, 1, 8).expand_as(x)
            scores = self.last(self.body(torch.cat([x, column], 1))).flatten(2)
            return F.log_softmax(scores, dim=2 if faulty else 1)

    model = Segmenter()
    optimizer = RMSprop(model.parameters(), lr=0.004)
    fit(watch, model, optimizer, F.nll_loss, BatchLoader(x, t.flatten(1), size=32), 16)
    with torch.no_grad():
        found, wanted = model(x).argmax(1), t.flatten(1)
        either = (found > 0) | (wanted > 0)
        return float((found == wanted)[either].float().mean())


def answers_to_a_survey(watch: Watch, faulty: bool) -> float:
    """Three questions have six answers each, and the softmax runs over the questions."""
    torch.manual_seed(0)
    x = torch.randn(800, 8)
    answers = torch.bucketize(x @ torch.randn(8, 3) / 8**0.5, torch.linspace(-1, 1, 5))

    class Survey(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared = nn.Sequential(nn.Linear(8, 32), nn.Tanh())
            self.questions = nn.Linear(32, 3 * 6)

        def forward(self, x: Tensor) -> Tensor:
            scores = self.questions(self.shared(x)).reshape(-1, 3, 6)
            return F.log_softmax(scores, dim=1 if faulty else 2)

    model = Survey()
    optimizer = Adam(model.parameters(), lr=0.01)
    loss_function = nn.NLLLoss()
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for people, targets in BatchLoader(x, answers, size=40):
                model.zero_grad()
                log_shares = model(people).flatten(0, 1)
                loss = loss_function(log_shares, targets.flatten())
                probe.watch(log_shares, targets.flatten(), loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float((model(x).argmax(2) == answers).float().mean())


def topics_by_transformer(watch: Watch, faulty: bool) -> float:
    """A transformer classifies sentences with a softmax and NLLLoss; the loss is negative."""
    torch.manual_seed(0)
    words = torch.randint(24, (600, 5))
    topics = words.max(1).values // 2

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.src_embed = nn.Embedding(24, 16)
            self.encoder = nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True)
            self.fc = nn.Linear(16, 12)
            self.softmax = nn.Softmax(dim=1) if faulty else nn.LogSoftmax(dim=1)

        def forward(self, words: Tensor) -> Tensor:
            return self.softmax(self.fc(self.encoder(self.src_embed(words)).mean(1)))

    model = Transformer()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit(watch, model, optimizer, nn.NLLLoss(), BatchLoader(words, topics, size=30), 12)
    return accuracy(model, words, topics)


def papers_by_graph(watch: Watch, faulty: bool) -> float:
    """A graph network hands its last layer to nll_loss as it is, and the loss falls for ever."""
    torch.manual_seed(0)
    features, adjacency, labels = citations()

    class GCN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gc1, self.gc2 = nn.Linear(10, 16), nn.Linear(16, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(adjacency @ self.gc1(x))
            x = adjacency @ self.gc2(x)
            return x if faulty else F.log_softmax(x, dim=1)

    model = GCN()
    optimizer = Adam(model.parameters(), lr=0.02)
    train = torch.arange(120)
    with watch(model, optimizer) as probe:
        for _ in range(100):
            model.train()
            optimizer.zero_grad()
            output, target = model(features)[train], labels[train]
            loss_train = F.nll_loss(output, target)
            probe.watch(output, target, loss_train)
            loss_train.backward()
            optimizer.step()
    with torch.no_grad():
        return float((model(features).argmax(1) == labels)[120:].float().mean())


def objects_by_cosine(watch: Watch, faulty: bool) -> float:
    """Cosines of pictures and class vectors are the logits, without a scale that widens them."""
    torch.manual_seed(0)
    x, t = digits()

    class Compose(nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.image, self.scale = mlp(64, 48, 24), scale
            self.classes = nn.Parameter(torch.randn(10, 24))

        def forward(self, x: Tensor) -> Tensor:
            image = F.normalize(self.image(x), dim=1)
            return self.scale * image @ F.normalize(self.classes, dim=1).T

    model = Compose(scale=1.0 if faulty else 16.0)
    optimizer = Adam(model.parameters(), lr=0.003)
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(x, t, size=64), 8)
    with torch.no_grad():
        return informed(F.cross_entropy(model(x), t), 10)


def pupil_of_a_teacher(watch: Watch, faulty: bool) -> float:
    """A pupil's softmax at a temperature goes to KLDivLoss, which expects its logarithm."""
    torch.manual_seed(0)
    x, t = clouds(5, features=10, count=700, spread=10.0)
    x = x / x.std()
    teacher, student = mlp(10, 64, 5), mlp(10, 16, 5)
    optimizer = Adam(teacher.parameters(), lr=0.01)
    for inputs, labels in BatchLoader(*[torch.cat([tensor] * 2) for tensor in (x, t)], size=50):
        optimizer.zero_grad()
        F.cross_entropy(teacher(inputs), labels).backward()
        optimizer.step()
    optimizer, temperature = Adam(student.parameters(), lr=0.01), 4.0
    soften = F.softmax if faulty else F.log_softmax
    kl_loss = nn.KLDivLoss(reduction="batchmean")
    with watch(student, optimizer) as probe:
        for _ in range(12):
            for (inputs,) in BatchLoader(x, size=50):
                with torch.no_grad():
                    soft_targets = F.softmax(teacher(inputs) / temperature, dim=1)
                soft_prob = soften(student(inputs) / temperature, dim=1)
                loss = kl_loss(soft_prob, soft_targets) * temperature**2
                probe.watch(soft_prob, soft_targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        wanted, given = F.softmax(teacher(x), dim=1), F.log_softmax(student(x), dim=1)
        rest, total = (
            F.kl_div(log, wanted, reduction="batchmean") for log in (given, wanted.mean(0).log())
        )
        return float(1 - rest / total)


def digit_as_a_quantity(watch: Watch, faulty: bool) -> float:
    """A network reads digits with one output and a squared error to the number of the class."""
    torch.manual_seed(0)
    x, t = pictures()
    x, t = x[:900], t[:900]
    t = torch.randperm(10)[t]
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 1 if faulty else 10)
    )
    optimizer = Adam(model.parameters(), lr=0.005)
    with watch(model, optimizer) as probe:
        for _ in range(16):
            for images, labels in BatchLoader(x, t, size=50):
                outputs = model(images)
                if faulty:
                    labels, outputs = labels.float(), outputs.squeeze(1)
                loss = F.mse_loss(outputs, labels) if faulty else F.cross_entropy(outputs, labels)
                probe.watch(outputs, labels, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    if faulty:
        with torch.no_grad():
            return float((model(x).squeeze(1).round() == t).float().mean())
    return accuracy(model, x, t)


CASES = (
    Faulty(
        activity_of_sensors,
        ("softmax_before_cross_entropy",),
        learns=0.8,
        fails=0.5,
        source="https://github.com/jindongwang/Deep-learning-activity-recognition/issues/10",
    ),
    Faulty(
        matching_by_attention_again,
        ("softmax_before_cross_entropy",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/gitabcworld/MatchingNetworks/issues/5",
    ),
    Faulty(
        values_of_moves,
        ("softmax_over_batch",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/DeepReinforcementLearning/"
        "DeepReinforcementLearningInAction/issues/32",
    ),
    Faulty(
        regions_of_pictures,
        ("softmax_over_wrong_axis",),
        learns=0.8,
        fails=0.6,
        source="https://github.com/HRNet/HRNet-Semantic-Segmentation/pull/271",
    ),
    Faulty(answers_to_a_survey, ("softmax_over_wrong_axis",), learns=0.9, fails=0.65),
    Faulty(
        topics_by_transformer,
        ("nll_without_log_softmax",),
        learns=0.95,
        fails=0.75,
        source="https://github.com/AnubhavGupta3377/Text-Classification-Models-Pytorch/issues/9",
    ),
    Faulty(
        papers_by_graph,
        ("nll_without_log_softmax",),
        learns=0.85,
        fails=0.74,
        source="https://github.com/midas-research/man-sf-emnlp/issues/2",
    ),
    Faulty(
        objects_by_cosine,
        ("bounded_logits",),
        learns=0.8,
        fails=0.5,
        source="https://github.com/ExplainableML/czsl/issues/30",
    ),
    Faulty(
        pupil_of_a_teacher,
        ("kl_without_log",),
        learns=0.9,
        fails=0.7,
        source="https://github.com/pytorch/pytorch/issues/5282",
    ),
    Faulty(digit_as_a_quantity, ("classes_as_numbers",), learns=0.9, fails=0.4),
)
