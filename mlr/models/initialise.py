"""Initial weights: each parameter has its own seed, so that one layer does not affect another."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from mlr.core.seeds import derive_seed

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

SCHEMES = ("torch", "glorot", "he", "lecun", "normal", "zeros")


def initialise(
    module: nn.Sequential, scheme: str, scale: float, seed: int, dtype: str
) -> nn.Sequential:
    """Draw every weight and bias of `module` in place, from `seed` and the parameter's name.

    Drawn in float64 and then rounded to `dtype`.

    Weights W (out, fan_in…) by `scheme`, times `scale`:
        torch   U(−1/√fan_in, 1/√fan_in), biases alike (the default of nn.Linear)
        glorot  U(−a, a), a = √(6/(fan_in + fan_out)), biases 0   (Glorot & Bengio 2010)
        he      N(0, 2/fan_in), biases 0                           (He et al. 2015)
        lecun   N(0, 1/fan_in), biases N(0, 1)                     (Nielsen ch. 3, "default")
        normal  N(0, 1), biases N(0, 1)                            (Nielsen ch. 1, "large")
        zeros   0
    """
    import torch

    module.double()
    fans: dict[str, tuple[int, int]] = {}
    for name, parameter in module.named_parameters():
        layer = name.rpartition(".")[0]
        if parameter.dim() > 1:
            receptive = parameter[0, 0].numel()
            fans[layer] = (parameter.shape[1] * receptive, parameter.shape[0] * receptive)
        fan_in, fan_out = fans[layer]
        generator = torch.Generator().manual_seed(derive_seed(seed, "init", name))
        with torch.no_grad():
            _draw(parameter, scheme, fan_in, fan_out, generator)
            if parameter.dim() > 1:
                parameter.mul_(scale)
    return module.to(getattr(torch, dtype))


def _draw(parameter: Tensor, scheme: str, fan_in: int, fan_out: int, generator: Generator) -> None:
    is_weight = parameter.dim() > 1
    if scheme == "torch":
        bound = 1 / sqrt(fan_in)
        parameter.uniform_(-bound, bound, generator=generator)
    elif scheme == "zeros" or (scheme in ("glorot", "he") and not is_weight):
        parameter.zero_()
    elif scheme == "glorot":
        bound = sqrt(6 / (fan_in + fan_out))
        parameter.uniform_(-bound, bound, generator=generator)
    else:
        deviation = {"he": sqrt(2 / fan_in), "lecun": sqrt(1 / fan_in), "normal": 1.0}[scheme]
        parameter.normal_(0.0, deviation if is_weight else 1.0, generator=generator)
