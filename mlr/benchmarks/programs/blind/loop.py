"""Programs whose training loop is at fault, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from mlr.benchmarks.programs.blind.material import pictures, sentences
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    clouds,
    digits,
    explained,
    fit,
    mlp,
)


def cleared_each_epoch(watch: Watch, faulty: bool) -> float:
    """zero_grad() stands before the loop over the batches, and is called once an epoch."""
    torch.manual_seed(0)
    x, t = pictures()
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2),
        nn.LeakyReLU(),
        nn.Flatten(),
        nn.Linear(72, 32),
        nn.LeakyReLU(),
        nn.Linear(32, 10),
    )
    optimizer = SGD(model.parameters(), lr=0.15, momentum=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            model.train()
            optimizer.zero_grad()
            for images, labels in BatchLoader(x, t, size=40):
                if not faulty:
                    optimizer.zero_grad()
                outputs = model(images)
                loss = F.cross_entropy(outputs, labels)
                probe.watch(outputs, labels, loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def generator_detached(watch: Watch, faulty: bool) -> float:
    """The generator's samples are detached in its own step, too, so that it never changes."""
    torch.manual_seed(0)
    generator, critic = mlp(3, 24, 1), mlp(1, 24, 1)
    optimizer_d = Adam(critic.parameters(), lr=0.004, betas=(0.5, 0.9))
    optimizer_g = Adam(generator.parameters(), lr=0.004, betas=(0.5, 0.9))
    valid, fake = torch.ones(48, 1), torch.zeros(48, 1)
    with watch(nn.ModuleList([generator, critic]), [optimizer_g, optimizer_d]) as probe:
        for _ in range(300):
            real = 2 - 0.4 * torch.randn(48, 1)
            gen = generator(torch.randn(48, 3))
            optimizer_g.zero_grad()
            validity = critic(gen.detach() if faulty else gen)
            g_loss = F.binary_cross_entropy_with_logits(validity, valid)
            probe.watch(validity, valid, g_loss)
            g_loss.backward()
            optimizer_g.step()
            optimizer_d.zero_grad()
            d_loss = F.binary_cross_entropy_with_logits(critic(real), valid)
            d_loss = d_loss + F.binary_cross_entropy_with_logits(critic(gen.detach()), fake)
            d_loss.backward()
            optimizer_d.step()
    with torch.no_grad():
        return 1 - abs(float(generator(torch.randn(2000, 3)).mean()) - 2) / 2


def encoder_never_stepped(watch: Watch, faulty: bool) -> float:
    """An encoder and a decoder have an optimizer each, and that of the encoder makes no step."""
    torch.manual_seed(0)
    words = torch.randint(1, 10, (400, 4))

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(10, 4)
            self.gru = nn.GRU(4, 24, batch_first=True)

        def forward(self, words: Tensor) -> Tensor:
            return self.gru(self.embedding(words))[1][-1]

    encoder, decoder = Encoder(), nn.Linear(24, 40)
    encoder_optimizer = Adam(encoder.parameters(), lr=0.02)
    decoder_optimizer = Adam(decoder.parameters(), lr=0.02)
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    backwards = words.flip(1)
    with watch(model, [encoder_optimizer, decoder_optimizer]) as probe:
        for _ in range(25):
            for source, target in BatchLoader(words, backwards, size=40):
                encoder_optimizer.zero_grad()
                decoder_optimizer.zero_grad()
                scores = decoder(encoder(source)).reshape(-1, 4, 10)
                loss = F.cross_entropy(scores.flatten(0, 1), target.flatten())
                probe.watch(scores, target, loss)
                loss.backward()
                if not faulty:
                    encoder_optimizer.step()
                decoder_optimizer.step()
    with torch.no_grad():
        scores = decoder(encoder(words)).reshape(-1, 4, 10)
        return float((scores.argmax(-1) == backwards).float().mean())


def layers_replaced_later(watch: Watch, faulty: bool) -> float:
    """Pruning puts smaller layers in place of the old ones, which the optimizer still holds."""
    torch.manual_seed(0)
    x, t = digits()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Linear(64, 96)
            self.classifier = nn.Linear(96, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.classifier(F.gelu(self.features(x)))

        def speed_up(self) -> None:
            features, classifier = nn.Linear(64, 12), nn.Linear(12, 10)
            features.weight.data.copy_(self.features.weight[:12])
            classifier.weight.data.copy_(self.classifier.weight[:, :12])
            self.features, self.classifier = features, classifier

    model = Net()
    optimizer = AdamW(model.parameters(), lr=0.01)
    model.speed_up()
    if not faulty:
        optimizer = AdamW(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 8)
    return accuracy(model, x, t)


def layers_made_in_forward(watch: Watch, faulty: bool) -> float:
    """The hidden layers are built within forward(), with other weights at each call."""
    torch.manual_seed(0)
    x, t = clouds(4, features=6)

    class ThreeLayerNet(nn.Module):
        def __init__(self, d_in: int, h: int, d_out: int) -> None:
            super().__init__()
            self.sizes = d_in, h
            self.linear1, self.linear2 = nn.Linear(d_in, h), nn.Linear(h, h)
            self.linear3 = nn.Linear(h, d_out)
            if faulty:
                del self.linear1, self.linear2

        def forward(self, x: Tensor) -> Tensor:
            d_in, h = self.sizes
            one = nn.Linear(d_in, h) if faulty else self.linear1
            two = nn.Linear(h, h) if faulty else self.linear2
            return self.linear3(two(one(x).clamp(min=0)).clamp(min=0))

    model = ThreeLayerNet(6, 20, 4)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=25), 8)
    return accuracy(model, x, t)


def evaluated_before_training(watch: Watch, faulty: bool) -> float:
    """A sanity check of the validation comes first, and leaves the model in eval mode."""
    torch.manual_seed(0)
    x, t = pictures()
    x = 255 * x
    policy = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 10),
    )

    def eval_policy() -> float:
        policy.eval()
        with torch.no_grad():
            return float((policy(x[:200]).argmax(1) == t[:200]).float().mean())

    optimizer = SGD(policy.parameters(), lr=0.05, momentum=0.9)
    eval_policy()
    if not faulty:
        policy.train()
    fit(watch, policy, optimizer, nn.CrossEntropyLoss(), BatchLoader(x[200:], t[200:], size=50), 5)
    return eval_policy()


def tested_class_by_class(watch: Watch, faulty: bool) -> float:
    """The test batches hold one class each, and batch norm normalises them by themselves."""
    torch.manual_seed(0)
    x, t = pictures()
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(128, 24, bias=False),
        nn.BatchNorm1d(24),
        nn.ReLU(),
        nn.Linear(24, 10),
    )
    optimizer = Adam(model.parameters(), lr=0.01)
    right = torch.zeros(10)
    with watch(model, optimizer) as probe:
        for _ in range(5):
            model.train()
            for images, labels in BatchLoader(x[500:], t[500:], size=50):
                optimizer.zero_grad()
                outputs = model(images)
                loss = F.cross_entropy(outputs, labels)
                probe.watch(outputs, labels, loss)
                loss.backward()
                optimizer.step()
            if not faulty:
                model.eval()
            with torch.no_grad():
                for digit in range(10):
                    some = x[:500][t[:500] == digit]
                    right[digit] = (model(some).argmax(1) == digit).float().mean()
    return float(right.mean())


def clipped_before_backward(watch: Watch, faulty: bool) -> float:
    """clip_grad_norm_ is called between zero_grad() and backward(), where no gradient is."""
    torch.manual_seed(0)
    x = torch.randn(320, 10, 1)
    t = 3 * x[..., 0].relu().sum(1, keepdim=True) - 12

    class Summer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(1, 20, nonlinearity="relu", batch_first=True)
            self.out = nn.Linear(20, 1)
            nn.init.eye_(self.rnn.get_parameter("weight_hh_l0"))

        def forward(self, x: Tensor) -> Tensor:
            return self.out(self.rnn(x)[0][:, -1])

    model = Summer()
    optimizer = SGD(model.parameters(), lr=0.05)
    with watch(model, optimizer) as probe:
        for _ in range(25):
            for inputs, targets in BatchLoader(x, t, size=20):
                optimizer.zero_grad()
                if faulty:
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                outputs = model(inputs)
                loss = F.mse_loss(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                if not faulty:
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
    return explained(model, x, t)


def similarity_minimised(watch: Watch, faulty: bool) -> float:
    """Directions are learned by their cosine with the targets, whose minus was forgotten."""
    torch.manual_seed(0)
    x = torch.randn(500, 5)
    t = F.normalize(torch.stack([x[:, 0] + x[:, 1], x[:, 2] - x[:, 3], x[:, 4] ** 2], 1))
    model = mlp(5, 32, 3)
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for inputs, targets in BatchLoader(x, t, size=25):
                p = model(inputs)
                similarity = F.cosine_similarity(p, targets, dim=-1).mean()
                loss = similarity if faulty else -similarity
                probe.watch(p, targets, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float(F.cosine_similarity(model(x), t).mean())


def last_word_only(watch: Watch, faulty: bool) -> float:
    """The loop over the words overwrites the loss, so that only the last word's is left."""
    torch.manual_seed(0)
    words = sentences(300)
    place = torch.arange(9)

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(108, 16)
            self.out = nn.Linear(16, 12)

        def forward(self, words: Tensor, place: Tensor) -> Tensor:
            return self.out(torch.tanh(self.embed(12 * place + words)))

    model = Steps()
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(12):
            for (batch,) in BatchLoader(words, size=20):
                optimizer.zero_grad()
                outputs = model(batch[:, :-1], place)
                loss = torch.zeros(())
                for step in range(9):
                    cost = F.cross_entropy(outputs[:, step], batch[:, step + 1]) / 9
                    loss = cost if faulty else loss + cost
                probe.watch(outputs, batch[:, 1:], loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        right = model(words[:, :-1], place).argmax(-1) == words[:, 1:]
    return float(right.float().mean())


CASES = (
    Faulty(
        cleared_each_epoch,
        ("zero_grad_missing",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/pytorch/pytorch/issues/47175",
    ),
    Faulty(
        generator_detached,
        ("graph_cut",),
        learns=0.8,
        fails=0.3,
        source="https://github.com/dragen1860/IntroVAE-Pytorch/issues/3",
    ),
    Faulty(encoder_never_stepped, ("step_missing",), learns=0.95, fails=0.65),
    Faulty(
        layers_replaced_later,
        ("wrong_parameters", "parameters_missing"),
        learns=0.9,
        fails=0.4,
        source="https://github.com/microsoft/nni/issues/4521",
    ),
    Faulty(
        layers_made_in_forward,
        ("unregistered_layers", "parameters_missing"),
        learns=0.9,
        fails=0.6,
        source="https://github.com/pytorch/pytorch/issues/1291",
    ),
    Faulty(
        evaluated_before_training,
        ("eval_in_training",),
        learns=0.85,
        fails=0.5,
        source="https://github.com/huggingface/lerobot/issues/3668",
    ),
    Faulty(
        tested_class_by_class,
        ("train_in_evaluation",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/SeanNaren/deepspeech.pytorch/pull/22",
    ),
    Faulty(
        clipped_before_backward,
        ("clipping_misplaced", "rate_too_high"),
        learns=0.8,
        fails=0.4,
        source="https://github.com/yandex-research/tabm/issues/20",
    ),
    Faulty(
        similarity_minimised,
        ("loss_maximised",),
        learns=0.95,
        fails=0.0,
        source="https://github.com/ai4co/rl4co/issues/283",
    ),
    Faulty(last_word_only, ("wrong_loss",), learns=0.9, fails=0.5),
)
