"""Shapes of models that plans are made for: one of their equal layers, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass, field

from aegis_fhe.program.long.shape import BERT_BASE, SMOLLM2_135M, Degrees, LayerShape


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """degrees: of its polynomials, assumed."""

    layer: LayerShape
    layers: int
    degrees: Degrees = field(default_factory=Degrees)


# A causal mask leaves the first query a single key and the last one all: 1/D takes a higher degree.
_DECODER = Degrees(reciprocal=127, newton_steps=2, activation=31)
_GPT2 = LayerShape(
    features=768,
    heads=12,
    key_value_heads=12,
    head_dim=64,
    hidden=3072,
    norm="layer",
    pre_norm=True,
    gated=False,
    causal=True,
    rotary=False,
    biases=True,
)

# Of drawn weights, whose ranges are narrow: approximations are good to 23 bits.
_TINY = Degrees(squarings=1, newton_steps=0)

MODELS = {
    "bert-base": ModelShape(layer=BERT_BASE, layers=12),
    "bert-large": ModelShape(layer=LayerShape.encoder(features=1024, heads=16, hidden=4096), layers=24),
    "minilm": ModelShape(layer=LayerShape.encoder(features=384, heads=12, hidden=1536), layers=6),
    "smollm2-135m": ModelShape(layer=SMOLLM2_135M, layers=30, degrees=_DECODER),
    "gpt2": ModelShape(layer=_GPT2, layers=12, degrees=_DECODER),
    "llama2-7b": ModelShape(
        layer=LayerShape.decoder(features=4096, heads=32, key_value_heads=32, head_dim=128, hidden=11008),
        layers=32,
        degrees=_DECODER,
    ),
    "llama3-8b": ModelShape(
        layer=LayerShape.decoder(features=4096, heads=32, key_value_heads=8, head_dim=128, hidden=14336),
        layers=32,
        degrees=_DECODER,
    ),
    "tiny": ModelShape(layer=LayerShape.encoder(features=32, heads=2, hidden=64), layers=1, degrees=_TINY),
}
