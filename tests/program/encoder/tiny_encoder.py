"""A tiny encoder of two layers with calibrated ranges, compiled for an insecure ring that bootstraps."""

from __future__ import annotations

import atexit
import functools

import numpy as np

from aegis_fhe.circuits.bootstrap import BootstrapPlan, presets
from aegis_fhe.models.encoder_calibration import calibrate_encoder
from aegis_fhe.program import CompiledProgram
from aegis_fhe.program.capture import AttentionSubLayer, LinearLayer
from aegis_fhe.program.encoder import EncoderLayer, EncoderRanges, compile_encoder
from aegis_fhe.program.network import Gelu
from aegis_fhe.program.returns import HiddenStates, TokenMean

FEATURES, HEADS, HIDDEN = 32, 4, 96  # 8 tokens a block; the hidden units do not fill their parts


def linear(rng: np.random.Generator, n_out: int, n_in: int) -> LinearLayer:
    weight = rng.normal(size=(n_out, n_in)) / np.sqrt(n_in)
    return LinearLayer(path="", weight=weight, bias=0.1 * rng.normal(size=n_out))


def layer(rng: np.random.Generator) -> EncoderLayer:
    def norm() -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(1.0, 0.1, FEATURES), rng.normal(0.0, 0.1, FEATURES)

    (first_weight, first_bias), (second_weight, second_bias) = norm(), norm()
    query, key, value, output = (linear(rng, FEATURES, FEATURES) for _ in range(4))
    attention = AttentionSubLayer(
        heads=HEADS,
        score_scale=8**-0.5,
        query=query,
        key=key,
        value=value,
        output=output,
        norm_weight=first_weight,
        norm_bias=first_bias,
        norm_eps=1e-6,
    )
    return EncoderLayer(
        attention=attention,
        expand=linear(rng, HIDDEN, FEATURES),
        contract=linear(rng, FEATURES, HIDDEN),
        gelu=Gelu(),
        norm_weight=second_weight,
        norm_bias=second_bias,
        norm_eps=1e-6,
    )


def texts(count: int, tokens: int, seed: int = 5) -> list[np.ndarray]:
    """Hidden states of about unit variance, of several lengths."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, tokens + 1, count)
    return [rng.normal(size=(n, FEATURES)) for n in [tokens, 3, *lengths[2:]]]


def reference(layers: list[EncoderLayer], hidden: np.ndarray) -> np.ndarray:
    """All layers in float64."""
    for one in layers:
        hidden = one.evaluate(hidden)
    return hidden


def plan(log_degree: int = 10) -> BootstrapPlan:
    return presets.insecure(log_degree, levels_left=14)


@functools.cache
def tiny_layers() -> tuple[list[EncoderLayer], EncoderRanges]:
    rng = np.random.default_rng(11)
    layers = [layer(rng) for _ in range(2)]
    return layers, calibrate_encoder(layers, texts(400, 24), "random hidden states")


@functools.cache
def tiny_encoder(tokens: int = 16, *, mean: bool = False) -> tuple[list[EncoderLayer], CompiledProgram]:
    layers, ranges = tiny_layers()
    program = compile_encoder(
        layers,
        ranges,
        max_tokens=tokens,
        head=TokenMean() if mean else HiddenStates(),
        bootstrap=plan(),
        origin="a tiny encoder",
    )
    return layers, program


# Native tables must be gone before the interpreter is.
atexit.register(tiny_encoder.cache_clear)
