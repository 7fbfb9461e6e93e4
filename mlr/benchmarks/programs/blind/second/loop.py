"""Programs with a fault in their loop, written blind."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam
from torch.optim.lr_scheduler import StepLR

from mlr.benchmarks.programs.blind.material import pictures, spots, texts
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    binary_accuracy,
    clouds,
    digits,
    explained,
    fit,
    mlp,
    wave,
)


def multiples_of_numbers(watch: Watch, faulty: bool) -> float:
    """A regression clears its gradients between backward and step."""
    torch.manual_seed(0)
    x, y = wave(400)
    model = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss_fn = nn.MSELoss()
    with watch(model, optimizer) as probe:
        for _ in range(80):
            for inputs, targets in BatchLoader(x, y, size=50):
                y_pred = model(inputs)
                loss = loss_fn(y_pred, targets)
                probe.watch(y_pred, targets, loss)
                if not faulty:
                    optimizer.zero_grad()
                loss.backward()
                if faulty:
                    optimizer.zero_grad()
                optimizer.step()
    return explained(model, x, y)


def sharper_pictures(watch: Watch, faulty: bool) -> float:
    """A StepLR that should lower the rate in the middle epoch is stepped after each batch."""
    torch.manual_seed(0)
    x, _ = pictures()
    x = x[:400] - 0.3
    small, epochs = F.avg_pool2d(x, 2), 20

    class Generator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Conv2d(1, 20, 3, padding=1), nn.PReLU())
            self.upsample = nn.Sequential(nn.Conv2d(20, 16, 3, padding=1), nn.PixelShuffle(2))
            self.last = nn.Conv2d(4, 1, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.upsample(self.block(x)))

    net = Generator()
    optimizer = Adam(net.parameters(), lr=0.01)
    scheduler = StepLR(optimizer, step_size=epochs // 2, gamma=0.1)
    with watch(net, optimizer) as probe:
        for _ in range(epochs):
            for lowres, highres in BatchLoader(small, x, size=32):
                net.zero_grad()
                fake = net(lowres)
                loss = F.mse_loss(fake, highres)
                probe.watch(fake, highres, loss)
                loss.backward()
                optimizer.step()
                if faulty:
                    scheduler.step()
            if not faulty:
                scheduler.step()
    return explained(net, small, x)


def encoder_of_observations(watch: Watch, faulty: bool) -> float:
    """Observations are encoded within torch.no_grad, so that only the head is trained."""
    torch.manual_seed(0)
    x, _, corner = spots(500)
    y = (corner - corner.mean(0)) / corner.std(0)

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convnet = nn.Sequential(
                nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 6), nn.Tanh()
            )

        def forward(self, obs: Tensor) -> Tensor:
            return self.convnet(obs)

    class Agent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.actor = Encoder(), mlp(6, 24, 2)

        def forward(self, obs: Tensor) -> Tensor:
            with torch.set_grad_enabled(torch.is_grad_enabled() and not faulty):
                obs = self.encoder(obs)
            return self.actor(obs)

    agent = Agent()
    optimizer = Adam(agent.parameters(), lr=0.005)
    fit(watch, agent, optimizer, nn.SmoothL1Loss(), BatchLoader(x, y, size=25), 20)
    return explained(agent, x, y)


def arms_of_a_bandit(watch: Watch, faulty: bool) -> float:
    """REINFORCE without the minus: the loss is log_prob times reward."""
    torch.manual_seed(0)
    x, best = clouds(4, features=6, count=800, spread=0.8)
    policy = mlp(6, 32, 4)
    optimizer = Adam(policy.parameters(), lr=0.01)
    with watch(policy, optimizer) as probe:
        for _ in range(15):
            for states, arms in BatchLoader(x, best, size=40):
                logits = policy(states)
                m = torch.distributions.Categorical(logits=logits)
                action = m.sample()
                reward = (action == arms).float() - 0.25
                loss = m.log_prob(action) * reward if faulty else -m.log_prob(action) * reward
                loss = loss.mean()
                probe.watch(logits, action, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return accuracy(policy, x, best)


def variational_digits(watch: Watch, faulty: bool) -> float:
    """A VAE takes the mean squared error of a pixel, but the sum of the divergences of a batch."""
    torch.manual_seed(0)
    x, _ = digits()
    x = (x[:800] - x.mean()) / x.std()

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ELU())
            self.mu, self.logvar = nn.Linear(64, 10), nn.Linear(64, 10)
            self.decoder = mlp(10, 64, 64, activation=nn.ELU)

        def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
            hidden = self.encoder(x)
            return self.mu(hidden), self.logvar(hidden)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            mu, logvar = self.encode(x)
            z = mu + torch.randn_like(mu) * (logvar / 2).exp()
            return self.decoder(z), mu, logvar

    vae = VAE()
    optimizer = Adam(vae.parameters(), lr=0.006)
    with watch(vae, optimizer) as probe:
        for _ in range(25):
            for (batch,) in BatchLoader(x, size=40):
                optimizer.zero_grad()
                recon, mu, logvar = vae(batch)
                kld = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
                if faulty:
                    loss = F.mse_loss(recon, batch) + kld
                else:
                    loss = (0.5 * F.mse_loss(recon, batch, reduction="sum") / 0.3 + kld) / 40
                probe.watch(recon, batch, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        restored = vae.decoder(vae.encode(x)[0])
        return float(1 - (restored - x).square().mean() / (x - x.mean(0)).square().mean())


def opinions_by_vectors(watch: Watch, faulty: bool) -> float:
    """Word vectors come by Embedding.from_pretrained, which freezes them unless told otherwise."""
    torch.manual_seed(0)
    words, t = texts()
    vectors = 0.5 * torch.randn(40, 4)

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding.from_pretrained(vectors.clone(), freeze=faulty)
            self.linear = nn.Linear(4, 1)

        def forward(self, words: Tensor) -> Tensor:
            return self.linear(self.embedding(words).sum(1)).squeeze(1)

    model = Classifier()
    optimizer = Adagrad(model.parameters(), lr=0.1)
    criterion = nn.BCEWithLogitsLoss()
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for inputs, targets in BatchLoader(words, t.float(), size=40):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = criterion(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
    return binary_accuracy(model, words, t)


CASES = (
    Faulty(
        multiples_of_numbers,
        ("zero_grad_misplaced",),
        learns=0.9,
        fails=0.3,
        source="http://xiaobeizi.cn/x/6iuujguWdu",
    ),
    Faulty(
        sharper_pictures,
        ("rate_decays_too_soon",),
        learns=0.83,
        fails=0.72,
        source="https://github.com/leftthomas/SRGAN/issues/94",
    ),
    Faulty(
        encoder_of_observations,
        ("graph_cut",),
        learns=0.9,
        fails=0.7,
        source="https://github.com/rll-research/cic/issues/5",
    ),
    Faulty(
        arms_of_a_bandit,
        ("loss_maximised",),
        learns=0.95,
        fails=0.3,
        source="https://datascience.stackexchange.com/questions/57114/understanding-reinforce-loss",
    ),
    Faulty(
        variational_digits,
        ("term_outweighs",),
        learns=0.7,
        fails=0.2,
        source="https://github.com/y0ast/VAE-Torch/issues/11",
    ),
    Faulty(
        opinions_by_vectors,
        ("frozen",),
        learns=0.9,
        fails=0.75,
        source="https://github.com/RUCAIBox/RecBole/issues/2046",
    ),
)
