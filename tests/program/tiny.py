"""A tiny attention sub-layer with ranges that hold for every prefix of its input, for fast tests."""

from __future__ import annotations

import atexit
import functools
import math

import numpy as np
import torch

from aegis_fhe.ckks import Parameters, presets
from aegis_fhe.program import AttentionRanges, CompiledProgram, Interval, compile_attention

SHIFT = 0.2
# exp(low - high) is what a padding key adds to a denominator: the calibrated margin makes it vanish.
MARGIN_BELOW = 15.0


class TinyAttention(torch.nn.Module):
    """Post-norm self-attention, written as anybody would."""

    def __init__(self, features: int = 32, heads: int = 4, seed: int = 7) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.heads = heads
        self.query = torch.nn.Linear(features, features)
        self.key = torch.nn.Linear(features, features)
        self.value = torch.nn.Linear(features, features)
        self.output = torch.nn.Linear(features, features)
        self.norm = torch.nn.LayerNorm(features, eps=1e-6)
        torch.nn.init.normal_(self.norm.weight, 1.0, 0.2)
        torch.nn.init.normal_(self.norm.bias, 0.0, 0.2)

    def split(self, layer: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        """One projection by heads: [batch, heads, tokens, head_dim]."""
        batch, tokens, features = x.shape
        return layer(x).view(batch, tokens, self.heads, features // self.heads).transpose(1, 2)

    def residual(self, x: torch.Tensor) -> torch.Tensor:
        """What the LayerNorm sees."""
        q, k, v = (self.split(layer, x) for layer in (self.query, self.key, self.value))
        attended = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.output(attended.transpose(1, 2).reshape(x.shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.residual(x))


def hidden_states(tokens: int, features: int = 32, seed: int = 3) -> np.ndarray:
    """Rows of about unit variance."""
    return np.random.default_rng(seed).normal(size=(tokens, features))


def reference(module: torch.nn.Module, hidden: np.ndarray) -> np.ndarray:
    """The module in float32 PyTorch, [tokens, features]."""
    with torch.no_grad():
        return module(torch.tensor(hidden, dtype=torch.float32)[None])[0].double().numpy()


def wide_ranges(module: TinyAttention, x: np.ndarray, anchor: float = 0.5) -> AttentionRanges:
    """Ranges measured on all prefixes of x, with a margin; one head is anchored (unless `anchor` is 0).

    Offsets are arbitrary but harmless: softmax does not see them.
    """
    heads, dim = module.heads, x.shape[1] // module.heads
    offset = 0.1 * torch.arange(heads * dim, dtype=torch.float64).reshape(heads, 1, dim).sin()
    anchors = torch.zeros(heads, dtype=torch.float64)
    anchors[1] = anchor
    with torch.no_grad():
        module = module.double()
        hidden = torch.from_numpy(x)[None]
        q, k = module.split(module.query, hidden)[0], module.split(module.key, hidden)[0]
        scores = q @ k.transpose(1, 2) / math.sqrt(dim)
        previous = torch.cat([scores[:, :1, 0], scores.diagonal(-1, 1, 2)], dim=1)
        shifted = q @ (k - offset).transpose(1, 2) / math.sqrt(dim)
        relative = shifted - (anchors[:, None] * previous)[:, :, None] - SHIFT
        high = relative.max().item() + 0.3
        # Row i of the prefix of n tokens sums over j < n only.
        running = (relative - high).exp().cumsum(dim=2)
        denominators = torch.cat([running[:, : n + 1, n].flatten() for n in range(len(x))])
        variances = torch.cat(
            [module.residual(hidden[:, :n])[0].var(-1, correction=0) for n in range(1, len(x) + 1)]
        )
        module.float()
    return AttentionRanges(
        key_offset=tuple(tuple(row) for row in offset[:, 0].tolist()),
        shift=(SHIFT,) * heads,
        anchor=tuple(anchors.tolist()),
        score=Interval(relative.min().item() - MARGIN_BELOW, high),
        denominator=Interval(denominators.min().item() / 1.2, 1.2 * denominators.max().item()),
        variance=Interval(variances.min().item() / 1.5, 1.5 * variances.max().item()),
        origin="measured on the test's own input",
    )


@functools.cache
def tiny_program(
    tokens: int = 16, log_degree: int = 11, anchor: float = 0.5
) -> tuple[TinyAttention, np.ndarray, CompiledProgram]:
    """(module, an input of full length, the program) on insecure parameters; compiled once for all tests."""

    def parameters(levels: int) -> Parameters:
        return presets.insecure(log_degree=log_degree, levels=levels, digit_size=10)

    module, hidden = TinyAttention().eval(), hidden_states(tokens)
    ranges = wide_ranges(module, hidden, anchor)
    program = compile_attention(module, torch.zeros(1, tokens, 32), ranges, parameters=parameters)
    return module, hidden, program


# Native tables must be gone before the interpreter is.
atexit.register(tiny_program.cache_clear)
