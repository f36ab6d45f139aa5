"""How a graph is divided, and what is common to all parts of a node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.even_ranges import even_ranges
from aegis_fhe.program.long.heads import AddHeads, PlaceHeads
from aegis_fhe.program.long.matrix_product import MatrixProduct
from aegis_fhe.program.operators import Operator


@dataclass(frozen=True, kw_only=True)
class Division:
    """Into how many parts the columns of a grid go, and what else of a node becomes nodes of their own.

    rows: stages whose products are sums over parts of their inputs instead ("output", "contract" as they
    follow a stage that is divided by heads or units). queries: attention has a part for every token block of
    queries. giants: and so many for its giant steps, summed. babies: K and V are turned by nodes of their
    own, `parts` for each token block, instead of in every part of attention. chunks: and so many times, a
    part of them each, with the scores that need no others (`score_chunks`). shared: stages whose products
    have their babies from nodes of their own, `shares` for each part. heads: Q, K and V have so many parts
    each instead, by groups of heads. paired: so do gate and up, `parts` each. own_first: where babies are
    shared, a part of the first token block begins with the terms of its own share of them (`product_terms`).
    without: rewrites of the order of nodes that are switched off (`rewrites`).
    """

    parts: int = 1
    heads: int = 0
    paired: bool = False
    rows: frozenset[str] = frozenset()
    queries: bool = False
    giants: int = 1
    babies: bool = False
    chunks: int = 0
    shared: frozenset[str] = frozenset()
    shares: int = 1
    own_first: bool = False
    without: frozenset[str] = frozenset()

    def of(self, node: Node) -> Division:
        """The same for every node."""
        return self

    def parts_of(self, node: Node) -> int:
        """How many parts the columns of a node's grid have."""
        operator = node.operator
        if self.heads and isinstance(operator, PlaceHeads | AddHeads):
            return self.heads
        if isinstance(operator, MatrixProduct) and node.stage not in self.rows:
            targets = len(operator.targets)
            if self.heads and operator.targets[0].heads:
                return targets * self.heads
            if self.paired:
                return targets * self.parts
        return self.parts


@dataclass(frozen=True)
class NodeDivisions:
    """(name, division) of nodes; those without one stay whole."""

    divisions: tuple[tuple[str, Division], ...]

    def of(self, node: Node) -> Division:
        """That of the node."""
        return self._by_name.get(node.name, Division())

    @cached_property
    def _by_name(self) -> Mapping[str, Division]:
        return dict(self.divisions)


def in_turns(count: int, groups: int) -> list[dict[int, int]]:
    """Of 0 ... count - 1, cut into a run for each group, one of each in a turn: by group.

    So nodes that groups compute at the same time stand together in a graph.
    """
    runs = [range(*own) for own in even_ranges(count, groups)]
    turns = range(max(map(len, runs)))
    return [{group: run[turn] for group, run in enumerate(runs) if turn < len(run)} for turn in turns]


def part_of(node: Node) -> int:
    """The number of a node among the parts of one; 0 for whole ones."""
    _, _, number = node.name.rpartition("~")
    return int(number) if number.isdigit() and "~" in node.name else 0


def as_part(
    node: Node,
    number: int,
    operator: Operator,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *,
    role: str = "",
    block: int | None = None,
) -> Node:
    """A part of a node, with its stage; role: of parts that do something else than the others."""
    return changed(
        node,
        name=f"{node.name}{role}~{number}",
        operator=operator,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        block=node.block if block is None else block,
    )


def changed(node: Node, **changes: object) -> Node:
    """The node with some fields changed."""
    return msgspec.structs.replace(node, **changes)
