"""Attention spelled out as matrix products and a softmax is read as the fused operator is."""

from __future__ import annotations

import pytest
import torch
from transformers import BertModel, GPT2Model, LlamaModel

from aegis_fhe.errors import UnsupportedModuleError
from aegis_fhe.program.capture import capture_network
from aegis_fhe.program.network import Attention

from . import test_bert, test_gpt2, test_llama
from .families import counts, randomised, token_ids


@pytest.mark.parametrize(
    ("kind", "family"), [(BertModel, test_bert), (GPT2Model, test_gpt2), (LlamaModel, test_llama)]
)
def test_the_same_weights_give_the_same_network(kind, family):
    fused = randomised(kind._from_config(family.config(), attn_implementation="sdpa"))
    eager = randomised(kind._from_config(family.config(), attn_implementation="eager"))
    found, expected = (capture_network(module, token_ids(6)) for module in (eager, fused))
    assert counts(found) == counts(expected)
    assert [node.operator for node in found.network.nodes if isinstance(node.operator, Attention)] == [
        node.operator for node in expected.network.nodes if isinstance(node.operator, Attention)
    ]


class Spelled(torch.nn.Module):
    """One head; `scores` makes scores of queries and keys [1, tokens, features]."""

    def __init__(self, scores):
        super().__init__()
        torch.manual_seed(5)
        self.query, self.key, self.value = (torch.nn.Linear(8, 8) for _ in range(3))
        self.scores = scores

    def forward(self, x):
        scores = self.scores(self.query(x), self.key(x))
        return torch.softmax(scores, dim=-1) @ self.value(x)


def captured(scores):
    return capture_network(Spelled(scores), torch.zeros(1, 6, 8)).network.nodes[-1].operator


def later(q):
    """True where a token would see one after itself."""
    return torch.ones(q.shape[1], q.shape[1], dtype=torch.bool).triu(1)


@pytest.mark.parametrize(
    ("scores", "scale"),
    [
        (lambda q, k: q @ k.transpose(1, 2) * 0.25, 0.25),
        (lambda q, k: (q / 2) @ k.transpose(1, 2), 0.5),
        (lambda q, k: 3.0 * (q @ (0.5 * k.transpose(1, 2))) / 2, 0.75),
    ],
)
def test_the_scale_wherever_it_is_written(scores, scale):
    assert captured(scores) == Attention(heads=1, key_value_heads=1, head_dim=8, scale=scale)


@pytest.mark.parametrize(
    "scores",
    [
        lambda q, k: (q @ k.transpose(1, 2)).masked_fill(later(q), -torch.inf),
        lambda q, k: torch.where(~later(q), q @ k.transpose(1, 2), -1e9),
        lambda q, k: torch.zeros(len(later(q)), len(later(q))).masked_fill(later(q), -1e9) + q @ k.mT,
    ],
)
def test_causal_masks_that_are_added_filled_in_or_chosen(scores):
    expected = Attention(heads=1, key_value_heads=1, head_dim=8, scale=1.0, causal=True)
    assert captured(scores) == expected


def test_a_mask_that_hides_too_little_is_refused():
    with pytest.raises(UnsupportedModuleError, match="matmul is not supported; nearest supported form"):
        captured(lambda q, k: (q @ k.transpose(1, 2)).masked_fill(later(q), -1.0))


def test_other_functions_of_the_scores_are_refused():
    with pytest.raises(UnsupportedModuleError, match="matmul is not supported; nearest supported form"):
        captured(lambda q, k: torch.tanh(q @ k.transpose(1, 2)))
