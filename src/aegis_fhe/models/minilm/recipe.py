"""The first self-attention sub-layer of a BERT-like encoder; ranges shipped for all-MiniLM-L6-v2."""

from __future__ import annotations

from importlib import resources

import msgspec
import torch

from aegis_fhe.errors import RangeError
from aegis_fhe.models.calibration import calibrate_attention
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.program import AttentionRanges, CompiledProgram, capture_attention, compile_attention

# Two token blocks of 32: the shortest program that two devices can share.
TOKENS = 64


class ShippedRanges(msgspec.Struct, frozen=True):
    """Calibrated ranges and the weights they belong to (`TextEncoder.fingerprint`)."""

    fingerprint: str
    tokens: int
    ranges: AttentionRanges


def shipped_ranges() -> ShippedRanges:
    """The calibration that comes with the package."""
    text = resources.files("aegis_fhe.models.minilm").joinpath("ranges.json").read_bytes()
    return msgspec.json.decode(text, type=ShippedRanges)


def ranges_for(encoder: TextEncoder, texts: list[str]) -> AttentionRanges:
    """Shipped ranges when the weights are those they were calibrated on; else a calibration on `texts`.

    Raises RangeError when a calibration is needed and there is no text.
    """
    shipped = shipped_ranges()
    if encoder.fingerprint() == shipped.fingerprint:
        return shipped.ranges
    if not texts:
        raise RangeError(
            "these weights have no shipped ranges: give sample text to calibrate on (--calibration FILE, "
            "one text per line)"
        )
    layer = capture_attention(encoder.attention(), torch.zeros(1, TOKENS, encoder.features))
    samples = [encoder.embed(encoder.token_ids(text)[:TOKENS]) for text in texts]
    return calibrate_attention(layer, samples, f"{len(texts)} texts given at compile time")


def compile_first_attention(
    encoder: TextEncoder, *, tokens: int = TOKENS, calibration: list[str] | None = None
) -> CompiledProgram:
    """The sub-layer for texts of up to `tokens` tokens, at 128-bit security, N = 2^16."""
    return compile_attention(
        encoder.attention(),
        torch.zeros(1, tokens, encoder.features),
        ranges_for(encoder, calibration or []),
        origin=f"{encoder.name}: first self-attention sub-layer",
    )
