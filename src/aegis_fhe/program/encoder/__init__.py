"""Whole encoders: layers of self-attention and feed-forward, each sum followed by a LayerNorm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_fhe.lazy_names import load_on_use

if TYPE_CHECKING:
    from aegis_fhe.program.encoder.compile import compile_encoder
    from aegis_fhe.program.encoder.head import FirstToken, Head
    from aegis_fhe.program.encoder.layer import EncoderLayer, encoder_layers
    from aegis_fhe.program.encoder_ranges import EncoderLayerRanges, EncoderRanges, HeadRanges
else:
    __getattr__ = load_on_use(
        __name__,
        {
            "EncoderLayer": "aegis_fhe.program.encoder.layer",
            "EncoderLayerRanges": "aegis_fhe.program.encoder_ranges",
            "EncoderRanges": "aegis_fhe.program.encoder_ranges",
            "FirstToken": "aegis_fhe.program.encoder.head",
            "Head": "aegis_fhe.program.encoder.head",
            "HeadRanges": "aegis_fhe.program.encoder_ranges",
            "compile_encoder": "aegis_fhe.program.encoder.compile",
            "encoder_layers": "aegis_fhe.program.encoder.layer",
        },
    )

__all__ = [
    "EncoderLayer",
    "EncoderLayerRanges",
    "EncoderRanges",
    "FirstToken",
    "Head",
    "HeadRanges",
    "compile_encoder",
    "encoder_layers",
]
