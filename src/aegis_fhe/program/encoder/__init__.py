"""Whole encoders: layers of self-attention and feed-forward, each sum followed by a LayerNorm."""

from aegis_fhe.program.encoder.compile import compile_encoder
from aegis_fhe.program.encoder.head import FirstToken, Head
from aegis_fhe.program.encoder.layer import EncoderLayer, encoder_layers
from aegis_fhe.program.encoder_ranges import EncoderLayerRanges, EncoderRanges, HeadRanges

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
