"""What a decoder's program says of itself besides its constants, as JSON data."""

from __future__ import annotations

from typing import Any

import msgspec

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.placement import Placement


class LayerFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A layer without its constants; digest: theirs."""

    nodes: tuple[Node, ...]
    results: tuple[str, ...]
    hidden_bound: float
    result_bound: float
    input_level: int
    digest: str


class DecoderFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all layers share, and the layers."""

    parameters: dict[str, Any]
    bootstrap: dict[str, Any]
    layout: GridLayout
    placement: Placement
    max_tokens: int
    public_tokens: int
    origin: str
    layers: tuple[LayerFacts, ...]
