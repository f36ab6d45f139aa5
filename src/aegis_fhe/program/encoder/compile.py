"""From an encoder's layers and their ranges to a compiled program that bootstraps."""

from __future__ import annotations

import math
from collections.abc import Sequence

from aegis_fhe.circuits.bootstrap import presets
from aegis_fhe.circuits.bootstrap.plan import BootstrapPlan
from aegis_fhe.errors import LayoutError, UnsupportedModuleError
from aegis_fhe.program.attention_fits import Array
from aegis_fhe.program.attention_layer import KEY_BLOCKS
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.encoder.constants import feed_forward_groups, layer_constants
from aegis_fhe.program.encoder.fits import EncoderLayerFits
from aegis_fhe.program.encoder.graph import EncoderGraph, LayerShape
from aegis_fhe.program.encoder.head import FirstToken, Head, returns_of
from aegis_fhe.program.encoder.layer import EncoderLayer
from aegis_fhe.program.encoder.pooled import PooledFits, pooled_constants, ranges_of_head
from aegis_fhe.program.encoder_ranges import EncoderRanges
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.returns import HiddenStates, TokenMean
from aegis_fhe.program.verify import verify


def compile_encoder(
    layers: Sequence[EncoderLayer],
    ranges: EncoderRanges,
    *,
    max_tokens: int,
    head: Head,
    bootstrap: BootstrapPlan | None = None,
    origin: str,
) -> CompiledProgram:
    """The program for texts of up to max_tokens tokens; head: what its result is made of.

    bootstrap: by default N = 2^16 with 14 levels, 128 bits. Raises LayoutError, UnsupportedModuleError,
    LevelError, and RangeError for ranges without those of the head.
    """
    if len(ranges.layers) != len(layers):
        raise UnsupportedModuleError(f"ranges of {len(ranges.layers)} layers do not fit {len(layers)} layers")
    plan = presets.n16() if bootstrap is None else bootstrap
    attention = layers[0].attention
    blocks = math.ceil(max_tokens / attention.head_dim)
    layout = TokenMajorLayout(
        slots=plan.params.slots,
        tokens=attention.head_dim,
        heads=attention.heads,
        head_dim=attention.head_dim,
        zones=KEY_BLOCKS,
    )
    if KEY_BLOCKS * layout.width > layout.sub_slots:
        raise LayoutError(f"{layout.width} features twice do not fit {layout.sub_slots} sub-slots")
    shapes, constants = _layers(layers, ranges, layout, blocks, first_token=isinstance(head, FirstToken))
    bounds = ranges.bounds()
    ending, of_head, result_bound = _ending(head, ranges, layout)
    graph = EncoderGraph(layout, blocks, shapes, fresh=plan.output_level, lowest=plan.input_level)
    program = CompiledProgram(
        params=plan.params,
        layout=layout,
        blocks=blocks,
        graph=graph.graph(ending),
        constants=constants | of_head,
        ranges=ranges,
        origin=origin,
        bootstrap=plan,
        hidden_scales=(1 / bounds[0], 1 / result_bound),
        returns=returns_of(head),
    )
    verify(program)
    return program


def _layers(
    layers: Sequence[EncoderLayer],
    ranges: EncoderRanges,
    layout: TokenMajorLayout,
    blocks: int,
    *,
    first_token: bool,
) -> tuple[list[LayerShape], dict[str, Array]]:
    """Shapes and constants of all layers; first_token: of the last one's result no other token is wanted."""
    shapes: list[LayerShape] = []
    constants: dict[str, Array] = {}
    bounds = ranges.bounds()
    for index, (layer, found) in enumerate(zip(layers, ranges.layers, strict=True)):
        alone = first_token and index == len(layers) - 1
        keys = blocks * layout.tokens
        fits = EncoderLayerFits.of(found, layer.gelu, layer.features, keys, first_token=alone)
        shapes.append(
            LayerShape(fits=fits, anchored=any(found.attention.anchor), groups=feed_forward_groups(layer))
        )
        made = layer_constants(layer, found, fits, layout, next_hidden=bounds[index + 1])
        constants |= {f"{index}.{name}": value for name, value in made.items()}
    return shapes, constants


def _ending(
    head: Head, ranges: EncoderRanges, layout: TokenMajorLayout
) -> tuple[HiddenStates | TokenMean | PooledFits, dict[str, Array], float]:
    """What the graph needs of the head, the head's constants, and the bound that results come out over."""
    if not isinstance(head, FirstToken):
        return head, {}, ranges.output
    known = ranges_of_head(head, ranges.head)
    constants = pooled_constants(head, known, layout, hidden=ranges.output)
    return PooledFits.of(head, known), constants, known.logits or 1.0  # tanh's results are of size 1
