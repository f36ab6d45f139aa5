"""A tiny BertForSequenceClassification of random weights, unmodified, with calibrated ranges."""

from __future__ import annotations

import atexit
import functools
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

from aegis_fhe.models.encoder_calibration import calibrate_encoder
from aegis_fhe.program import CompiledProgram
from aegis_fhe.program.capture import CapturedNetwork, capture_network
from aegis_fhe.program.encoder import EncoderLayer, EncoderRanges, FirstToken, compile_encoder, encoder_layers

from .tiny_encoder import FEATURES, HEADS, HIDDEN, plan

VOCABULARY = 48


def bert_config(labels: int = 3, **other: Any) -> BertConfig:
    return BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=FEATURES,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        intermediate_size=HIDDEN,
        max_position_embeddings=32,
        num_labels=labels,
        initializer_range=0.15,
        **other,
    )


@functools.cache
def tiny_model(labels: int = 3) -> tuple[torch.nn.Module, CapturedNetwork]:
    torch.manual_seed(5)
    module = BertForSequenceClassification(bert_config(labels)).eval()
    return module, capture_network(module, torch.ones(1, 24, dtype=torch.long), output="logits")


def random_ids(count: int, tokens: int, seed: int = 1) -> list[list[int]]:
    """Token ids of several lengths, the longest first."""
    rng = np.random.default_rng(seed)
    lengths = [tokens, *rng.integers(1, tokens + 1, count - 1)]
    return [rng.integers(0, VOCABULARY, n).tolist() for n in lengths]


@functools.cache
def tiny_parts(labels: int = 3) -> tuple[list[EncoderLayer], FirstToken, EncoderRanges]:
    _, captured = tiny_model(labels)
    layers, head = encoder_layers(captured.network, captured.weights)
    assert isinstance(head, FirstToken)
    samples = [captured.embed(ids) for ids in random_ids(300, 24)]
    return layers, head, calibrate_encoder(layers, samples, "random token ids", head=head)


@functools.cache
def tiny_classifier(tokens: int = 16, labels: int = 3) -> CompiledProgram:
    layers, head, ranges = tiny_parts(labels)
    return compile_encoder(
        layers, ranges, max_tokens=tokens, head=head, bootstrap=plan(), origin="a tiny classifier"
    )


def exact_logits(ids: list[int], labels: int = 3) -> np.ndarray:
    """By PyTorch, in float32."""
    with torch.no_grad():
        return tiny_model(labels)[0](torch.tensor([ids])).logits[0].double().numpy()


# Native tables must be gone before the interpreter is.
atexit.register(tiny_classifier.cache_clear)
