"""Sentence embeddings with a BERT-like encoder, all layers; ranges shipped for all-MiniLM-L6-v2."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

import msgspec
import numpy as np
from numpy.typing import NDArray

from aegis_fhe.errors import RangeError
from aegis_fhe.models.encoder_calibration import calibrate_encoder
from aegis_fhe.models.near_bounds import NearBounds
from aegis_fhe.models.sample_texts import windows
from aegis_fhe.models.text_encoder import TextEncoder
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.encoder import EncoderRanges, compile_encoder

Array = NDArray[np.float64]

# Two token blocks of 32: one bootstrap refreshes both.
TOKENS = 64


class ShippedRanges(msgspec.Struct, frozen=True):
    """Calibrated ranges and the weights they belong to (`TextEncoder.fingerprint`).

    near_bounds: how near calibration text came; older files do not say.
    """

    fingerprint: str
    tokens: int
    ranges: EncoderRanges
    near_bounds: NearBounds | None = None


def shipped_ranges() -> ShippedRanges:
    """The calibration that comes with the package."""
    text = resources.files("aegis_fhe.models.minilm").joinpath("ranges.json").read_bytes()
    return msgspec.json.decode(text, type=ShippedRanges)


def calibrate(encoder: TextEncoder, texts: Sequence[str], *, tokens: int = TOKENS) -> EncoderRanges:
    """Ranges of all layers and the head on `sample_texts.windows` of the texts.

    Raises RangeError without texts.
    """
    hidden = sample_states(encoder, texts, tokens=tokens)
    origin = f"{len(hidden)} windows of {len(texts)} texts, up to {tokens} tokens"
    layers, head = encoder.parts()
    return calibrate_encoder(layers, hidden, origin, head=head)


def sample_states(encoder: TextEncoder, texts: Sequence[str], *, tokens: int = TOKENS) -> list[Array]:
    """Hidden states [n, d] of every window of the texts: what `calibrate` looks at."""
    samples = windows([encoder.token_ids(text) for text in texts if text.strip()], tokens)
    return [encoder.embed(ids) for ids in samples]


def ranges_for(encoder: TextEncoder, texts: Sequence[str], *, tokens: int = TOKENS) -> EncoderRanges:
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
    return calibrate(encoder, texts, tokens=tokens)


def compile_sentence_encoder(
    encoder: TextEncoder,
    *,
    tokens: int = TOKENS,
    calibration: Sequence[str] = (),
    ranges: EncoderRanges | None = None,
) -> CompiledProgram:
    """All layers and the mean over the text's tokens, for texts of up to `tokens` tokens; 128 bits, N = 2^16.

    The client scales the mean to length 1 after decryption, where that is wanted.
    """
    layers, head = encoder.parts()
    return compile_encoder(
        layers,
        ranges_for(encoder, calibration, tokens=tokens) if ranges is None else ranges,
        max_tokens=tokens,
        head=head,
        origin=f"{encoder.name}: sentence embedding",
    )
