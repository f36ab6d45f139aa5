"""Which values belong together: limbs of one ciphertext first, values of the same tokens second.

Both follow from signatures. A value is *modulus coherent* where some operator that reads it ties its limbs
together: sharing them costs an exchange inside that operator. Values of one token block are *token coherent*:
every operator between them takes that block alone. What is left are the crossings, values that an operator
reads for results of another token block: with whole ciphertexts, and each token block in one place, nothing
but these ever moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aegis_fhe.circuits.symbolic import Symbol
from aegis_fhe.placement.coupling.operators import Couplings, OperatorCoupling
from aegis_fhe.placement.coupling.signature import Coupling
from aegis_fhe.program.graph import Graph, Node


@dataclass(frozen=True, kw_only=True)
class Crossing:
    """A node reads a value of one token block for a result of another."""

    value: str
    node: str
    token_blocks: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Coherence:
    """token_block: of every value. crossings: each once for each pair of blocks. whole: values whose limbs
    some operator ties together.
    """

    token_block: Mapping[str, int]
    crossings: tuple[Crossing, ...]
    whole: frozenset[str]

    def token_class(self, block: int) -> frozenset[str]:
        """The values of one token block."""
        return frozenset(value for value, own in self.token_block.items() if own == block)


def coherence(graph: Graph, couplings: Couplings, symbols: Mapping[str, Symbol]) -> Coherence:
    """symbols: of every value. Raises as `Couplings.of`."""
    block: dict[str, int] = {}
    crossings: dict[Crossing, None] = {}
    whole: set[str] = set()
    for node in graph.nodes:
        found = couplings.of(node, symbols)
        if found.ciphertext.limb is not Coupling.INDEPENDENT:
            whole.update(node.inputs)
        for number, value in enumerate(node.outputs):
            own = block[value] = _token_block(node, number, found, block)
            for index in sorted(found.reads[number]):
                source = node.inputs[index]
                if block[source] != own:
                    pair = block[source], own
                    crossings[Crossing(value=source, node=node.name, token_blocks=pair)] = None
    return Coherence(token_block=block, crossings=tuple(crossings), whole=frozenset(whole))


def _token_block(node: Node, number: int, found: OperatorCoupling, block: Mapping[str, int]) -> int:
    """As the operator says where it works on several; that of what it reads in its own place; the node's."""
    place = found.places.outputs[number]
    if found.places.across:
        return place.token_block
    inputs = zip(node.inputs, found.places.inputs, strict=True)
    read = found.reads[number]
    own = {
        block[value]
        for index, (value, its) in enumerate(inputs)
        if index in read and its.token_block == place.token_block
    }
    return own.pop() if len(own) == 1 else node.block
