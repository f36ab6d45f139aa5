"""Ways to compute one operator on groups of devices: how it is divided, and who computes which part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from aegis_fhe.placement.choose.runs import Run
from aegis_fhe.placement.schedule import TEAM, Place
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.attention import StreamingAttention
from aegis_fhe.program.long.diagonals import Babies
from aegis_fhe.program.long.divide import Division, divide_nodes, part_of
from aegis_fhe.program.long.matrix_product import ColumnBabies, MatrixProduct
from aegis_fhe.program.operators import Refresh

# Into how many nodes a group's share of babies is divided: each leaves as soon as it is made.
SHARES = 4
Placing = Callable[[Node], Place]


@dataclass(frozen=True)
class Setting:
    """What ways depend on. groups: T; blocks: token blocks of a text; columns: see `columns_of`.

    chunks: of attention's babies.
    """

    groups: int
    blocks: int
    columns: Mapping[str, tuple[int, int]]
    chunks: int

    @property
    def every(self) -> tuple[int, ...]:
        """All groups."""
        return tuple(range(self.groups))

    def column(self, value: str) -> tuple[int, ...]:
        """The group that has a value where grids lie by columns, as even as they can be."""
        column, columns = self.columns[value]
        parts = min(self.groups, columns)
        return (next(g for g in range(parts) if column < (g + 1) * columns // parts),)

    def block(self, node: Node) -> tuple[int, ...]:
        """The group that has a node's token block where texts lie by blocks."""
        return (node.block * self.groups // self.blocks,)


@dataclass(frozen=True)
class Way:
    """One way to compute a run: its nodes, divided, and the groups of each."""

    name: str
    division: Division
    nodes: tuple[Node, ...]
    where: Mapping[str, Place]


def ways(run: Run, setting: Setting) -> list[Way]:
    """Every way that makes sense for a run, each with another name."""
    found: dict[str, Way] = {}
    for name, division, place in _proposed(run, setting):
        nodes = tuple(divide_nodes(run.nodes, division))
        found[name] = Way(name, division, nodes, {node.name: place(node) for node in nodes})
    return list(found.values())


def _proposed(run: Run, setting: Setting) -> Iterator[tuple[str, Division, Placing]]:
    first = run.nodes[0].operator
    if setting.groups == 1:
        yield from _alone(first, setting)
        return
    match first:
        case StreamingAttention():
            yield from _attention(first, setting)
        case MatrixProduct():
            yield from _product(run, first, setting)
        case Refresh():
            yield from _refresh(run, setting)
        case _:
            yield from _grid(setting)
    if setting.blocks >= setting.groups:
        yield "blocks", _blocks(first, setting), setting.block


def _alone(operator: object, setting: Setting) -> Iterator[tuple[str, Division, Placing]]:
    chunked = isinstance(operator, StreamingAttention) and setting.chunks > 1
    division = Division(chunks=setting.chunks) if chunked else Division()
    yield "whole", division, lambda node: (0,)


def _blocks(operator: object, setting: Setting) -> Division:
    """Attention reads keys and values of all blocks: turned where they are made, some babies at a time."""
    if isinstance(operator, StreamingAttention):
        return Division(queries=True, chunks=setting.chunks, parts=SHARES)
    return Division()


def _attention(operator: StreamingAttention, setting: Setting) -> Iterator[tuple[str, Division, Placing]]:
    if len(operator.giant_steps) >= setting.groups and not operator.rounds:
        division = Division(
            giants=setting.groups, chunks=setting.chunks, parts=setting.groups * SHARES, paired=True
        )
        yield "giant steps, shared babies", division, _shared(setting)
        division = Division(giants=setting.groups, parts=setting.groups, paired=True)
        yield "giant steps", division, _parts(setting)
    yield "one group", Division(), lambda node: (operator.scores.group % setting.groups,)
    if setting.blocks >= setting.groups:

        def own_babies(node: Node) -> tuple[int, ...]:
            return setting.every if _turns_keys(node) else setting.block(node)

        yield "blocks, own babies", _blocks(operator, setting), own_babies


def _product(run: Run, operator: MatrixProduct, setting: Setting) -> Iterator[tuple[str, Division, Placing]]:
    parts, stage = setting.groups, run.stage
    yield "columns", Division(parts=parts, paired=True), _parts(setting)
    shared = Division(parts=parts, paired=True, shared=frozenset({stage}), shares=SHARES)
    yield "columns, shared babies", shared, _shared(setting)
    yield "columns, shared babies, own first", replace(shared, own_first=True), _shared(setting)
    if len(operator.targets) == 1:
        yield "terms", Division(parts=parts, rows=frozenset({stage})), _parts(setting)
    yield "everywhere", Division(), lambda node: setting.every
    if len(operator.targets) == 3 and setting.blocks >= setting.groups:

        def hidden(node: Node) -> tuple[int, ...]:
            queries = part_of(node) == 0 and not node.name.startswith(("k.", "v."))
            return setting.block(node) if queries else setting.every

        yield "blocks, keys and values everywhere", Division(heads=1), hidden


def _refresh(run: Run, setting: Setting) -> Iterator[tuple[str, Division, Placing]]:
    if all(setting.columns[value][1] > 1 for node in run.nodes for value in node.inputs):
        yield "columns", Division(), lambda node: setting.column(node.inputs[0])
    else:
        spread = {node.name: (i % setting.groups,) for i, node in enumerate(run.nodes)}
        yield "spread", Division(), lambda node: spread[node.name]
        yield "by limbs", Division(), lambda node: TEAM
    yield "everywhere", Division(), lambda node: setting.every


def _grid(setting: Setting) -> Iterator[tuple[str, Division, Placing]]:
    """By columns; what is one ciphertext a token block on every group, on the block's, or by limbs on all."""
    division = Division(parts=setting.groups, paired=True)

    def columns(single: Placing) -> Placing:
        def place(node: Node) -> Place:
            return (part_of(node) % setting.groups,) if "~" in node.name else single(node)

        return place

    yield "columns, statistics everywhere", division, columns(lambda node: setting.every)
    yield "columns, statistics spread", division, columns(lambda node: (node.block % setting.groups,))
    yield "columns, statistics by limbs", division, columns(lambda node: TEAM)
    yield "everywhere", Division(), lambda node: setting.every


def _parts(setting: Setting) -> Placing:
    """Part p on group p mod T, what is not divided everywhere."""
    return lambda node: (part_of(node) % setting.groups,) if "~" in node.name else setting.every


def _shared(setting: Setting) -> Placing:
    """As `_parts`; babies on the group that has their columns."""

    def place(node: Node) -> Place:
        shares = isinstance(node.operator, ColumnBabies) or _turns_keys(node)
        return setting.column(node.inputs[0]) if shares else _parts(setting)(node)

    return place


def _turns_keys(node: Node) -> bool:
    return isinstance(node.operator, Babies) and (".keys" in node.name or ".values" in node.name)
