"""Activations spelled out in every usual way are recognised; what resembles them is not."""

from __future__ import annotations

import math

import pytest
import torch

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.network import Gelu, Silu

ROOT = math.sqrt(2 / math.pi)


class Activated(torch.nn.Module):
    """One activation behind a linear layer, so that its argument is a value of its own."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(2)
        self.linear, self.function = torch.nn.Linear(8, 8), function

    def forward(self, x):
        return self.function(self.linear(x))


def captured(function):
    return capture_network(Activated(function), torch.zeros(1, 4, 8)).network.nodes[-1].operator


@pytest.mark.parametrize(
    ("function", "operator"),
    [
        (torch.nn.functional.gelu, Gelu()),
        (lambda x: torch.nn.functional.gelu(x, approximate="tanh"), Gelu(tanh=True)),
        (lambda x: x * 0.5 * (1 + torch.erf(x / math.sqrt(2))), Gelu()),
        (lambda x: 0.5 * x * (1 + torch.tanh(ROOT * (x + 0.044715 * torch.pow(x, 3)))), Gelu(tanh=True)),
        (lambda x: 0.5 * x * (1 + torch.tanh(x * 0.7978845608 * (1 + 0.044715 * x * x))), Gelu(tanh=True)),
        (lambda x: (torch.tanh((x * x * x * 0.044715 + x) * ROOT) + 1) * x / 2, Gelu(tanh=True)),
        (torch.nn.functional.silu, Silu()),
        (lambda x: torch.sigmoid(x) * x, Silu()),
    ],
)
def test_the_usual_spellings(function, operator):
    assert captured(function) == operator


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * torch.sigmoid(1.702 * x),
        lambda x: 0.5 * x * (1 + torch.tanh(ROOT * (x + 0.05 * x**3))),
        lambda x: 0.5 * x * (1 + torch.tanh(ROOT * (x + 0.044715 * x**2))),
        lambda x: 0.5 * x * (2 + torch.tanh(ROOT * (x + 0.044715 * x**3))),
        lambda x: 0.7 * x * (1 + torch.erf(x / math.sqrt(2))),
        lambda x: 0.5 * x * (1 + torch.erf(x)),
    ],
)
def test_other_numbers_are_refused(function):
    with pytest.raises(UnsupportedModuleError, match="nearest supported form"):
        captured(function)
