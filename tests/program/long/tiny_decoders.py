"""Tiny unmodified decoders of two layers, captured and calibrated on random texts behind a public opening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from aegis_fhe.circuits.bootstrap import BootstrapPlan, presets
from aegis_fhe.models.network_calibration import calibrate_network
from aegis_fhe.program.capture import CapturedNetwork, capture_network
from aegis_fhe.program.long.compile_decoder import compile_decoder, states_before
from aegis_fhe.program.long.decoder import DecoderLayer, decoder_layers
from aegis_fhe.program.long.decoder_program import DecoderProgram
from aegis_fhe.program.network import evaluate, part_of
from aegis_fhe.program.network.graph import INPUT
from aegis_fhe.program.simulate import NetworkRanges

TOKENS, PUBLIC, VOCABULARY = 16, 2, 60


@dataclass(frozen=True, eq=False)
class TinyDecoder:
    """A model's captured body; texts: token ids, the last ones in no range."""

    model: Any
    captured: CapturedNetwork
    layers: list[DecoderLayer]
    ranges: NetworkRanges
    texts: list[list[int]]

    @classmethod
    def of(cls, model: Any) -> TinyDecoder:
        """Ranges of 40 texts; 3 more."""
        captured = capture_network(model, torch.arange(TOKENS)[None], output="last_hidden_state")
        rng = np.random.default_rng(4)
        texts = [[1, 2, *rng.integers(3, VOCABULARY, TOKENS - PUBLIC).tolist()] for _ in range(43)]
        hidden = [captured.embed(ids) for ids in texts[:40]]
        ranges = calibrate_network(
            captured.network, captured.weights, hidden, public_tokens=PUBLIC, origin="random"
        )
        layers = decoder_layers(captured.network, captured.weights)
        return cls(model, captured, layers, ranges, texts)

    def embed(self, ids: list[int]) -> np.ndarray:
        """Hidden states before the first layer."""
        return self.captured.embed(ids)

    def exact(self, ids: list[int]) -> np.ndarray:
        """Hidden states after the last layer, before the final norm."""
        body = part_of(self.captured.network, INPUT, self.layers[-1].values["result"])
        return evaluate(body, self.captured.weights, self.embed(ids))

    def public(self) -> list[np.ndarray]:
        """Of the public tokens, before each layer."""
        return states_before(
            self.layers, self.captured.network, self.captured.weights, self.embed(self.texts[0][:PUBLIC])
        )

    def compile(self, *, bootstrap: BootstrapPlan | None = None, **options: Any) -> DecoderProgram:
        """For texts of TOKENS tokens."""
        return compile_decoder(
            self.layers,
            self.ranges,
            tokens=TOKENS,
            bootstrap=presets.insecure(9, levels_left=14) if bootstrap is None else bootstrap,
            public=self.public(),
            origin="a tiny decoder",
            **options,
        )


def llama_config(vocabulary: int = VOCABULARY, **more: Any) -> Any:
    """Two layers of width 16, and the seed for their weights."""
    from transformers import LlamaConfig

    torch.manual_seed(5)
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        **more,
    )


def gpt2_config(vocabulary: int = VOCABULARY, *, positions: int = 64) -> Any:
    """As `llama_config`."""
    from transformers import GPT2Config

    torch.manual_seed(6)
    return GPT2Config(
        vocab_size=vocabulary,
        n_embd=16,
        n_layer=2,
        n_head=4,
        n_positions=positions,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )


def calm_llama(body: Any) -> None:
    """Queries of a quarter of their size: scores that need no rounds."""
    with torch.no_grad():
        for layer in body.layers:
            layer.self_attn.q_proj.weight *= 0.25


def calm_gpt2(body: Any) -> None:
    """As `calm_llama`, and biases that are not zero."""
    with torch.no_grad():
        for name, parameter in body.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.0, 0.1)
        for block in body.h:
            block.attn.c_attn.weight[:, :16] *= 0.25


def tiny_llama() -> Any:
    """Random weights, scores that need no rounds."""
    from transformers import LlamaModel

    model = LlamaModel(llama_config()).eval()
    calm_llama(model)
    return model


def tiny_wide_llama() -> Any:
    """As `tiny_llama`, but the first layer's scores take a round of normalise-and-square."""
    model = tiny_llama()
    with torch.no_grad():
        model.layers[0].self_attn.q_proj.weight *= 6.0
    return model


def tiny_gpt2() -> Any:
    """Random weights and biases, scores that need no rounds."""
    from transformers import GPT2Model

    model = GPT2Model(gpt2_config()).eval()
    calm_gpt2(model)
    return model
