from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from mlr.core.checks import InputError
from mlr.models import MODELS, Cnn, CosineLogits, Linear, Mlp, Ordinal, UserModule
from mlr.models.initialise import SCHEMES
from mlr.training.structure import dense_structure

CONFIGS = Path(__file__).parents[2] / "configs" / "model"


@pytest.mark.parametrize("kind", MODELS)
def test_maps_features_to_logits_and_repeats_to_the_bit(kind):
    one, two = (kind().build((1, 8, 8), 10, seed=3) for _ in range(2))
    assert one(torch.zeros(5, 1, 8, 8)).shape == (5, 10)
    assert all(map(torch.equal, one.parameters(), two.parameters()))
    other = kind().build((1, 8, 8), 10, seed=4)
    assert not torch.equal(one.output.weight, other.output.weight)


@pytest.mark.parametrize("kind", MODELS)
def test_the_callers_generator_is_left_alone(kind):
    state = torch.get_rng_state()
    kind().build((1, 8, 8), 10, seed=3)
    assert torch.equal(state, torch.get_rng_state())


def test_config_folder_and_tuple_agree():
    names = {kind.name for kind in MODELS}
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == names | {"custom"}
    for kind in MODELS:
        config = OmegaConf.to_container(OmegaConf.load(CONFIGS / f"{kind.name}.yaml"))
        assert config.pop("_target_") == f"mlr.models.{kind.__name__}"
        assert vars(kind(**config)) == vars(kind())


def test_dense_models_have_a_closed_form():
    assert dense_structure(Linear().build((3,), 1, 0), (3,))
    assert dense_structure(Mlp([4, 4]).build((1, 2, 2), 1, 0), (1, 2, 2))


RELU, LINEAR = nn.ReLU(), nn.Linear(2, 2)
HOOKED = nn.Sequential(nn.Linear(2, 2))
HOOKED.register_forward_hook(lambda module, inputs, output: 2 * output)


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(2, 2), nn.ReLU()),
        nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Linear(2, 1)),
        nn.Sequential(nn.Linear(2, 2), RELU, nn.Linear(2, 2), RELU, nn.Linear(2, 1)),
        nn.Sequential(LINEAR, LINEAR, nn.Linear(2, 1)),
        nn.Sequential(nn.Flatten(2), nn.Linear(2, 2)),
        HOOKED,
        nn.Linear(2, 2),
    ],
    ids=str,
)
def test_what_the_closed_form_would_compute_otherwise_has_none(module):
    assert dense_structure(module, (2,)) is None


def test_images_that_are_not_flattened_have_no_closed_form():
    assert dense_structure(nn.Sequential(nn.Linear(8, 3)), (1, 8, 8)) is None
    assert dense_structure(Cnn().build((1, 8, 8), 2, 0), (1, 8, 8)) is None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_schemes_have_the_spread_they_state(scheme):
    weight = Linear(init=scheme).build((400,), 300, 0).output.weight
    deviation = {
        "torch": 1 / math.sqrt(3 * 400),
        "glorot": math.sqrt(2 / 700),
        "he": math.sqrt(2 / 400),
        "lecun": math.sqrt(1 / 400),
        "normal": 1.0,
        "zeros": 0.0,
    }[scheme]
    assert weight.std().item() == pytest.approx(deviation, rel=0.02)
    scaled = Linear(init=scheme, init_scale=3.0).build((400,), 300, 0).output.weight
    torch.testing.assert_close(scaled, 3 * weight)


def test_given_weight_and_bias_fill_the_layer():
    output = Linear(weight=2.0, bias=-1.0).build((3,), 2, 0).output
    assert output.weight.unique().tolist() == [2.0]
    assert output.bias.unique().tolist() == [-1.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Mlp(widths=[]), r"model.widths=\[\] must list"),
        (lambda: Mlp(widths=128), "model.widths=128 must list"),
        (lambda: Mlp(widths=[0]), r"model.widths=\[0\] must list whole numbers"),
        (lambda: Mlp(activation="relo"), "Did you mean model.activation=relu"),
        (lambda: Linear(weight="abc"), "model.weight=abc must be a finite number"),
        (lambda: Linear(init="xavier"), "Unknown model.init=xavier"),
        (lambda: Linear(init_scale=-1), "model.init_scale=-1 must be a finite number, 0 or above"),
        (lambda: CosineLogits(scale=0), "model.scale=0 must be a finite number above 0"),
        (lambda: CosineLogits(init_scale=0), "model.init_scale=0 must be a finite number above 0"),
        (lambda: CosineLogits(init="zeros"), "model.init=zeros gives weights without a direction"),
        (lambda: Cnn(kernel=4), "model.kernel=4 must be odd"),
        (lambda: Cnn(channels=8), "model.channels=8 must list"),
        (lambda: Cnn().build((2,), 2, 0), r"model=cnn needs images .*, not \(2,\); use model=mlp"),
        (lambda: Cnn().build((28, 28), 2, 0), r"not \(28, 28\); .* first: x\[:, None\]"),
        (lambda: Cnn().build((28, 28, 3), 2, 0), r"or np\.moveaxis\(x, -1, 1\)\."),
        (lambda: Cnn().build((1, 2, 2), 2, 0), "at least 4×4 pixels"),
    ],
)
def test_options_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_cosines_are_of_angles_alone():
    """By torch's own cosine; no length of features or weights, and no bias, changes a logit."""
    module = CosineLogits([6], scale=8.0).build((1, 2, 3), 4, seed=0, dtype="float64")
    x = torch.randn(5, 1, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    hidden = module.relu1(module.hidden1(x.flatten(1)))
    angles = torch.nn.functional.cosine_similarity(
        hidden.unsqueeze(1), module.output.weight.unsqueeze(0), -1
    )
    torch.testing.assert_close(module(x), 8 * angles)
    assert [name for name, _ in module.output.named_parameters()] == ["weight"]
    layer = CosineLogits(scale=2.0).build((3,), 2, seed=0).output
    one = torch.tensor([[1.0, -2.0, 0.5]])
    torch.testing.assert_close(layer(1e3 * one), layer(one))
    assert layer(one).abs().max() <= 2
    blank = torch.zeros(1, 3, requires_grad=True)
    layer(blank).sum().backward()
    assert layer(blank).tolist() == [[0.0, 0.0]]
    assert layer.weight.grad.isfinite().all()
    with torch.no_grad():
        layer.weight.mul_(7)
        torch.testing.assert_close(layer(one), layer(one / 3))


class Shaped(nn.Module):
    def __init__(self, feature_shape, outputs, width=3):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(feature_shape), width), nn.Linear(width, outputs)
        )

    def forward(self, x):
        return self.net(x)


def test_a_users_module_is_given_the_shapes_it_asks_for():
    module = UserModule(Shaped, {"width": 7}).build((2, 2), 3, seed=0)
    assert module(torch.zeros(4, 2, 2)).shape == (4, 3)
    again = UserModule(Shaped, {"width": 7}).build((2, 2), 3, seed=0)
    assert all(map(torch.equal, module.parameters(), again.parameters()))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (nn.Linear, {}, "cannot be made of"),
        (nn.Linear, {"in_features": 5, "out_features": 1}, "does not accept features of shape"),
        (nn.Linear, {"in_features": 4, "out_features": 2}, r"logits of shape \(2, 2\)"),
        (nn.LSTM, {"input_size": 4, "hidden_size": 1}, "returns a tuple, not a tensor of logits"),
    ],
)
def test_a_module_that_does_not_fit_is_refused(kind, options, message):
    with pytest.raises(InputError, match=message):
        UserModule(kind, options).build((4,), 1, seed=0)


def test_a_module_too_large_for_memory_is_not_said_to_refuse_the_features():
    class Large(nn.Linear):
        def forward(self, features):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(RuntimeError, match="allocate memory"):
        UserModule(Large, {"in_features": 4, "out_features": 1}).build((4,), 1, seed=0)


@pytest.mark.parametrize("widths", [(), (5,)])
def test_ordinal_logits_are_parallel(widths):
    """They differ by the biases alone, and one weight vector has the gradient of all outputs."""
    module = Ordinal(widths).build((4,), 3, seed=1)
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    z = module(x)
    apart = z - z[:, :1]
    torch.testing.assert_close(apart, apart[:1].expand(20, 3))
    assert apart[0, 1:].abs().min() > 0
    assert module.output.weight.shape == (1, widths[-1] if widths else 4)
    z.sum().backward()
    hidden = module[:-1](x).detach()
    torch.testing.assert_close(module.output.weight.grad, 3 * hidden.sum(0, keepdim=True))


def test_ordinal_options_are_checked():
    with pytest.raises(InputError, match="widths"):
        Ordinal(widths=[0])
    with pytest.raises(InputError, match="gelu"):
        Ordinal(activation="gelu")
