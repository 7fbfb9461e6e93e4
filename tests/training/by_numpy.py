"""Outputs, losses, gradients and what is told of them at the end, written out in numpy."""

from __future__ import annotations

import numpy as np

EDGES = np.arange(-10, 11)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _squared(y, slope, t):
    return 0.5 * ((y - t) ** 2).sum(1), (y - t) * slope


def _bernoulli(y, t):
    return -(t * np.log(y) + (1 - t) * np.log(1 - y)).sum(1), y - t


def objective(head, loss, z, t):
    """y, dy_k/dz_k and dL/dz (N, K), L (N,)."""
    if head == "gaussian":  # z is the mean and log σ
        mean, deviation = z[:, :1], np.exp(z[:, 1:])
        residual = (mean - t) / deviation
        losses = (0.5 * residual**2 + np.log(deviation) + 0.5 * np.log(2 * np.pi))[:, 0]
        grads = np.hstack([residual / deviation, 1 - residual**2])
        return np.hstack([mean, deviation]), np.hstack([np.ones_like(t), deviation]), grads, losses
    y = {
        "linear": lambda: z,
        "clipped_linear": lambda: np.clip(z, 0, 1),
        "sigmoid": lambda: _sigmoid(z),
        "softmax": lambda: _softmax(z),
    }[head]()
    slope = {
        "linear": np.ones_like(z),
        "clipped_linear": ((z >= 0) & (z <= 1)) * 1.0,
    }.get(head, y * (1 - y))
    if loss == "bce":
        losses, grads = _bernoulli(y, t)
    elif loss == "ce":
        losses, grads = -(t * np.log(y)).sum(1), y - t
    else:
        losses, grads = _squared(y, slope, t)
    return y, slope, grads, losses


def share(chosen):
    return float(np.mean(chosen))


def mean(values):
    return float(np.mean(values)) if len(values) else None


class Examples:
    """Some examples under an objective.

    Args:
        head: its name.
        loss: its name.
        z: logits (N, K).
        targets: numbers of classes (N,), or values (N, 1).
        classes: how many, None for regression.
        threshold: below it, gradients and slopes are next to nothing.
    """

    def __init__(self, head, loss, z, targets, classes, threshold):
        self.head, self.z, self.classes, self.threshold = head, z, classes, threshold
        self.labels = targets
        single = z.shape[1] == 1
        if classes is None:
            self.t = targets
        else:
            self.t = targets[:, None] * 1.0 if single else np.eye(classes)[targets]
        self.y, self.slope, self.grads, self.losses = objective(head, loss, z, self.t)
        self.sizes = np.sqrt((self.grads**2).sum(1))
        if classes is not None:
            found = self.y[:, 0] >= 0.5 if single else self.y.argmax(1)
            self.right = found == targets
            top = np.maximum(self.y, 1 - self.y)[:, 0] if single else self.y.max(1)
            self.level = (top >= 0.6) * 1 + (top >= 0.9) * 1
            self.own = self.grads[:, 0] if single else self.grads[np.arange(len(z)), targets]
            # which way it moves the logit of its class: down is past the target
            self.down = self.own * np.where(targets == 1, 1, -1) if single else self.own

    def shares(self):
        """Entries on the first and on the last parameters."""
        found = {
            "zero": share(self.sizes == 0),
            "saturated": share(np.abs(self.slope) < self.threshold),
        }
        if self.classes is None:
            return found
        small, wrong = self.sizes < self.threshold, ~self.right
        return found | {
            "wrong": share(wrong),
            "stuck": share(small & wrong),
            "stuck_zero": share((self.sizes == 0) & wrong),
        }

    def metrics(self):
        """Final numbers of the training split."""
        shares = self.shares()
        found = {
            "loss/train": self.losses.mean(),
            "saturation/fraction": shares["saturated"],
            "zero_grad/fraction": shares["zero"],
        }
        if self.head == "gaussian":
            found["predicted_std/train"] = self.y[:, 1].mean()
        if self.classes is None:
            return found | {"prediction/mean": self.y[:, 0].mean()}
        return found | {
            "accuracy/train": 1 - shares["wrong"],
            "logit_grad/wrong": self.sizes[~self.right].mean(),
            "logit_grad/right": self.sizes[self.right].mean(),
            "stuck/fraction": shares["stuck"],
            "stuck/zero": shares["stuck_zero"],
            "prediction/target_1": self.y[self.t == 1].mean(),
            "prediction/target_0": self.y[self.t == 0].mean(),
        }

    def judged(self, split):
        """Final numbers of another split."""
        found = {f"loss/{split}": self.losses.mean()}
        if self.head == "gaussian":
            found[f"predicted_std/{split}"] = self.y[:, 1].mean()
        if self.classes is None:
            return found | {f"rmse/{split}": np.sqrt(((self.y[:, :1] - self.t) ** 2).mean())}
        return found | {f"accuracy/{split}": share(self.right)}

    def anatomy(self, closer):
        """Entries of status.json on the examples, those in `closer` in more detail."""
        places = [round(q * (len(closer.sizes) - 1)) for q in (0.1, 0.25, 0.5, 0.75, 0.9)]
        found = {"examples": len(self.z), **self.shares()}
        found["gradient"] = np.sort(closer.sizes)[places].tolist()
        if self.classes is None:
            return found
        wrong, squares = ~self.right, self.sizes**2
        found["surprise"] = share(wrong & (self.level == 2))
        past = self.right & (self.down > 0)
        found["right_pull"] = float(squares[past].sum() / squares.sum())
        found["confidence"] = {"edges": [0.6, 0.9]}
        for side, chosen in (("wrong", wrong), ("right", self.right)):
            own = [self.sizes[chosen & (self.level == level)] for level in range(3)]
            found["confidence"][f"count_{side}"] = [len(sizes) for sizes in own]
            found["confidence"][f"grad_{side}"] = [mean(sizes) for sizes in own]
        members = [self.labels == k for k in range(self.classes)]
        pulls = np.abs(self.own)
        found["classes"] = {
            "count": [int(own.sum()) for own in members],
            "recall": [mean(self.right[own]) for own in members],
            "grad": [mean(pulls[own]) for own in members],
            "grad_wrong": [mean(pulls[own & wrong]) for own in members],
        }
        found["logits"] = closer.bins()
        if self.z.shape[1] == 1:
            found["boundary"] = {"wrong": closer.fewest_wrong()}
        return found

    def bins(self):
        """Number of logits in each bin, and their mean dL/dz, by target."""
        z = np.log(self.y / (1 - self.y)) if self.head == "softmax" else self.z
        place = np.digitize(z, EDGES)
        rows = [
            [self.grads[(self.t == target) & (place == one)] for one in range(22)]
            for target in (0, 1)
        ]
        return {
            "edges": EDGES.tolist(),
            "count": [[len(own) for own in row] for row in rows],
            "grad": [[mean(own) for own in row] for row in rows],
        }

    def fewest_wrong(self):
        """The share that the best threshold leaves wrong, trying each logit, and none."""
        thresholds = np.append(self.z[:, 0], np.inf)
        found = self.z[:, 0][None] >= thresholds[:, None]
        return float((found != (self.labels == 1)).mean(1).min())
