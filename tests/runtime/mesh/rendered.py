"""The renderings of every strategy of one tiny encrypted layer: attention, FFN, norms and bootstraps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from unittest.mock import patch

from aegis_fhe.placement.strategies import (
    Rendering,
    limb_parallel,
    replicated,
    single,
    tensor_parallel,
    token,
    tokens,
)
from aegis_fhe.program.long.shape import Degrees, LayerShape
from runtime.encrypted_layer import TOKENS, bootstrap, encrypted
from runtime.mesh.cases import Case

# Two columns of hidden states, three of units in one block of 16 tokens; one of each in four blocks of 4.
SHAPE = LayerShape.encoder(features=24, heads=2, hidden=40)
DEGREES = Degrees(exponential=7, squarings=0, reciprocal=7, newton_steps=0, inverse_sqrt=7, activation=7)
WORLDS = (1, 2, 3, 4)
ONE_BLOCK, FOUR_BLOCKS = 16, 4


def renderings(world: int) -> Iterator[Rendering]:
    """Of all strategies on so many devices, each in one packing.

    One device runs one variant of each strategy, as they are one program there. To save time two and three
    devices exchange tokens in one of three ways each, four in all, and four share special limbs whole once.
    """
    params = bootstrap().params
    with patch.object(tokens, "LEAST_BLOCK_TOKENS", FOUR_BLOCKS):  # so few are not worth a search otherwise
        families = [
            list(single(params, TOKENS)),
            list(limb_parallel(params, TOKENS, world)),
            list(replicated(SHAPE, params, TOKENS, world)),
            list(tensor_parallel(SHAPE, params, TOKENS, world)),
            list(token(params, TOKENS, world)),
        ]
    for family in families:
        blocks = FOUR_BLOCKS if family[0].strategy == "token" else ONE_BLOCK
        found = [one for one in family if one.packing.block_tokens == blocks]
        yield from found[:1] if world == 1 else (one for one in found if _chosen(one, world))


def _chosen(one: Rendering, world: int) -> bool:
    match one.strategy:
        case "single":
            return False
        case "token":
            return world == 4 or one.variant.endswith({2: "turned", 3: "values"}[world])
        case "limb_parallel":
            return world < 4 or one.limbs.placed == "split" or one.limbs.aggregation == "none"
        case _:
            return True


@cache
def case_of(rendering: Rendering) -> Case:
    """The layer in this packing and division, its nodes where the strategy says."""
    e = encrypted(rendering.division, SHAPE, rendering.packing, DEGREES)
    return Case.of(e, rendering.assignment(e.program.graph), rendering.limbs)


# One of each strategy with something to exchange, by name, for two processes.
OVER_PROCESSES = {
    "limb_parallel": "split exact",
    "replicated": "terms",
    "tensor_parallel": "",
    "token": "turned",
}


def over_processes() -> dict[str, Rendering]:
    """Those renderings, by their strategy."""
    return {
        one.strategy: one
        for one in renderings(2)
        if one.strategy in OVER_PROCESSES and one.variant.endswith(OVER_PROCESSES[one.strategy])
    }
