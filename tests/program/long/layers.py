"""Shapes of tiny layers that cover what the graph does."""

from __future__ import annotations

from aegis_fhe.program.long.shape import LayerShape

DECODER = LayerShape.decoder(features=32, heads=4, key_value_heads=2, head_dim=8, hidden=48)
ENCODER = LayerShape.encoder(features=32, heads=4, hidden=64)
# 24 features leave sub-slots of the last column empty, 3 heads leave head sub-slots empty.
UNEVEN = LayerShape.encoder(features=24, heads=3, hidden=40)
