"""The best ways of all operators together, and the rendering that they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from aegis_fhe.placement.choose.bound import total
from aegis_fhe.placement.choose.prices import Prices
from aegis_fhe.placement.choose.runs import Run, columns_of, runs_of
from aegis_fhe.placement.choose.ways import Setting, Way, ways
from aegis_fhe.placement.planner import Choice, Cost, Edge, Limits, Operator, Option, Problem, front, solve
from aegis_fhe.placement.schedule import Place
from aegis_fhe.placement.strategies import Rendering
from aegis_fhe.program.graph import Node
from aegis_fhe.program.long.divide import NodeDivisions
from aegis_fhe.program.long.shape_program import Packing


@dataclass(frozen=True)
class Choices:
    """Every operator's ways, and the problem of choosing one for each."""

    prices: Prices
    packing: Packing
    setting: Setting
    runs: tuple[Run, ...]
    ways: tuple[tuple[Way, ...], ...]

    @classmethod
    def of(cls, prices: Prices, packing: Packing, chunks: int) -> Choices:
        """chunks: of the babies of attention, where a way has some."""
        graph, layout = prices.program.graph, prices.program.plan.layout
        setting = Setting(prices.mesh.tokens, layout.blocks, columns_of(graph), chunks)
        runs = tuple(runs_of(graph))
        return cls(prices, packing, setting, runs, tuple(tuple(ways(run, setting)) for run in runs))

    @cached_property
    def problem(self) -> Problem:
        """Operators are runs. Results become the next layer's inputs: their readers follow the last run."""
        operators = tuple(
            Operator(
                name=run.name,
                options=tuple(Option(name=way.name, cost=self.prices.alone(run, way)) for way in own),
            )
            for run, own in zip(self.runs, self.ways, strict=True)
        )
        tables: dict[tuple[int, int], list[list[Cost]]] = {}
        for consumer, run in enumerate(self.runs):
            for producer, values in self._read(run).items():
                first, second = sorted((producer, consumer))
                if first == second:
                    continue
                table = self._table(producer, consumer, values)
                if producer > consumer:
                    table = [list(row) for row in zip(*table, strict=True)]
                known = tables.setdefault((first, second), table)
                if known is not table:
                    tables[first, second] = [
                        [a + b for a, b in zip(x, y, strict=True)] for x, y in zip(known, table, strict=True)
                    ]
        edges = (
            Edge(producer=i, consumer=j, between=tuple(tuple(row) for row in table))
            for (i, j), table in tables.items()
        )
        return Problem(operators, tuple(edges))

    def best(self, objective: str, limits: Limits | None = None) -> Choice:
        """The least time or bytes. Raises CapacityError when nothing is within the limits."""
        return solve(self.problem, "seconds" if objective == "time" else "bytes", limits)

    def floors(self, bounds: Mapping[str, Cost]) -> Iterator[Cost]:
        """What any choice costs at the least, higher with every operator that is priced, few nodes first.

        bounds: of the operators whose prices are not looked at yet.
        """
        least = dict(bounds)
        for run, own in sorted(zip(self.runs, self.ways, strict=True), key=lambda pair: _nodes(pair[1])):
            costs = [self.prices.alone(run, way) for way in own]
            least[run.name] = Cost(seconds=min(c.seconds for c in costs), bytes=min(c.bytes for c in costs))
            yield total(least.values())

    def front(self, most: int | None = None) -> list[Choice]:
        """All that no other beats in both; at most so many of them, spaced in log bytes, with both ends."""
        return front(self.problem, most=most)

    def rendering(self, choice: Choice, variant: str) -> Rendering:
        """What a choice means."""
        chosen = [own[option] for own, option in zip(self.ways, choice.options, strict=True)]
        divisions = tuple(
            (node.name, way.division)
            for run, way in zip(self.runs, chosen, strict=True)
            for node in run.nodes
        )
        where: dict[str, Place] = {}
        for way in chosen:
            where.update(way.where)
        made = {value: where[node.name] for way in chosen for node in way.nodes for value in node.outputs}
        where.update({value: made[result] for value, result in self._inputs().items()})

        def rule(node: Node) -> Place:
            return where[node.name]

        return Rendering(
            strategy="aegis",
            variant=variant,
            packing=self.packing,
            division=NodeDivisions(divisions),
            mesh=self.prices.mesh,
            limbs=self.prices.limbs,
            rule=rule,
            places_refreshes=True,
        )

    def names(self, choice: Choice) -> Mapping[str, str]:
        """The way of each run, by name."""
        return self.problem.names(choice)

    def _inputs(self) -> dict[str, str]:
        """Of each input the result that the next layer has in its place."""
        graph = self.prices.program.graph
        return dict(zip(self.prices.program.symbols, graph.results, strict=True))

    @cached_property
    def _producers(self) -> dict[str, tuple[int, str]]:
        """Of each value which run makes it, and under which name."""
        made = {v: (i, v) for i, run in enumerate(self.runs) for node in run.nodes for v in node.outputs}
        return {**made, **{value: made[result] for value, result in self._inputs().items()}}

    def _read(self, run: Run) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for value in run.outside:
            found.setdefault(self._producers[value][0], []).append(value)
        return found

    def _table(self, producer: int, consumer: int, values: list[str]) -> list[list[Cost]]:
        readers = [_readers(way, set(values)) for way in self.ways[consumer]]
        holders = []
        for way in self.ways[producer]:
            made = {value: way.where[node.name] for node in way.nodes for value in node.outputs}
            holders.append({value: made[self._producers[value][1]] for value in values})
        return [[self.prices.between(own, read) for read in readers] for own in holders]


def _nodes(ways: Sequence[Way]) -> int:
    return sum(len(way.nodes) for way in ways)


def _readers(way: Way, values: set[str]) -> dict[str, list[Place]]:
    found: dict[str, list[Place]] = {}
    for node in way.nodes:
        for value in values.intersection(node.inputs):
            found.setdefault(value, []).append(way.where[node.name])
    return found
