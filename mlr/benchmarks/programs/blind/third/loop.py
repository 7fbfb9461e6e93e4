"""Programs with a fault in the loop, the optimizer or the sum of the loss, written blind."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ExponentialLR

from mlr.benchmarks.programs.blind.material import pictures, sequences
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    digits,
    explained,
    fit,
    mlp,
    rings,
)


class Trainer:
    """Trains a model on batches of a loader."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        criterion: Callable[[Tensor, Tensor], Tensor],
        late_clearing: bool = False,
    ) -> None:
        self.model, self.optimizer, self.criterion = model, optimizer, criterion
        self.late_clearing = late_clearing

    def train(self, watch: Watch, loader: BatchLoader, epochs: int) -> None:
        """Train some epochs."""
        with watch(self.model, self.optimizer) as probe:
            for _ in range(epochs):
                for inputs, targets in loader:
                    outputs = self.model(inputs)
                    loss = self.criterion(outputs, targets)
                    probe.watch(outputs, targets, loss)
                    if not self.late_clearing:
                        self.optimizer.zero_grad()
                    loss.backward()
                    if self.late_clearing:
                        self.optimizer.zero_grad()
                    self.optimizer.step()


def cleared_between(watch: Watch, faulty: bool) -> float:
    """A trainer calls zero_grad between backward and step."""
    torch.manual_seed(0)
    x, t = (tensor[:800] for tensor in pictures())
    model = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))
    optimizer = AdamW(model.parameters(), lr=0.005, weight_decay=0.0)
    trainer = Trainer(model, optimizer, nn.CrossEntropyLoss(), late_clearing=faulty)
    trainer.train(watch, BatchLoader(x, t, size=40), 8)
    return accuracy(model, x, t)


def extractor_detaches(watch: Watch, faulty: bool) -> float:
    """An extractor keeps the features of a hooked layer detached, so that the body stays random."""
    torch.manual_seed(0)
    x, t = rings()

    class Extractor(nn.Module):
        def __init__(self, body: nn.Sequential) -> None:
            super().__init__()
            self.body = body
            self.kept: Tensor | None = None
            body[-1].register_forward_hook(self.keep)

        def keep(self, _: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
            self.kept = output.clone().detach() if faulty else output.clone()

        def forward(self, x: Tensor) -> Tensor:
            self.body(x)
            assert self.kept is not None
            return self.kept

    model = nn.Sequential(Extractor(mlp(2, 24, 24, 4)), nn.ReLU(), nn.Linear(4, 2))
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(x, t, size=40), 12)
    return accuracy(model, x, t)


def decay_every_batch(watch: Watch, faulty: bool) -> float:
    """The scheduler is meant for epochs, and steps after each batch."""
    torch.manual_seed(0)
    x, t = sequences(800)
    model = nn.Sequential(nn.Flatten(), mlp(16, 48, 4, activation=nn.GELU))
    optimizer = Adam(model.parameters(), lr=0.005)
    scheduler = ExponentialLR(optimizer, gamma=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for inputs, targets in BatchLoader(x, t, size=40):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
                if faulty:
                    scheduler.step()
            if not faulty:
                scheduler.step()
    return accuracy(model, x, t)


def tables_in_a_list(watch: Watch, faulty: bool) -> float:
    """The factors of users and items are embeddings in a plain list, which no optimizer sees."""
    torch.manual_seed(0)
    users, items = torch.randint(50, (2400,)), torch.randint(40, (2400,))
    tastes, kinds, liked = torch.randn(50, 2), torch.randn(40, 2), 0.5 * torch.randn(40)
    rating = (tastes[users] * kinds[items]).sum(1) + liked[items]

    class Factors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            tables = [nn.Embedding(50, 6), nn.Embedding(40, 6)]
            for table in tables:
                nn.init.normal_(table.weight, std=0.3)
            self.tables = tables if faulty else nn.ModuleList(tables)
            self.bias_user, self.bias_item = nn.Embedding(50, 1), nn.Embedding(40, 1)

        def forward(self, pairs: Tensor) -> Tensor:
            user, item = pairs.unbind(1)
            product = (self.tables[0](user) * self.tables[1](item)).sum(1)
            return product + self.bias_user(user)[:, 0] + self.bias_item(item)[:, 0]

    model = Factors()
    optimizer = Adam(model.parameters(), lr=0.02)
    pairs = torch.stack([users, items], 1)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(pairs, rating, size=60), 14)
    return explained(model, pairs, rating)


def divergence_of_a_vae(watch: Watch, faulty: bool) -> float:
    """A VAE adds a sum over the latent numbers to a mean over the pixels, and the sum wins."""
    torch.manual_seed(0)
    x, _ = digits()

    class VAE(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
            self.mean, self.log_var = nn.Linear(64, 12), nn.Linear(64, 12)
            self.decoder = mlp(12, 64, 64)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            h = self.encoder(x)
            mean, log_var = self.mean(h), self.log_var(h)
            noise = torch.randn_like(mean) if self.training else 0.0
            return self.decoder(mean + noise * (0.5 * log_var).exp()), mean, log_var

    model = VAE()
    optimizer = Adam(model.parameters(), lr=0.003)
    kld_weight = 1.0 if faulty else 0.0005
    with watch(model, optimizer) as probe:
        for _ in range(14):
            for (pixels,) in BatchLoader(x, size=60):
                optimizer.zero_grad()
                again, mean, log_var = model(pixels)
                kld = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum(1).mean()
                loss = F.mse_loss(again, pixels) + kld_weight * kld
                probe.watch(again, pixels, loss)
                loss.backward()
                optimizer.step()
    model.eval()
    with torch.no_grad():
        rest = F.mse_loss(model(x)[0], x)
        return float(1 - rest / (x - x.mean(0)).square().mean())


def model_fixed_too_late(watch: Watch, faulty: bool) -> float:
    """A validator returns a copy with other norms, after the optimizer was given the parameters."""
    torch.manual_seed(0)
    x, t = digits()

    def fixed(model: nn.Sequential) -> nn.Sequential:
        layers: list[nn.Module] = []
        for layer in model:
            if isinstance(layer, nn.Linear):
                layers.append(nn.Linear(layer.in_features, layer.out_features))
            else:
                layers.append(nn.LayerNorm(32) if isinstance(layer, nn.BatchNorm1d) else layer)
        return nn.Sequential(*layers)

    model = nn.Sequential(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    model = fixed(model)
    if not faulty:
        optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(x, t, size=45), 5)
    return accuracy(model, x, t)


def policy_without_a_minus(watch: Watch, faulty: bool) -> float:
    """A policy learns which of four levers pays in a context; its loss lacks the minus sign."""
    torch.manual_seed(0)
    contexts = torch.randn(1200, 4)
    best = (contexts @ torch.randn(4, 4)).argmax(1)
    policy = mlp(4, 32, 4)
    optimizer = Adam(policy.parameters(), lr=0.01)
    with watch(policy, optimizer) as probe:
        for _ in range(8):
            for context, lever in BatchLoader(contexts, best, size=60):
                log_probs = F.log_softmax(policy(context), dim=1)
                action = torch.multinomial(log_probs.detach().exp(), 1)
                reward = (action[:, 0] == lever).float()
                advantage = reward - reward.mean()
                chosen = log_probs.gather(1, action)[:, 0]
                loss = (chosen * advantage).mean() * (1 if faulty else -1)
                probe.watch(chosen, advantage, loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return accuracy(policy, contexts, best)


CASES = (
    Faulty(
        cleared_between,
        ("zero_grad_misplaced",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/sacmehta/EdgeNets/issues/14",
    ),
    Faulty(
        extractor_detaches,
        ("graph_cut",),
        learns=0.95,
        fails=0.8,
        source="https://github.com/lucidrains/CoCa-pytorch/issues/6",
    ),
    Faulty(
        decay_every_batch,
        ("rate_decays_too_soon",),
        learns=0.9,
        fails=0.7,
        source="https://github.com/ivadomed/ivadomed/pull/55",
    ),
    Faulty(
        tables_in_a_list,
        ("unregistered_layers", "parameters_missing"),
        learns=0.9,
        fails=0.4,
        source="https://github.com/pytorch/pytorch/issues/666",
    ),
    Faulty(
        divergence_of_a_vae,
        ("term_outweighs",),
        learns=0.7,
        fails=0.2,
        source="https://github.com/AntixK/PyTorch-VAE/issues/56",
    ),
    Faulty(
        model_fixed_too_late,
        ("wrong_parameters", "parameters_missing"),
        learns=0.9,
        fails=0.4,
        source="https://github.com/meta-pytorch/opacus/issues/432",
    ),
    Faulty(
        policy_without_a_minus,
        ("loss_maximised",),
        learns=0.9,
        fails=0.2,
        source="https://github.com/natolambert/rlhf-book/issues/125",
    ),
)
