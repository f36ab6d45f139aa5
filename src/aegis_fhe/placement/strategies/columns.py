"""Columns of grids on groups of devices: by heads and units, or outputs and terms of what all groups have."""

from __future__ import annotations

from collections.abc import Iterator

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.strategies.rendering import Rendering, Rule
from aegis_fhe.placement.strategies.tokens import packings, whole
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.divide import Division, part_of
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.shape import LayerShape
from aegis_fhe.program.long.shape_program import Packing
from aegis_fhe.program.operators import Input

ROWS = frozenset({"output", "contract"})


def tensor_parallel(shape: LayerShape, params: Parameters, tokens: int, groups: int) -> Iterator[Rendering]:
    """Heads and hidden units on groups, sums of their projections scattered over columns (Megatron-LM).

    Hidden states lie by columns, norms and bootstraps too; they are gathered before each pair of products.
    """
    heads = min(groups, shape.key_value_heads)
    for packing in packings(params.slots, tokens):
        yield Rendering(
            strategy="tensor_parallel",
            variant=f"T{packing.block_tokens}",
            packing=Packing(block_tokens=packing.block_tokens, head_groups=heads),
            division=Division(parts=groups, rows=ROWS, heads=heads, paired=True),
            mesh=Mesh(tokens=groups),
            limbs=whole(params),
            rule=column_rule(shape, params, packing, tokens, groups),
        )


def replicated(shape: LayerShape, params: Parameters, tokens: int, groups: int) -> Iterator[Rendering]:
    """Inputs on every group; outputs of products, giant steps of attention and ciphertexts shared out.

    After Hydra (HPCA 2025) as far as it is described in open text: results are gathered where the next
    operator reads them whole, terms summed over groups. rows: the second product of a pair by its terms.
    """
    for packing in packings(params.slots, tokens):
        for rows in (frozenset({"contract"}), frozenset[str]()):
            yield Rendering(
                strategy="replicated",
                variant=f"T{packing.block_tokens} {'terms' if rows else 'outputs'}",
                packing=packing,
                division=Division(parts=groups, giants=groups, rows=rows, paired=True),
                mesh=Mesh(tokens=groups),
                limbs=whole(params),
                rule=column_rule(shape, params, packing, tokens, groups),
            )


def column_rule(shape: LayerShape, params: Parameters, packing: Packing, tokens: int, groups: int) -> Rule:
    """Part p on group p mod G, inputs by their columns, what is one ciphertext on every group."""
    layout = GridLayout.of(params.slots, tokens, packing.block_tokens)
    columns = -(-shape.features // layout.sub_slots)
    every = tuple(range(groups))

    def rule(node: Node) -> tuple[int, ...]:
        if isinstance(node.operator, Input):
            column = int(node.name.removeprefix("x.").partition("[")[0])
            return (column * min(groups, columns) // columns,)
        if isinstance(node.operator, StreamingAttention) and node.operator.giants is None:
            return (node.operator.scores.group % groups,)
        group = _head_group(node)
        if group is not None:
            return (group % groups,)
        return (part_of(node) % groups,) if "~" in node.name else every

    return rule


def _head_group(node: Node) -> int | None:
    """Of nodes that divide the sums of one group of heads."""
    if node.stage != "divide":
        return None
    digits = "".join(c for c in node.name.partition("[")[0].partition(".")[0] if c.isdigit())
    return int(digits) if digits else None
