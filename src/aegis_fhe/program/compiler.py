"""From a module and its ranges to a compiled program."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from aegis_fhe.circuits.symbolic import Symbol, SymbolicBackend
from aegis_fhe.ckks import presets
from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import LevelError, UnsupportedModuleError
from aegis_fhe.program.attention_fits import (
    Approximations,
    Array,
    AttentionFits,
    attention_constants,
)
from aegis_fhe.program.attention_layer import KEY_BLOCKS, AttentionLayer
from aegis_fhe.program.capture import AttentionSubLayer, capture_attention
from aegis_fhe.program.compiled import CompiledProgram
from aegis_fhe.program.graph import Node
from aegis_fhe.program.interpret import run_graph
from aegis_fhe.program.layout import TokenMajorLayout
from aegis_fhe.program.operators import Context
from aegis_fhe.program.ranges import AttentionRanges
from aegis_fhe.program.verify import verify

# One above any depth: the first symbolic run finds out how many levels the program takes.
_TRIAL_LEVELS = 80


def compile_attention(
    module: torch.nn.Module,
    example: torch.Tensor,
    ranges: AttentionRanges,
    *,
    parameters: Callable[[int], Parameters] = presets.n16,
    approximations: Approximations | None = None,
    origin: str = "",
) -> CompiledProgram:
    """Compiles a self-attention sub-layer for texts of up to example.shape[1] tokens.

    module: takes [batch, tokens, features]; see `capture_attention`. ranges: from calibration. parameters: a
    preset that is given the number of levels. Raises UnsupportedModuleError, LayoutError, SecurityError,
    LevelError.
    """
    layer = capture_attention(module, example)
    return compile_captured(
        layer,
        ranges,
        max_tokens=int(example.shape[-2]),
        parameters=parameters,
        approximations=approximations or Approximations(),
        origin=origin or type(module).__name__,
    )


def compile_captured(
    layer: AttentionSubLayer,
    ranges: AttentionRanges,
    *,
    max_tokens: int,
    parameters: Callable[[int], Parameters],
    approximations: Approximations,
    origin: str,
) -> CompiledProgram:
    """As `compile_attention`, from a captured sub-layer."""
    if len(ranges.anchor) != layer.heads:
        raise UnsupportedModuleError(f"ranges of {len(ranges.anchor)} heads do not fit {layer.heads} heads")
    slots = parameters(1).slots
    blocks = math.ceil(max_tokens / layer.head_dim)
    layout = TokenMajorLayout(
        slots=slots,
        tokens=layer.head_dim,
        heads=layer.heads,
        head_dim=layer.head_dim,
        zones=min(blocks, KEY_BLOCKS),
    )
    fits = AttentionFits.of(ranges, layer.features, approximations, max_tokens=blocks * layout.tokens)
    constants = attention_constants(layer, ranges, layout, fits)
    builder = AttentionLayer(layout, blocks, fits, anchored=any(ranges.anchor))
    levels = _levels_needed(builder, constants)
    params = parameters(levels)
    program = CompiledProgram(
        params=params,
        layout=layout,
        blocks=blocks,
        graph=builder.graph(params.max_level),
        constants=constants,
        ranges=ranges,
        origin=origin,
    )
    left = {program.symbols()[name].level for name in program.graph.results}
    if left != {params.max_level - levels}:
        raise LevelError(
            f"the program ends at levels {sorted(left)} of {params.max_level}; expected {levels} used"
        )
    verify(program)
    return program


def _levels_needed(builder: AttentionLayer, constants: dict[str, Array]) -> int:
    """Levels down to the residual sum, found by a symbolic run on a long chain, plus those after it.

    The residual sum lies at a level that counts from the bottom, so the trial run ends at level 0 on any
    chain.
    """
    scale, layout = 2.0**40, builder.layout
    backend = SymbolicBackend([2**50] + [2**40] * _TRIAL_LEVELS, layout.slots)
    graph = builder.graph(_TRIAL_LEVELS)
    context = Context(
        layout=layout,
        constants=constants,
        scale=scale,
        tokens=builder.blocks * layout.tokens,
    )
    inputs = {f"x[{p}]": Symbol(_TRIAL_LEVELS, scale) for p in range(builder.blocks)}
    levels: list[int] = []

    def observe(node: Node, values: Sequence[Symbol]) -> None:
        if node.name.startswith("output["):
            levels.extend(symbol.level for symbol in values)

    run_graph(graph, backend, inputs, context, observe=observe)
    return _TRIAL_LEVELS - min(levels) + builder.fits.residual_level
