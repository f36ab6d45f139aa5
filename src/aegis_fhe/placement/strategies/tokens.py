"""Token blocks on groups of devices: only what mixes tokens moves, keys and values of attention."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from aegis_fhe.ckks.parameters import Parameters
from aegis_fhe.errors import LayoutError
from aegis_fhe.placement.limbs import LimbPlacement
from aegis_fhe.placement.mesh import Mesh
from aegis_fhe.placement.strategies.rendering import Rendering, Rule
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.diagonals import Babies
from aegis_fhe.program.long.divide import Division, part_of
from aegis_fhe.program.long.layout import GridLayout
from aegis_fhe.program.long.shape_program import Packing

# What crosses: keys and values, which every group turns for itself; keys and values turned once; or hidden
# states, of which every group computes all keys and values.
Exchange = Literal["values", "turned", "hidden"]
LEAST_BLOCK_TOKENS = 32
SIZES = 3


def whole(params: Parameters) -> LimbPlacement:
    """All limbs on one device."""
    return LimbPlacement(world_size=1, limbs=len(params.q), specials=len(params.p))


def packings(slots: int, tokens: int, blocks: int = 1) -> Iterator[Packing]:
    """The largest token blocks of which there are at least `blocks`, and some smaller ones.

    The smaller the blocks, the more products and rotations of linear layers: few sizes are worth a look.
    """
    size, found = GridLayout.of(slots, tokens).tokens, 0
    while size >= LEAST_BLOCK_TOKENS and found < SIZES:
        if -(-tokens // size) >= blocks:
            yield Packing(block_tokens=size)
            found += 1
        size //= 2


def single(params: Parameters, tokens: int) -> Iterator[Rendering]:
    """One device; keys and values are turned once where there are several blocks of queries."""
    for packing in packings(params.slots, tokens):
        yield Rendering(
            strategy="single",
            variant=f"T{packing.block_tokens}",
            packing=packing,
            division=Division(),
            mesh=Mesh(),
            limbs=whole(params),
            rule=lambda node: (0,),
        )


def token(params: Parameters, tokens: int, groups: int) -> Iterator[Rendering]:
    """Contiguous token blocks, each of the exchanges. Raises LayoutError for more groups than blocks."""
    found = False
    for packing in packings(params.slots, tokens, groups):
        blocks = GridLayout.of(params.slots, tokens, packing.block_tokens).blocks
        exchanges: tuple[Exchange, ...] = ("values", "turned", "hidden")
        for exchange in exchanges:
            found = True
            yield Rendering(
                strategy="token",
                variant=f"T{packing.block_tokens} {exchange}",
                packing=packing,
                division=Division(queries=True, babies=True, heads=1),
                mesh=Mesh(tokens=groups),
                limbs=whole(params),
                rule=token_rule(blocks, groups, exchange),
            )
    if not found:
        raise LayoutError(
            f"{tokens} tokens have no {groups} blocks of {LEAST_BLOCK_TOKENS}: use fewer devices for tokens"
        )


def token_rule(blocks: int, groups: int, exchange: Exchange) -> Rule:
    """A node on the group of its token block; keys and values as the exchange says."""
    every = tuple(range(groups))

    def rule(node: Node) -> tuple[int, ...]:
        if exchange == "hidden" and _makes_keys_or_values(node):
            return every
        if exchange == "values" and isinstance(node.operator, Babies):
            return every
        return (node.block * groups // blocks,)

    return rule


def _makes_keys_or_values(node: Node) -> bool:
    """Second and third part of Q, K, V; what becomes of them; babies."""
    if isinstance(node.operator, Babies):
        return True
    return node.stage == "qkv" and (part_of(node) > 0 or node.name.startswith(("k.", "v.")))
